"""RowModel: a row of the rating matrix in, the completed row out.

A concrete model writes `build`, `learn`, `check` and `linear`. Where it differs from a plain
autoencoder it overrides a hook, never anything else:

    rows_are_independent    whether the code of a row depends on this row alone
    train_rmse              the error on the training ratings
    output_columns          the fitted output columns, and output_reg, the λ they were fitted with
    inputs, shifts_rows     what the network sees of a row, and what is added to its output
    fold_in_columns         new users of a network whose columns are users
    column_vectors          vectors for similarity between columns
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Int64
from torch import Tensor
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import AnyRows, Rows, pieces
from recollect.families.fold_in import OutputColumns
from recollect.families.prediction_batch import PredictionBatch
from recollect.families.vectors import centered
from recollect.kernels import Block
from recollect.model import Model
from recollect.settings import setting
from recollect.system.once import Once
from recollect.training.early_stopping import ValidationMetric

SIDES = ("user", "item")
BLOCK_ROWS = 8_192  # sparse rows encoded at once when predicting, at most
BLOCK_RATINGS = 4_000_000  # their cells, at most
MIN_VARIANCE_SHARE = 0.01  # of the ratings' variance: the least that residuals are taken to have


@dataclass(kw_only=True, eq=False)
class RowModel(Model):
    """A model that completes rows of the rating matrix.

    With `side="item"` a row is an item and its columns are the users; with `side="user"` it is the
    other way round. The network has

        encode(block)                        the codes of sparse rows: the input of its last layer
        decode(codes, at=…, columns=…)       ratings at given cells, at given columns, or everywhere
        output                               the last layer, with `weight` and `bias`
        f                                    its activation
    """

    # Whether the code of a row depends on this row alone. If not, all rows are encoded together.
    rows_are_independent: ClassVar[bool] = True

    side: Side = setting("item", one_of=SIDES)  # what a row is
    # A row's mean is subtracted from its ratings and added to its predictions.
    center: bool = False
    reg: float = setting(0.0, at_least=0)  # lambda on every weight matrix

    @property
    @abstractmethod
    def linear(self) -> bool:
        """Whether the output is a linear function of the code."""

    @property
    def other_side(self) -> Side:
        """What a column is."""
        return "user" if self.side == "item" else "item"

    # What the network sees of the ratings.

    @property
    def shifts_rows(self) -> bool:
        """Hook: whether a number per row, of `inputs`, is added to the network's output."""
        return self.center

    def row_means(self, rows: AnyRows) -> Float32[np.ndarray, " rows"]:
        """What is subtracted from each row and added to the network's output: 0 unless `center`."""
        if not self.center:
            return np.zeros(len(rows), np.float32)

        n_ratings = np.maximum(rows.counts, 1)
        means = rows.totals / n_ratings
        # A row without ratings has no mean of its own.
        row_means = np.where(rows.counts > 0, means, self.given_.mean)

        return row_means.astype(np.float32)

    def inputs(self, rows: Rows) -> tuple[Rows, Float32[np.ndarray, " rows"]]:
        """Hook: the rows as the network sees them, and what to add to the output of each row."""
        row_means = self.row_means(rows)
        centered_rows = rows.minus(row_means)
        return centered_rows, row_means

    def block(self, rows: Rows) -> Block:
        """Rows on the network's device."""
        return Block.of(rows, self.device)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        first = next(self.net_.parameters())
        return first.device

    def usable_rows(self, given: AnyRatings) -> AnyRows:
        """The given rows without the columns that had no ratings in the fit.

        The weights of such columns were never trained.
        """
        rows = given.rows(self.side)
        if given is self.given_ or not isinstance(rows, Rows):
            return rows

        return rows.only_columns(self.fitted_columns())

    def fitted_columns(self) -> Bool[np.ndarray, " columns"]:
        """The columns that had ratings in the fit."""
        n_ratings = self.given_.count(self.other_side)
        return n_ratings > 0

    def rows_and_columns(
        self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The row and the column of each pair of a user and an item."""
        if self.side == "item":
            return item, user
        return user, item

    # Validation and what is left unexplained.

    def validation(self, train: AnyRatings, valid: Ratings | None) -> ValidationMetric | None:
        """The RMSE on `valid`, predicted from `train`; None without validation ratings.

        Pairs whose user or item is unknown count with their default prediction. The baseline is
        the RMSE of predicting the mean of `train`.
        """
        if valid is None or not len(valid):
            return None

        error = valid.value - train.mean
        baseline = float(np.sqrt(np.mean(error**2)))
        rmse = _ValidationRMSE(self, train, valid)

        return ValidationMetric("valid_rmse", rmse, baseline=baseline)

    def residual_variance(self) -> float:
        """σ²: the squared error on validation, without validation that on the training ratings.

        At least a hundredth of the ratings' variance, so that an overfitted network does not
        pass for an exact one.
        """
        rmse = self.history_.best_valid_rmse
        if not math.isfinite(rmse):
            rmse = self.train_rmse()

        least = MIN_VARIANCE_SHARE * self.given_.variance

        # If all ratings are equal both are 0, and fold-in without a λ may have no one solution.
        return max(rmse**2, least, 1e-9)

    def train_rmse(self) -> float:
        """Hook: the RMSE on the training ratings; by default that of the last epoch, or 0."""
        measured = self.history_.column("train_rmse")
        if not measured:
            return 0.0

        _, last = measured[-1]

        return last

    # Predictions.

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
        row, column = self.rows_and_columns(user, item)
        rows = self.usable_rows(given)
        batches = self.batches(rows, row, column)
        return self.predict_batches(batches, len(user))

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        if self.side == "user":
            rows = self.usable_rows(given)
            return self.complete(rows.take(user))

        codes, row_means = self.codes(given)
        columns = torch.as_tensor(user, device=self.device)
        decoded = self.net_.decode(codes, columns=columns)
        scores: np.ndarray = decoded.cpu().numpy().T  # items × users, turned

        if self.shifts_rows:
            scores = scores + row_means

        return scores

    def batches(
        self, rows: AnyRows, row: Int[np.ndarray, " pairs"], column: Int[np.ndarray, " pairs"]
    ) -> Iterator[PredictionBatch]:
        """The cells to predict, a few rows at a time.

        Args:
            rows: every row, as the ratings are.
            row: the row number of each cell to predict.
            column: its column.
        """
        cells, position = Rows.group(row, column, n_rows=len(rows), n_columns=rows.n_columns)

        for numbers in self._rows_together(rows, with_cells=cells.counts > 0):
            # Rows between those of a batch have no cells, so the batch's cells are one slice.
            first_cell = cells.start[numbers[0]]
            end_cell = cells.start[numbers[-1] + 1]
            part = slice(first_cell, end_cell)
            start = np.append(cells.start[numbers], end_cell) - first_cell
            to_predict = Block(
                start, cells.column[part], n_columns=rows.n_columns, device=self.device
            )

            block_rows, row_means = self.inputs(rows.take(numbers))
            row_mean = None
            if self.shifts_rows:
                row_mean = np.repeat(row_means, np.diff(start))

            yield PredictionBatch(self.block(block_rows), to_predict, row_mean, position[part])

    def _rows_together(
        self, rows: AnyRows, *, with_cells: Bool[np.ndarray, " rows"]
    ) -> Iterator[Int64[np.ndarray, " batch"]]:
        """The row numbers of each batch: rows with cells to predict, or all if rows interact."""
        if not self.rows_are_independent:
            yield np.arange(len(rows))
            return

        numbers = np.flatnonzero(with_cells)

        for part in pieces(rows.counts[numbers], rows=BLOCK_ROWS, cells=BLOCK_RATINGS):
            yield numbers[part]

    @torch.no_grad()
    def predict_batches(
        self, batches: Iterable[PredictionBatch], n: int
    ) -> Float32[np.ndarray, " pairs"]:
        """Predictions of all cells of the batches, n in all, in the order they were asked for."""
        out = np.empty(n, np.float32)

        for batch in batches:
            codes = self.net_.encode(batch.block)
            predicted = self.net_.decode(codes, batch.cells).cpu().numpy()
            if batch.row_mean is not None:
                predicted = predicted + batch.row_mean

            out[batch.position] = predicted

        return out

    @torch.no_grad()
    def complete(self, rows: Rows) -> Float32[np.ndarray, "rows columns"]:
        """The whole rows, predicted from their ratings."""
        inputs, row_means = self.inputs(rows)
        block = self.block(inputs)
        codes = self.net_.encode(block)
        completed = self.net_.decode(codes)
        output = completed.cpu().numpy()

        return output + row_means[:, None]

    # Codes and output columns; those of the fitted ratings are computed once and kept.

    def codes(self, given: AnyRatings) -> tuple[Tensor, Float32[np.ndarray, " rows"]]:
        """The code of every row, and the mean to add to its output."""
        if given is self.given_:
            return self._fitted_codes.get(lambda: self._encode(given))
        return self._encode(given)

    @torch.no_grad()
    def _encode(self, given: AnyRatings) -> tuple[Tensor, Float32[np.ndarray, " rows"]]:
        rows = self.usable_rows(given)
        codes = []
        row_means = []

        # A row without ratings has a code, too: that of an empty row.
        every_row = np.ones(len(rows), bool)

        for numbers in self._rows_together(rows, with_cells=every_row):
            inputs, means = self.inputs(rows.take(numbers))
            codes.append(self.net_.encode(self.block(inputs)))
            row_means.append(means)

        return torch.cat(codes), np.concatenate(row_means)

    def column_prior(self) -> OutputColumns:
        """The normal prior of an output column, from the fitted columns."""
        return self._column_prior.get(self._estimate_column_prior)

    def _estimate_column_prior(self) -> OutputColumns:
        columns = self.output_columns()
        variance = self.residual_variance()
        return OutputColumns.of(columns, variance=variance, reg=self.output_reg)

    @torch.no_grad()
    def output_columns(self) -> Tensor:
        """Hook: the fitted output columns, each a row of weights and bias; columns × (k + 1)."""
        layer = self.net_.output
        fitted = torch.as_tensor(self.fitted_columns(), device=layer.weight.device)
        weight = layer.weight[fitted]
        bias = layer.bias[fitted, None]
        return torch.cat([weight, bias], dim=1)

    @property
    def output_reg(self) -> float:
        """Hook: λ on the output columns, beside squared errors; 0 if there is none like it."""
        return self.reg

    @override
    def _forget(self) -> None:
        self._fitted_codes: Once[tuple[Tensor, np.ndarray]] = Once()
        self._column_prior: Once[OutputColumns] = Once()

    # New users, and similarity.

    @override
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        is_known = self.given_.count("item") > 0
        rows = rows.only_columns(is_known)
        if self.side == "user":
            return self.complete(rows)

        return self.fold_in_columns(rows)

    @torch.no_grad()
    def fold_in_columns(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """Hook: new users of a network whose columns are users, from their ratings of items.

        By default an output column of each is solved from the codes of the items (`fold_in.py`).
        """
        codes, row_means = self.codes(self.given_)
        prior = self.column_prior()
        out = np.empty((len(rows), rows.n_columns), np.float32)

        for person in range(len(rows)):
            cells = slice(rows.start[person], rows.start[person + 1])
            item = rows.column[cells]
            index = torch.as_tensor(item, device=self.device).long()
            code = codes[index]
            residual = rows.value[cells] - row_means[item]
            value = torch.as_tensor(residual, device=self.device)
            predicted = prior.solve(code, value, codes, f=self.net_.f, linear=self.linear)
            out[person] = predicted.cpu().numpy() + row_means

        return out

    @override
    @torch.no_grad()
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The codes of rows, the `column_vectors` of columns; minus their mean."""
        if side == self.side:
            vectors, _ = self.codes(self.given_)
        else:
            vectors = self.column_vectors()

        return centered(self, side, vectors.cpu().numpy())

    def column_vectors(self) -> Tensor:
        """Hook: a vector per column; by default its output weights."""
        weight: Tensor = self.net_.output.weight
        return weight


class _ValidationRMSE:
    """The RMSE on validation ratings, of the network as it is at each call."""

    def __init__(self, model: RowModel, train: AnyRatings, valid: Ratings) -> None:
        self.model = model
        self.train = train
        self.valid = valid
        cold = model.is_cold(valid.user, valid.item, given=train)
        self.known = ~cold
        self.predicted = np.empty(len(valid), np.float32)  # a cold pair keeps its default
        self.predicted[cold] = model.predict_cold(valid.user[cold], valid.item[cold], given=train)
        # A single batch is kept from call to call. Several are made again each time, because
        # together they may take much memory.
        first_two = list(itertools.islice(self._make_batches(), 2))
        self.kept = first_two if len(first_two) == 1 else None

    def __call__(self) -> float:
        batches = self._make_batches() if self.kept is None else self.kept
        n_known = int(self.known.sum())
        self.predicted[self.known] = self.model.predict_batches(batches, n_known)
        clipped = self.model.within_scale(self.predicted)
        error = (clipped - self.valid.value).astype(np.float64)
        mean_square = np.mean(error**2)

        return float(np.sqrt(mean_square))

    def _make_batches(self) -> Iterator[PredictionBatch]:
        user = self.valid.user[self.known]
        item = self.valid.item[self.known]
        row, column = self.model.rows_and_columns(user, item)
        rows = self.model.usable_rows(self.train)
        return self.model.batches(rows, row, column)
