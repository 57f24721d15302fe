"""DeepRec: a deep autoencoder on a user's ratings, trained on its own dense output too; or on a user's events, to rank."""

from recollect.models.deeprec.model import DeepRec

__all__ = ["DeepRec"]
