"""Mult-VAE: a variational autoencoder of events, with the changes of RecVAE as settings."""

from recollect.models.multvae.model import MultVAE

__all__ = ["MultVAE"]
