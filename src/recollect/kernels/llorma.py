"""Local models: descent on all of them, and the ridge regressions that give a row its factors in
each.

A rating's weight in a local model is the weight of its user times that of its item there; the
product is never stored. `recollect.kernels.reference.llorma` states each operation in plain NumPy.
The numbers do not depend on the number of threads: one thread descends each model where models
learn alone; where they learn jointly, cells of users and items are visited as in `kernels.sgd`;
and one thread solves each row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64

from recollect.kernels.compiled import llorma, llorma_ridge, ridge
from recollect.kernels.compiled.threads import (
    SHARES_PER_THREAD,
    equal_shares,
    one_at_a_time,
    work_of_solving,
)
from recollect.kernels.sgd import GROUPS, cell_of, padded_width


@dataclass(
    frozen=True,
    kw_only=True,
    eq=False,
)
class LocalWeights:
    """How much ratings weigh in each local model, and how strongly its factors are regularized."""

    user: Float32[np.ndarray, "models users"]  # weights of users
    item: Float32[np.ndarray, "models items"]  # weights of items
    scale: Float32[np.ndarray, " models"]  # 1 / the mean weight of a model's ratings
    # λ of a row for each rating of weight 1:
    reg_user: Float32[np.ndarray, "models users"]
    reg_item: Float32[np.ndarray, "models items"]


class LocalDescent:
    """Local models and the ratings they learn from.

    `user` and `item` are factors with zero columns added to a multiple of 16; `b_user` and
    `b_item` are offsets.
    """

    def __init__(
        self,
        user: Int32[np.ndarray, " ratings"],
        item: Int32[np.ndarray, " ratings"],
        value: Float32[np.ndarray, " ratings"],
        weights: LocalWeights,
        *,
        factors: int,
        joint: bool,
    ) -> None:
        """All factors and offsets are 0 at first.

        Args:
            user: row numbers of users, one for each rating.
            item: row numbers of items.
            value: what the models learn to predict.
            weights: of the users and items in each local model.
            factors: numbers of each user and item in a local model.
            joint: descend on the error of the models' weighted mean; False: each model on its own
                error.
        """
        self.weights = weights
        self.joint = joint
        n_models, n_users = weights.user.shape
        n_items = weights.item.shape[1]
        # Alone, each model is one thread's, so that threads need no cells of their own.
        cell = user
        if joint:
            cell = cell_of(user, item, n_users=n_users, n_items=n_items)

        # A fixed order, so that the numbers do not depend on the order in which the ratings came.
        order = np.lexsort((item, user, cell))
        self._cells = np.searchsorted(cell[order], np.arange(GROUPS * GROUPS + 1))
        self._ratings = (user[order], item[order], value[order].astype(np.float32))
        width = padded_width(factors)
        self.user = np.zeros((n_models, n_users, width), np.float32)
        self.item = np.zeros((n_models, n_items, width), np.float32)
        self.b_user = np.zeros((n_models, n_users), np.float32)
        self.b_item = np.zeros((n_models, n_items), np.float32)

    def epoch(self, *, rate: float, seed: int, offsets: bool) -> tuple[float, float]:
        """Take a step on every rating: p += rate · w · (error · q − λ p), and so for q and for
        offsets.

        Args:
            rate: length of a step, of a rating of mean weight.
            seed: of the order in which the ratings are visited.
            offsets: whether offsets learn, too.

        Returns:
            The sum of weighted squared errors, each before its step, and the sum of the weights.
        """
        offset_rate = rate if offsets else 0.0
        rates = (np.float32(rate), np.float32(offset_rate))
        descend = self._descend_jointly if self.joint else self._descend_alone

        with one_at_a_time():
            errors, total_weight = descend(rates, seed)

        return float(errors), float(total_weight)

    def _descend_jointly(
        self, rates: tuple[np.float32, np.float32], seed: int
    ) -> tuple[float, float]:
        """Take the steps of an epoch on the error of the models' weighted mean."""
        weights = self.weights
        errors, total_weight = llorma.descend_jointly(
            self._cells,
            *self._ratings,
            weights.user,
            weights.item,
            self.user,
            self.item,
            self.b_user,
            self.b_item,
            weights.reg_user,
            weights.reg_item,
            *rates,
            np.uint64(seed),
            GROUPS,
        )

        return errors, total_weight

    def _descend_alone(
        self, rates: tuple[np.float32, np.float32], seed: int
    ) -> tuple[float, float]:
        """Take the steps of an epoch on each model's own error."""
        weights = self.weights
        order = np.random.default_rng(seed).permutation(len(self._ratings[0]))
        errors, total_weight = llorma.descend_alone(
            *(column[order] for column in self._ratings),
            weights.user,
            weights.item,
            weights.scale,
            self.user,
            self.item,
            self.b_user,
            self.b_item,
            weights.reg_user,
            weights.reg_item,
            *rates,
        )

        return errors, total_weight


@dataclass(
    frozen=True,
    kw_only=True,
    eq=False,
)
class LocalCells:
    """Sparse rows whose factors in local models are to be solved for."""

    start: Int64[np.ndarray, " rows_and_one"]  # where each row's cells begin
    column: Int32[np.ndarray, " cells"]
    value: Float32[np.ndarray, " cells"]
    share: Float32[np.ndarray, " cells"]  # 1 / the sum of the cell's weights over all local models
    predicted: Float32[np.ndarray, " cells"]  # the weighted mean of all local models


def solve_rows(
    cells: LocalCells,
    weight_row: Float32[np.ndarray, " rows"],
    weight_column: Float32[np.ndarray, " columns"],
    *,
    features: Float32[np.ndarray, "columns k"],
    offset: Float32[np.ndarray, " columns"],
    factors: Float32[np.ndarray, "rows k"],
    reg: Float32[np.ndarray, " rows"],
    joint: bool,
) -> Float32[np.ndarray, "rows k"]:
    """The rows' factors in one local model: a weighted ridge regression for each row.

    Args:
        cells: the rows; of a joint solve, `predicted` is brought up to date.
        weight_row: the weight of each row in this model.
        weight_column: the weight of each column.
        features: what a row's factors are multiplied with, for each column.
        offset: what is added, for each column; a joint solve has it in `predicted`.
        factors: the rows' factors before; a row without weight keeps them.
        reg: λ of each row, times the sum of its cells' weights (in a joint solve, of their shares).
        joint: explain what the other models leave over; False: the values themselves.
    """
    k = features.shape[1]
    n_rows = len(cells.start) - 1
    wide_features = _in_tiles(features)
    solved = _in_tiles(factors)

    with one_at_a_time() as n_threads:
        work = work_of_solving(cells.start, k)
        shares = equal_shares(work, SHARES_PER_THREAD * n_threads)
        scratch = ridge.make_scratch(len(shares) - 1, solved.shape[1])
        llorma_ridge.solve_rows(
            cells.start,
            cells.column,
            cells.value,
            cells.share,
            cells.predicted,
            weight_row,
            weight_column,
            wide_features,
            offset,
            solved,
            k,
            reg,
            joint,
            shares,
            scratch,
            np.zeros(n_rows, np.bool_),
        )

    return np.ascontiguousarray(solved[:, :k])


def _in_tiles(matrix: Float32[np.ndarray, "rows k"]) -> Float32[np.ndarray, "rows width"]:
    """The matrix with columns of zeros added, for `compiled.ridge` works on tiles of 32."""
    k = matrix.shape[1]
    width = -(-k // 32) * 32  # rounded up
    padding = ((0, 0), (0, width - k))

    return np.ascontiguousarray(np.pad(matrix, padding))
