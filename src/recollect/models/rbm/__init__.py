"""RBM: a restricted Boltzmann machine that completes a row of the rating matrix."""

from recollect.models.rbm.model import RBM

__all__ = ["RBM"]
