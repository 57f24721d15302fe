"""SparseFC: an autoencoder whose weights are multiplied by a kernel of learned unit vectors.

Source: Muller, Martel, Indiveri. "Kernelized Synaptic Weight Matrices." ICML 2018.
Differs: one run of this library's L-BFGS with a strong-Wolfe line search and its history in 16 bits
(the authors' code: SciPy's L-BFGS-B, started again every 50 iterations, 20 times); stopped by the
validation error (the authors' code: after 1,000 iterations, printing the test error every 50);
biases start at 0 (their code: Glorot uniform); pairs with an unknown user or item are predicted and
counted; new users of an item-side network are folded in by ridge regression; rows may be users or
centered, where the paper has raw ratings of items only; only the kernel of finite support, none of
the paper's others. The squared error has no factor 1/2 here, so λ is twice the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.families.kernel_autoencoder import KernelAutoencoder, KernelAutoencoderModel
from recollect.run import Run
from recollect.training.history import History


@dataclass(kw_only=True, eq=False)
class SparseFC(KernelAutoencoderModel):
    """A kernelized autoencoder on item rows or user rows."""

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        n_columns = n_users if self.side == "item" else n_items
        return KernelAutoencoder(
            n_columns, self.layers, kernel_dim=self.kernel_dim, std=self.init_kernel
        )

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimize equation 8 of the paper."""
        return self.train_for(self.epochs, train, valid, run)


# Settings that learn planted ratings in a moment, for the tests of all models.
QUICK = {"hidden": (20, 20), "reg": 1.0, "reg_kernel": 0.01, "epochs": 75}
