"""Autoencoders whose weights are multiplied by a kernel: what SparseFC and GLocalK share."""

from recollect.families.kernel_autoencoder.model import KernelAutoencoderModel
from recollect.families.kernel_autoencoder.network import KernelAutoencoder, KernelLayer

__all__ = ["KernelAutoencoder", "KernelAutoencoderModel", "KernelLayer"]
