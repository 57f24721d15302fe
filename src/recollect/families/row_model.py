"""RowModel: a row of the rating matrix in, the row completed out; the rows' part of what a model is."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Int64
from torch import Tensor
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import AnyRows, Rows, pieces
from recollect.families.fold_in import OutputColumns
from recollect.kernels import Block
from recollect.model import Model
from recollect.training.history import ValidationMetric

BLOCK_ROWS = 8_192  # sparse rows encoded at once when predicting, at most
BLOCK_RATINGS = 4_000_000  # their cells, at most
Part = tuple[
    Block, Block, np.ndarray | None, np.ndarray
]  # input, cells asked for, what to add to them, their places


@dataclass(kw_only=True, eq=False)
class RowModel(Model):
    """A row of the rating matrix → the row completed.

    `side="item"`: a row is an item, its columns the users; `side="user"`: the other way round. The network has
    `encode(block) → codes`, what its last layer sees, and `decode(codes, at=None, columns=None) → ratings`, at the cells of
    `at`, or at these columns, or everywhere; `output`, with that layer's weight and bias; and its activation `f`.
    """

    side: Side = "item"  # what a row is
    center: bool = False  # a row's mean is taken off its cells and put back on its predictions
    reg: float = 0.0  # lambda on every weight matrix

    @property
    @abstractmethod
    def linear(self) -> bool:
        """Whether the output is a linear function of the code."""

    @property
    def other_side(self) -> Side:
        """What a column is."""
        return "user" if self.side == "item" else "item"

    def row_means(self, rows: AnyRows) -> Float32[np.ndarray, " rows"]:
        """What is taken off the cells of each row, and is to be added to the network's output: 0 unless `center`."""
        if not self.center:
            return np.zeros(len(rows), np.float32)
        return np.where(
            rows.counts > 0, rows.totals / np.maximum(rows.counts, 1), self.given_.mean
        ).astype(np.float32)

    def inputs(self, rows: Rows) -> tuple[Rows, Float32[np.ndarray, " rows"]]:
        """The rows as the network sees them, and what is to be added to its output per row."""
        middle = self.row_means(rows)
        return rows.minus(middle), middle

    def block(self, rows: Rows) -> Block:
        """Rows on the network's device."""
        return Block.of(rows, self._device)

    def validation(self, train: AnyRatings, valid: Ratings | None) -> ValidationMetric | None:
        """The RMSE on `valid`, predicted from `train`, with that of predicting the mean of `train` as par; None without
        validation ratings.

        Pairs whose user or item is cold count with the value they would get.
        """
        if valid is None or not len(valid):
            return None
        row, column = self._row_column(valid.user, valid.item)
        cold = self.is_cold(valid.user, valid.item, given=train)
        parts = list(
            itertools.islice(self._parts(self._visible(train), row[~cold], column[~cold]), 2)
        )
        keep = len(parts) == 1  # several are made anew each time: together they may be large
        if not keep:
            parts.clear()

        def rmse() -> float:
            predicted = np.full(len(valid), self.cold_value, np.float32)
            found = parts if keep else self._parts(self._visible(train), row[~cold], column[~cold])
            predicted[~cold] = self._collect(found, int((~cold).sum()))
            error = (self.within_scale(predicted) - valid.value).astype(np.float64)
            return float(np.sqrt(np.mean(error**2)))

        return ValidationMetric(
            "valid_rmse", rmse, baseline=float(np.sqrt(np.mean((valid.value - train.mean) ** 2)))
        )

    @override
    def needs_fold_in(self, user: Int[np.ndarray, " users"]) -> Bool[np.ndarray, " users"]:
        if self.side == "user":  # a new user is one more row
            return np.zeros(len(user), bool)
        return super().needs_fold_in(user)

    @override
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        row, column = self._row_column(user, item)
        return self._collect(self._parts(self._visible(given), row, column), len(user))

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        if self.side == "user":
            return self._complete(self._visible(given).take(user))
        codes, row_means = self._codes(given)
        columns = torch.as_tensor(user, device=self._device)
        scores: np.ndarray = self.net_.decode(codes, columns=columns).cpu().numpy().T
        return scores + row_means if self.center else scores

    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """See Model. `side="user"`: one pass over their ratings. `side="item"`: a ridge solve of their output row on the
        item codes (see `foldin`)."""
        rows = rows.only_columns(self.given_.count("item") > 0)
        with torch.no_grad():
            if self.side == "user":
                return self._complete(rows)
            codes, middle = self._codes(self.given_)
            out = np.empty((len(rows), rows.n_columns), np.float32)
            for j in range(len(rows)):
                cells = slice(rows.start[j], rows.start[j + 1])
                seen = torch.as_tensor(rows.column[cells], device=self._device).long()
                value = torch.as_tensor(
                    rows.value[cells] - middle[rows.column[cells]], device=self._device
                )
                found = self.columns().solve(
                    codes[seen], value, codes, f=self.net_.f, linear=self.linear
                )
                out[j] = found.cpu().numpy() + middle
            return out

    def _forget(self) -> None:
        self._kept_codes: tuple[Tensor, np.ndarray] | None = None
        self._kept_columns: OutputColumns | None = None

    def columns(self) -> OutputColumns:
        """What the fitted output columns are like; worked out once."""
        if self._kept_columns is None:
            layer = self.net_.output
            seen = torch.as_tensor(self._fitted_columns() > 0, device=layer.weight.device)
            found = torch.cat([layer.weight.detach()[seen], layer.bias.detach()[seen, None]], dim=1)
            self._kept_columns = OutputColumns.of(
                found, variance=self._residual_variance(), reg=self.reg
            )
        return self._kept_columns

    def _residual_variance(self) -> float:
        """σ²: the squared error on validation, else on train; at least a hundredth of the ratings' variance."""
        seen = self.history_.column("train_rmse")
        error = (
            self.history_.best_valid_rmse
            if math.isfinite(self.history_.best_valid_rmse)
            else seen[-1][1]
            if seen
            else 0.0
        )
        return max(error**2, 0.01 * self.given_.variance, 1e-9)

    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """Rows: their codes. OutputColumns: their output weights. Both less their mean."""
        with torch.no_grad():
            found = (
                (self._codes(self.given_)[0] if side == self.side else self.net_.output.weight)
                .cpu()
                .numpy()
            )
            return found - found[self.given_.count(side) > 0].mean(axis=0)

    # --- the rows, part by part -----------------------------------------------------------------------------------

    def _row_column(self, user: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (item, user) if self.side == "item" else (user, item)

    @property
    def _device(self) -> torch.device:
        return next(self.net_.parameters()).device

    def _fitted_columns(self) -> np.ndarray:
        return self.given_.count(self.other_side)

    def _visible(self, given: AnyRatings) -> AnyRows:
        """The given rows without columns that fitting never saw: their weights mean nothing."""
        rows = given.rows(self.side)
        return (
            rows
            if given is self.given_ or not isinstance(rows, Rows)
            else rows.only_columns(self._fitted_columns() > 0)
        )

    def _parts(self, rows: AnyRows, row: np.ndarray, column: np.ndarray) -> Iterator[Part]:
        """Input block, cells asked for, what to add to them, and where they go in the answer; a part holds few rows."""
        asked, place = Rows.group(row, column, n_rows=len(rows), n_columns=rows.n_columns)
        wanted = np.flatnonzero(asked.counts)
        for part in pieces(rows.counts[wanted], rows=BLOCK_ROWS, cells=BLOCK_RATINGS):
            some = wanted[part]
            here = slice(asked.start[some[0]], asked.start[some[-1] + 1])
            start = np.append(asked.start[some], here.stop) - here.start
            seen, middle = self.inputs(rows.take(some))
            at = Block(start, asked.column[here], n_columns=rows.n_columns, device=self._device)
            yield (
                self.block(seen),
                at,
                np.repeat(middle, np.diff(start)) if self.center else None,
                place[here],
            )

    def _collect(self, parts: Iterable[Part], n: int) -> Float32[np.ndarray, " pairs"]:
        out = np.empty(n, np.float32)
        with torch.no_grad():
            for block, at, middle, place in parts:
                found = self.net_.decode(self.net_.encode(block), at).cpu().numpy()
                out[place] = found if middle is None else found + middle
        return out

    def _complete(self, rows: Rows) -> Float32[np.ndarray, "rows columns"]:
        seen, middle = self.inputs(rows)
        return self.net_.decode(self.net_.encode(self.block(seen))).cpu().numpy() + middle[:, None]

    @torch.no_grad()
    def _codes(self, given: AnyRatings) -> tuple[Tensor, np.ndarray]:
        """The code of every row, and what to add to its output; kept for the ratings the model was fitted on."""
        if given is self.given_ and self._kept_codes:
            return self._kept_codes
        rows, codes, middles = self._visible(given), [], []
        for part in pieces(rows.counts, rows=BLOCK_ROWS, cells=BLOCK_RATINGS):
            seen, middle = self.inputs(rows.take(np.arange(part.start, part.stop)))
            codes.append(self.net_.encode(self.block(seen)))
            middles.append(middle)
        found = torch.cat(codes), np.concatenate(middles)
        if given is self.given_:
            self._kept_codes = found
        return found
