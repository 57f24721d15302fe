"""DeepRec: a deep autoencoder for ratings, with dense re-feeding, or for events, to rank."""

from recollect.models.deeprec.model import DeepRec

__all__ = ["DeepRec"]
