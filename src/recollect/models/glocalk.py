"""GLocalK: a kernelized autoencoder whose input is a convolution of the rating matrix.

Source: Han, Lim, Long, Burgstaller, Poon. "GLocal-K: Global and Local Kernels for Recommender
Systems." CIKM 2021.
Differs: each stage is one run of this library's L-BFGS with a strong-Wolfe line search and its
history in 16 bits (the authors' code: SciPy's L-BFGS-B, started again every 5 to 50 iterations);
each stage is stopped by the validation error and keeps its best weights (the authors report the
best test error of all epochs of the second stage); biases start at 0 (their code: Glorot uniform);
pairs with an unknown user or item are predicted and counted; new users are folded in by ridge
regression; rows may be centered. The mean over users of the completed matrix is computed without
completing the matrix. The squared error has no factor 1/2 here, so λ is twice the paper's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError
from recollect.families.kernel_autoencoder import (
    KernelAutoencoder,
    KernelAutoencoderModel,
    KernelLayer,
)
from recollect.kernels import Block
from recollect.run import Run
from recollect.settings import setting
from recollect.training.history import History

SIZE = 3  # rows and columns of the global kernel


class Network(nn.Module):
    """The second stage: the autoencoder `local` completes a convolution of the rating matrix.

    Args:
        n_rows: items; each has a kernel of its own.
        local: the autoencoder of the first stage.
        dot_scale: a factor of the global kernel.
    """

    def __init__(self, n_rows: int, local: KernelAutoencoder, dot_scale: float) -> None:
        super().__init__()
        self.local = local
        self.dot_scale = dot_scale
        kernels = torch.empty(n_rows, SIZE**2)
        nn.init.trunc_normal_(
            kernels,
            std=0.1,
            a=-0.2,
            b=0.2,
        )
        self.kernels = nn.Parameter(kernels)
        self.f = local.f

    @property
    def output(self) -> KernelLayer:
        """The last layer of the autoencoder."""
        return self.local.output

    @property
    def layers(self) -> list[KernelLayer]:
        """The layers of the autoencoder; the kernels of the items bear no penalty."""
        return self.local.layers

    def effective_weights(self) -> tuple[list[Tensor], Tensor]:
        """The weights W ⊙ K of each layer, and Σ ‖K‖² over the layers."""
        return self.local.effective_weights()

    def global_kernel(self, block: Block, weights: Sequence[Tensor]) -> Float[Tensor, "size size"]:
        """scale · Σ_i m_i · G_i, equations 3 and 4; m_i is the mean completed rating of item i.

        The mean over the columns of W h + b is (mean of the rows of W) · h + mean of b, so the
        completed matrix itself is not needed.
        """
        code = self.local.encode(block, weights)
        mean_weight = weights[-1].mean(dim=0)
        mean_rating = code @ mean_weight + self.output.bias.mean()
        weighted_sum = mean_rating @ self.kernels  # of the items' kernels, each in one row
        return self.dot_scale * weighted_sum.view(SIZE, SIZE)

    def convolution(self, block: Block, weights: Sequence[Tensor]) -> Float[Tensor, "rows columns"]:
        """relu(R ∗ G), equation 5: the ratings, unknown ones as 0, convolved with the kernel."""
        kernel = self.global_kernel(block, weights)

        # conv2d wants an axis of images and one of channels; the padding keeps rows and columns.
        image = block.dense()[None, None]
        convolved = conv2d(image, kernel[None, None], padding=SIZE // 2)

        return convolved[0, 0].relu_()

    def encode(
        self, block: Block, weights: Sequence[Tensor] | None = None
    ) -> Float[Tensor, "rows hidden"]:
        """The codes of all items: every row is part of the convolution of the others.

        Args:
            block: the whole rating matrix.
            weights: the effective weights of all layers; default: computed here.
        """
        if weights is None:
            weights, _ = self.effective_weights()

        convolved = self.convolution(block, weights)
        first = linear(convolved, weights[0].t(), self.local.input.bias)
        return self.local.encode_from_first(first, weights)

    def decode(
        self,
        code: Float[Tensor, "rows hidden"],
        at: Block | None = None,
        columns: Tensor | None = None,
        weights: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """The last layer at given cells, at given columns, or everywhere.

        Args:
            code: the code of each row.
            at: the cells to compute, one number for each.
            columns: the columns to compute, for every row.
            weights: the effective weights of all layers; default: computed here.
        """
        return self.local.decode(code, at, columns, weights)


@dataclass(kw_only=True, eq=False)
class GLocalK(KernelAutoencoderModel):
    """A kernelized autoencoder on item rows, trained on the ratings, then on their convolution."""

    rows_are_independent: ClassVar[bool] = False  # the convolution mixes neighboring rows

    # lambda on every W; the paper's lambda_2 = 70 stands beside half the squared error
    reg: float = 140.0
    # lambda on every local kernel K; the paper's lambda_s = 0.018 stands beside half the error
    reg_kernel: float = 0.036
    dot_scale: float = setting(0.5, above=0)  # factor of the global kernel
    # Epochs of the first stage, at most; an epoch is one iteration of L-BFGS
    pretrain_epochs: int = setting(1000, at_least=1)
    epochs: int = 300  # of the second stage, at most

    @property
    @override
    def dense_matrices(self) -> int:
        return 6  # ratings, their convolution, its positive part, and the gradients of the three

    @override
    def check(self) -> None:
        super().check()
        if self.side != "item":
            raise SettingError(
                f'GLocalK convolves items × users, so side must be "item", found {self.side!r}; '
                "for rows of users use sparsefc or autorec."
            )

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        """The network of the second stage before learning; that of the first is its `local`."""
        local = KernelAutoencoder(
            n_users, self.layers, kernel_dim=self.kernel_dim, std=self.init_kernel
        )
        return Network(n_items, local, self.dot_scale)

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Train the autoencoder alone, as SparseFC, then the whole network.

        Only the second stage keeps snapshots: a fit that is resumed repeats the first one.
        """
        net = self.net_
        first_run = dataclasses.replace(run, folder=None, resume=False)

        # `train_for` and validation work on `net_`, so for the first stage it is the local network.
        self.net_ = net.local
        self.pretrained_ = self.train_for(self.pretrain_epochs, train, valid, first_run)
        self.net_ = net

        return self.train_for(self.epochs, train, valid, run)

    @override
    def best_epochs(self) -> dict[str, Any]:
        of_second_stage = super().best_epochs()
        return {**of_second_stage, "pretrain_epochs": self.pretrained_.best_epoch}


# Settings that learn planted ratings in a moment, for the tests of all models.
QUICK = {
    "hidden": 20,
    "reg": 1.0,
    "reg_kernel": 0.01,
    "pretrain_epochs": 60,
    "epochs": 20,
    "dot_scale": 0.02,
}
