"""CTR: matrix factorization with item factors drawn towards the topics of their texts."""

from recollect.models.ctr.model import CTR

__all__ = ["CTR"]
