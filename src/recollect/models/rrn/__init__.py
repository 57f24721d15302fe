"""RRN: factors of users and items that two LSTMs carry through time, beside factors that stand still."""

from recollect.models.rrn.model import RRN

__all__ = ["RRN"]
