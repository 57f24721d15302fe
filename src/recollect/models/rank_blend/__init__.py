"""RankBlend: a weighted sum of the scores of several models of events.

model     the class, its settings and the equations
weights   how much each member counts, chosen by NDCG on validation events
"""

from recollect.models.rank_blend.model import RankBlend

__all__ = ["RankBlend"]
