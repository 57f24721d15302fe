"""GradientRowModel: a row model whose network learns by gradient steps (`training/gradient.py`).

A concrete model writes `layers`, `penalty`, and a `learn` that hands its loss to `minimize`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import AnyRows, Rows
from recollect.families.event_columns import ColumnMap
from recollect.families.row_model import BLOCK_RATINGS, BLOCK_ROWS, RowModel
from recollect.memory_estimate import Memory, Shape, of_rows
from recollect.run import Run
from recollect.system.once import Once
from recollect.training import gradient
from recollect.training.early_stopping import ValidationMetric
from recollect.training.gradient_options import GradientOptions
from recollect.training.history import History
from recollect.training.offsets import REG_ITEM, REG_USER


@dataclass(kw_only=True, eq=False)
class GradientRowModel(RowModel):
    """A row model with the optimizer's settings: `epochs`, and any other of `GradientOptions`."""

    @property
    @abstractmethod
    def layers(self) -> tuple[int, ...]:
        """Hidden sizes, first to last."""

    @abstractmethod
    def penalty(self, net: Any) -> list[tuple[Tensor, float]]:
        """The weights that bear a penalty λ/2 · ‖weight‖², each with its λ."""

    @property
    def dense_matrices(self) -> int:
        """Hook: how many rows × columns matrices a training step holds, for the memory estimate."""
        return 0

    @property
    def ranked_cells(self) -> int:
        """Hook: how many cells validation ranks at once, for the memory estimate."""
        return 0

    @property
    def has_offsets(self) -> bool:
        """Hook: whether the bias model's offset of a row is added to what the network gives.

        If so, `net_.offsets` computes it, and the loss subtracts it from the ratings.
        """
        return False

    @property
    def row_reg(self) -> float:
        """λ of a row's offset."""
        return REG_ITEM if self.side == "item" else REG_USER

    @property
    @override
    def shifts_rows(self) -> bool:
        return self.center or self.has_offsets

    def training_rows(self, train: AnyRatings) -> AnyRows:
        """The rows that the network learns from: each minus its mean, if `center`."""
        rows = train.rows(self.side)
        # With offsets the network sees the ratings as they are.
        return rows if self.has_offsets else rows.minus(self.row_means(rows))

    @override
    def inputs(self, rows: Rows) -> tuple[Rows, Float32[np.ndarray, " rows"]]:
        if not self.has_offsets:
            return super().inputs(rows)

        return rows, self.net_.offsets(self.block(rows)).cpu().numpy()

    @override
    def _forget(self) -> None:
        super()._forget()
        self._column_map: Once[ColumnMap] = Once()

    def column_map(self) -> ColumnMap:
        """How the codes of those who choose an item give its output column; of models of events."""
        events = self.given_
        assert isinstance(events, Ratings)
        codes, _ = self.codes(events)
        layer = self.net_.output
        columns = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach()

        return self._column_map.get(lambda: ColumnMap.of(events, codes, columns))

    def options(self) -> GradientOptions:
        """The settings of the optimizer."""
        return GradientOptions.of(self)

    @override
    def check(self) -> None:
        self.options().check()

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        return of_rows(
            shape,
            run,
            side=self.side,
            hidden=self.layers,
            options=self.options(),
            block_rows=BLOCK_ROWS,
            block_ratings=BLOCK_RATINGS,
            dense=self.dense_matrices,
            ranked=self.ranked_cells,
        )

    def minimize(
        self,
        loss: gradient.Loss,
        train: AnyRatings,
        valid: Ratings | None,
        run: Run,
        *,
        options: GradientOptions | None = None,
        measure: ValidationMetric | None = None,
        figure: str = "train_rmse",
        validate_start: bool = False,
        hint: str = "",
    ) -> History:
        """Train `net_` on `training_rows`.

        Args:
            loss: of the network and a block of rows, as `gradient.fit` takes it.
            train: the ratings to learn from.
            valid: ratings that choose when to stop; None: all epochs.
            run: how to run the fit.
            options: the optimizer; default: as the model's settings say.
            measure: the metric that the fit is stopped by; default: the RMSE on `valid`.
            figure: the key of the training figure in the history.
            validate_start: whether the network before the first epoch may be the best one.
            hint: added to the message if training diverges.
        """
        if options is None:
            options = self.options()

        if measure is None:
            measure = self.validation(train, valid)

        return gradient.fit(
            self.net_,
            self.training_rows(train),
            loss,
            run,
            options,
            penalty=self.penalty,
            measure=measure,
            figure=figure,
            fit_key=self.fit_key(train, valid),
            column_cells=train.count(self.other_side) if options.lazy else None,
            validate_start=validate_start,
            hint=hint,
        )
