"""CTR: matrix factorization whose item factors are pulled towards the topics of the items' texts."""

from recollect.models.ctr.model import CTR

__all__ = ["CTR"]
