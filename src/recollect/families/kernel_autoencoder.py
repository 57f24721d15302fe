"""KernelAutoencoderModel: an autoencoder on rating rows whose weights fade with the distance between learned places of the units.

What SparseFC and GLocalK share: layers W ⊙ K(u, v), a penalty on each W and each K, L-BFGS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError
from recollect.families.row_model import BLOCK_RATINGS, BLOCK_ROWS, RowModel
from recollect.kernels import Block
from recollect.memory_estimate import Memory, Shape, of_rows
from recollect.model import Capabilities
from recollect.run import Run
from recollect.settings import setting
from recollect.training import gradient
from recollect.training.history import History
from recollect.training.losses import squared_error


@dataclass(kw_only=True, eq=False)
class KernelAutoencoderModel(RowModel):
    """Squared error over observed cells only, λ on every W and on every kernel K."""

    dense: ClassVar[int] = 0  # rows × columns matrices that a step holds

    hidden: int | tuple[int, ...] = (500, 500)  # units of each hidden layer, all sigmoid
    reg: float = 120.0  # lambda on every W; the paper's lambda_2, 60 beside half the error
    reg_kernel: float = (
        0.026  # lambda on every kernel K; the paper's lambda_s, 0.013 beside half the error
    )
    places: int = 5  # dimensions of the space in which units have their places u and v
    init_places: float = (
        0.001  # standard deviation of the places before training: so near that K is about 1
    )
    epochs: int = 1000  # at most; an epoch is one iteration of L-BFGS
    history: int = 10  # pairs that L-BFGS remembers
    patience: int | None = 4  # looks at the validation error without a gain before stopping
    validate_every: int = setting(10, at_least=1, formerly="look_every")  # epochs between looks

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(smaller=({"history": 2},))

    @property
    def layers(self) -> tuple[int, ...]:
        """Hidden sizes, first to last."""
        return (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)

    @property
    def linear(self) -> bool:
        """See RowModel."""
        return True

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if not self.layers or min(self.layers) < 1 or self.places < 1:
            raise SettingError(
                f"hidden is one or more sizes and places a number of dimensions, each 1 or more; found hidden="
                f"{self.hidden} and places={self.places}."
            )
        if self.side not in ("user", "item"):
            raise SettingError(f'side is "item" or "user", found {self.side!r}.')
        if min(self.reg, self.reg_kernel) < 0 or self.init_places <= 0:
            raise SettingError(
                "reg and reg_kernel are 0 or more and init_places above 0 (without a distance none grows), "
                f"found reg={self.reg}, reg_kernel={self.reg_kernel} and init_places={self.init_places}."
            )
        self.plan(self.epochs).check()

    def plan(self, epochs: int) -> gradient.GradientOptions:
        """The training part of the settings, for so many epochs."""
        return gradient.GradientOptions(
            epochs=epochs,
            history=self.history,
            patience=self.patience,
            validate_every=self.validate_every,
        )

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model; all weights are there twice more, times the kernels: they and their gradients."""
        found = of_rows(
            shape,
            run,
            side=self.side,
            hidden=self.layers,
            plan=self.plan(self.epochs),
            block_rows=BLOCK_ROWS,
            block_ratings=BLOCK_RATINGS,
            dense=self.dense,
        )
        place = found.device or found.host
        place["kernels"] = 2 * place["parameters"]
        return found

    def stage(self, epochs: int, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimize squared errors and both penalties, for so many epochs at most."""
        rows = train.rows(self.side)
        return gradient.fit(
            self.net_,
            rows.minus(self.row_means(rows)),
            self.loss,
            run,
            self.plan(epochs),
            penalty=self.penalty,
            measure=self.validation(train, valid),
            figure="train_loss",
            fit_key=self.fit_key(train, valid),
        )

    def loss(self, net: Any, rows: Block) -> tuple[Tensor, int]:
        """Σ over observed cells of (r − h(r))², plus λ/2 · Σ ‖K‖² over the layers; and how many cells."""
        weights, squares = net.effective()
        known = net.decode(net.encode(rows, weights), at=rows, weights=weights)
        total, count = squared_error(known, rows.value)  # type: ignore[arg-type]
        return total + self.reg_kernel / 2 * squares, count

    def penalty(self, net: Any) -> list[tuple[Tensor, float]]:
        """λ/2 · Σ ‖W‖² over the layers."""
        return [(layer.W, self.reg) for layer in net.layers]

    def _residual_variance(self) -> float:
        """See RowModel; the training figure has a penalty in it, so the error on train is looked at."""
        error = self.history_.best_valid_rmse
        if not math.isfinite(error):
            given: Any = self.given_
            error = float(
                np.sqrt(np.mean((self.pairs(given.user, given.item, given) - given.value) ** 2))
            )
        return max(error**2, 0.01 * self.given_.variance, 1e-9)
