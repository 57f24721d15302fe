"""AutoRec: an autoencoder that completes one row of the rating matrix."""

from recollect.models.autorec.model import AutoRec

__all__ = ["AutoRec"]
