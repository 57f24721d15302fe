"""GLocalK: a kernelized autoencoder that sees the rating matrix through a small convolution, chosen by what it made of it before.

Source: Han, Lim, Long, Burgstaller, Poon. "GLocal-K: Global and Local Kernels for Recommender Systems." CIKM 2021.
Differs: both stages by L-BFGS of this library with a strong-Wolfe search, its history in 16 bits, each in one run (the authors'
code: SciPy's L-BFGS-B, begun again every 5 to 50 iterations); each stopped by the validation error, its best weights kept (the
authors report the best test error of all epochs of the second stage); biases start at 0 (their code: Glorot uniform); cold pairs
are predicted and counted; someone new is folded in by a ridge solve; rows may be centerd. The mean over users of the completed
matrix is worked out without completing it. The errors have no half before them, and so λ is twice the paper's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.families.kernel_autoencoder import KernelAutoencoderModel
from recollect.families.row_model import Part
from recollect.kernels import Block
from recollect.nn import KernelAutoencoder, KernelLayer
from recollect.run import Run
from recollect.training.history import History

SIZE = 3  # of the global kernel, rows and columns
DENSE = 6  # items × users matrices that a step holds: ratings, convolution, what of it is seen, and gradients


class Network(nn.Module):
    """The second stage: what a convolution leaves of the rating matrix, completed by the autoencoder."""

    def __init__(self, n_rows: int, local: KernelAutoencoder, dot_scale: float) -> None:
        super().__init__()
        self.local, self.dot_scale = local, dot_scale
        self.kernels = nn.Parameter(
            nn.init.trunc_normal_(torch.empty(n_rows, SIZE**2), std=0.1, a=-0.2, b=0.2)
        )
        self.f = local.f

    @property
    def output(self) -> KernelLayer:
        """The last layer."""
        return self.local.output

    @property
    def layers(self) -> list[KernelLayer]:
        """Those of the autoencoder."""
        return self.local.layers

    def effective(self) -> tuple[list[Tensor], Tensor]:
        """Those of the autoencoder."""
        return self.local.effective()

    def global_kernel(self, block: Block, weights: Sequence[Tensor]) -> Float[Tensor, "size size"]:
        """Each row's kernel times its mean completed rating, summed: equations 3 and 4."""
        code = self.local.encode(block, weights)
        mean = (
            code @ weights[-1].mean(dim=0) + self.output.bias.mean()
        )  # over the columns of decode(code)
        return self.dot_scale * (mean @ self.kernels).view(SIZE, SIZE)

    def seen(self, block: Block, weights: Sequence[Tensor]) -> Float[Tensor, "rows columns"]:
        """The ratings, unknown ones as 0, convolved with the global kernel, and what is below 0 cut off: equation 5."""
        row = torch.repeat_interleave(
            torch.arange(block.n_rows, device=block.device), block.rows.start.diff()
        )
        ratings = torch.zeros(block.n_rows, block.n_columns, device=block.device)
        ratings[row, block.column.long()] = block.value  # type: ignore[assignment]
        kernel = self.global_kernel(block, weights)
        return conv2d(ratings[None, None], kernel[None, None], padding=SIZE // 2)[0, 0].relu_()

    def encode(
        self, block: Block, weights: Sequence[Tensor] | None = None
    ) -> Float[Tensor, "rows hidden"]:
        """All layers but the last. The block is the whole matrix: every row has a part in what is seen of the others."""
        weights = self.effective()[0] if weights is None else weights
        first = linear(self.seen(block, weights), weights[0].t(), self.local.input.bias)
        return self.local.go_on(first, weights)

    def decode(
        self,
        code: Float[Tensor, "rows hidden"],
        at: Block | None = None,
        columns: Tensor | None = None,
        weights: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """The last layer at the cells of `at`, or rows × these columns, or rows × all columns."""
        return self.local.decode(code, at, columns, weights)


@dataclass(kw_only=True, eq=False)
class GLocalK(KernelAutoencoderModel):
    """A kernelized autoencoder on item rows, trained on the ratings and then on a convolution of them."""

    dense = DENSE

    reg: float = 140.0  # lambda on every W; the paper's lambda_2, 70 beside half the error
    reg_kernel: float = (
        0.036  # lambda on every local kernel K; the paper's lambda_s, 0.018 beside half the error
    )
    dot_scale: float = 0.5  # times the global kernel
    pretrain_epochs: int = 1000  # of the first stage, at most; an epoch is one iteration of L-BFGS
    epochs: int = 300  # of the second stage, at most

    def check(self) -> None:
        """Refuse settings that cannot work."""
        super().check()
        if self.side != "item":
            raise SettingError(
                f'GLocalK convolves items × users: side is "item", found {self.side!r}; for rows of users use '
                "sparsefc or autorec."
            )
        if self.dot_scale <= 0 or self.pretrain_epochs < 1:
            raise SettingError(
                f"dot_scale is above 0 and pretrain_epochs is 1 or more, found {self.dot_scale} and "
                f"{self.pretrain_epochs}."
            )

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """The network of the second stage before learning; that of the first is its `local`."""
        local = KernelAutoencoder(n_users, self.layers, places=self.places, std=self.init_places)
        return Network(n_items, local, self.dot_scale)

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """The autoencoder alone, as SparseFC; then all of it. An interrupted fit goes through the first stage again."""
        net = self.net_
        self.net_ = net.local
        self.pretrained_ = self.stage(
            self.pretrain_epochs, train, valid, dataclasses.replace(run, folder=None, resume=False)
        )
        self.net_ = net
        return self.stage(self.epochs, train, valid, run)

    def _fit_again(self, ratings: AnyRatings, run: Run) -> None:
        """See Model; the first stage, too, for as long as was best."""
        again = dataclasses.replace(self, pretrain_epochs=self.pretrained_.best_epoch)
        again.history_ = self.history_
        super(GLocalK, again)._fit_again(ratings, run)
        self.net_, self.given_ = again.net_, again.given_

    # --- the rows, all at once ------------------------------------------------------------------------------------

    def _parts(self, rows: Any, row: np.ndarray, column: np.ndarray) -> Iterator[Part]:
        """See RowModel; one part, with every row."""
        asked, place = Rows.group(row, column, n_rows=len(rows), n_columns=rows.n_columns)
        seen, middle = self.inputs(rows)
        at = Block(asked.start, asked.column, n_columns=rows.n_columns, device=self._device)
        yield self.block(seen), at, np.repeat(middle, asked.counts) if self.center else None, place

    @torch.no_grad()
    def _codes(self, given: Any) -> tuple[Tensor, np.ndarray]:
        """See RowModel; all rows are encoded together."""
        if given is self.given_ and self._kept_codes:
            return self._kept_codes
        seen, middle = self.inputs(self._visible(given))  # type: ignore[arg-type]
        found = self.net_.encode(self.block(seen)), middle
        if given is self.given_:
            self._kept_codes = found
        return found


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "hidden": 20,
    "reg": 1.0,
    "reg_kernel": 0.01,
    "pretrain_epochs": 80,
    "epochs": 80,
    "dot_scale": 0.02,
}
