"""SparseFC: an autoencoder on rating rows whose weights fade with the distance between learned places of the units.

Source: Muller, Martel, Indiveri. "Kernelized Synaptic Weight Matrices." ICML 2018.
Differs: L-BFGS of this library with a strong-Wolfe search, its history in 16 bits, one run (the authors' code: SciPy's L-BFGS-B,
started again every 50 iterations, 20 times); stopped by the validation error (the authors' code: after 1,000 iterations, the
test error printed every 50); biases start at 0 (their code: Glorot uniform); cold pairs are predicted and counted; someone new to
an item-side network is folded in by a ridge solve, and rows may be users or centerd: the paper knows items' raw ratings only. The
finite-support kernel only, and no other kernels of the paper. The errors have no half before them, and so λ is twice the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from recollect.data.ratings import AnyRatings, Ratings
from recollect.families.kernel_autoencoder import KernelAutoencoderModel
from recollect.nn import KernelAutoencoder
from recollect.run import Run
from recollect.training.history import History


@dataclass(kw_only=True, eq=False)
class SparseFC(KernelAutoencoderModel):
    """A kernelized autoencoder on item rows (or user rows)."""

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """The network before learning; with c columns and k units, 2 c k weights, and places and biases."""
        return KernelAutoencoder(
            n_users if self.side == "item" else n_items,
            self.layers,
            places=self.places,
            std=self.init_places,
        )

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimize equation 8."""
        return self.stage(self.epochs, train, valid, run)


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {"hidden": (20, 20), "reg": 1.0, "reg_kernel": 0.01, "epochs": 150}
