"""Local models: descent on all of them, and the ridge regressions that give a new row its factors in each.

A rating's weight in a local model is the product of one number of its user and one of its item; it is never kept. A model alone
is one thread's, models together descend in cells of users and items as in `descent`, and a row's equations are one thread's: the
numbers do not depend on how many threads there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64

from recollect.kernels.backends import cpu
from recollect.kernels.compiled import llorma, ridge
from recollect.kernels.sgd import GROUPS, _groups


@dataclass(frozen=True, eq=False)
class Weights:
    """Of each local model: its weights of users and of items, what brings their mean over its ratings to 1, and the λ that a
    rating of weight 1 brings with it."""

    user: Float32[np.ndarray, "models users"]
    item: Float32[np.ndarray, "models items"]
    scale: Float32[np.ndarray, " models"]
    reg_user: Float32[np.ndarray, "models users"]
    reg_item: Float32[np.ndarray, "models items"]


class Descent:
    """Local models and the ratings they learn from.

    `user` and `item` are factors with zero columns added to a multiple of 16; `b_user` and `b_item` offsets.
    """

    def __init__(
        self,
        user: Int32[np.ndarray, " ratings"],
        item: Int32[np.ndarray, " ratings"],
        value: Float32[np.ndarray, " ratings"],
        weights: Weights,
        *,
        factors: int,
        together: bool,
    ) -> None:
        self.weights, self.together = weights, together
        (models, n_users), n_items, width = (
            weights.user.shape,
            weights.item.shape[1],
            -(-factors // 16) * 16,
        )
        cell = (
            _groups(user, n_users)[user].astype(np.int64) * GROUPS + _groups(item, n_items)[item]
            if together
            else user
        )
        order = np.lexsort((item, user, cell))  # whatever order the ratings came in
        self._cells = np.searchsorted(cell[order], np.arange(GROUPS * GROUPS + 1))
        self._ratings = user[order], item[order], value[order].astype(np.float32)
        self.user, self.item = (
            np.zeros((models, n, width), np.float32) for n in (n_users, n_items)
        )
        self.b_user, self.b_item = (np.zeros((models, n), np.float32) for n in (n_users, n_items))

    def epoch(self, *, rate: float, seed: int, offsets: bool) -> tuple[float, float]:
        """Steps on every rating, in an order drawn from the seed: p += rate · w · (error · q − λ p), and so for q and, with
        offsets, for them. The sum of squared errors, each before its step, and that of their weights."""
        w, steps = self.weights, (np.float32(rate), np.float32(rate if offsets else 0.0))
        learned = self.user, self.item, self.b_user, self.b_item, w.reg_user, w.reg_item
        with cpu.one_at_a_time:
            numba.set_num_threads(_threads())
            if self.together:
                errors, n = llorma.joint(
                    self._cells,
                    *self._ratings,
                    w.user,
                    w.item,
                    *learned,
                    *steps,
                    np.uint64(seed),
                    GROUPS,
                )
            else:
                order = np.random.default_rng(seed).permutation(len(self._ratings[0]))
                errors, n = llorma.alone(
                    *(x[order] for x in self._ratings), w.user, w.item, w.scale, *learned, *steps
                )
        return float(errors), float(n)


@dataclass(frozen=True, eq=False)
class Board:
    """Sparse rows, and of each cell: its value, 1 / the sum of its weights over local models, and what these say together."""

    start: Int64[np.ndarray, " rows_and_one"]
    column: Int32[np.ndarray, " cells"]
    value: Float32[np.ndarray, " cells"]
    share: Float32[np.ndarray, " cells"]
    said: Float32[np.ndarray, " cells"]


def turn(
    board: Board,
    weight_row: Float32[np.ndarray, " rows"],
    weight_column: Float32[np.ndarray, " columns"],
    *,
    features: Float32[np.ndarray, "columns k"],
    offset: Float32[np.ndarray, " columns"],
    factors: Float32[np.ndarray, "rows k"],
    reg: Float32[np.ndarray, " rows"],
    together: bool,
) -> Float32[np.ndarray, "rows k"]:
    """The rows' factors in one local model, in place of these: a ridge regression each, every cell with its weight.

    λ is reg times the sum of the row's weights. Alone the model explains the values; together with the others, what these leave
    of them, and `said` is kept up to date. A row without weight keeps its factors. See `llorma.turn`.
    """
    k, rows = features.shape[1], len(board.start) - 1
    width = -(-k // 32) * 32
    wide, own = (
        np.ascontiguousarray(np.pad(x, ((0, 0), (0, width - k)))) for x in (features, factors)
    )
    with cpu.one_at_a_time:
        numba.set_num_threads(threads := _threads())
        work = board.start + np.arange(rows + 1) * np.int64(
            k // 3 + 1
        )  # cells, and what factoring costs
        shares = np.searchsorted(work, np.linspace(0, work[-1], 8 * threads + 1))
        shares[0], shares[-1] = 0, rows
        rooms = np.zeros((8 * threads, width * (width + ridge.PACK + 2)), np.float32)
        llorma.turn(
            board.start,
            board.column,
            board.value,
            board.share,
            board.said,
            weight_row,
            weight_column,
            wide,
            offset,
            own,
            k,
            reg,
            together,
            shares,
            rooms,
            np.zeros(rows, np.bool_),
        )
    return np.ascontiguousarray(own[:, :k])


def _threads() -> int:
    return min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
