"""LLORMA: many local factorizations, each of the ratings near an anchor, and their mean."""

from recollect.models.llorma.model import LLORMA

__all__ = ["LLORMA"]
