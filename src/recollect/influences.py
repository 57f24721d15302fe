"""What a score owes to each rating of a row: the row folded in with it, and without it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from recollect.data.sparse_rows import Rows
from recollect.unseen import BLOCK_CELLS


class Influences(ABC):
    """The part of a model that says what its scores owe to each rating.

    `influences` is what a model overrides that has its scores as sums over the ratings.
    """

    @abstractmethod
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """Raw predictions of every item for new users, from a sparse row of item ratings each."""

    def influences(
        self,
        rows: Rows,
        items: Int[np.ndarray, "people some"],
        *,
        only: Bool[np.ndarray, " cells"] | None = None,
    ) -> Float32[np.ndarray, "cells some"]:
        """By how much each rating of a row raises the scores of some items.

        By default each rating is left out in turn, and the row folded in without it: the score with
        it, less the score without. A model whose scores are sums over the ratings gives the
        summands. Both are about the score that `fold_in` gives, for known users as for new ones.

        Args:
            rows: sparse rows of item ratings.
            items: row numbers of items, the same number for each row.
            only: the cells that are asked for; the others are NaN, unless they cost nothing. None:
                all.
        """
        cell = np.arange(rows.n_cells) if only is None else np.flatnonzero(only)
        influence = np.full((rows.n_cells, items.shape[1]), np.nan, np.float32)
        whole = self._scores_at(rows, items)
        step = max(1, BLOCK_CELLS // max(1, rows.n_columns))

        for first in range(0, len(cell), step):
            left_out = cell[first : first + step]
            person = rows.row[left_out]
            without = _without(rows.take(person), left_out - rows.start[person])
            influence[left_out] = whole[person] - self._scores_at(without, items[person])

        return influence

    def _scores_at(
        self, rows: Rows, items: Int[np.ndarray, "people some"]
    ) -> Float32[np.ndarray, "people some"]:
        """The scores of some items for each row."""
        return np.take_along_axis(self.fold_in(rows), items, axis=1)


def _without(rows: Rows, place: Int64[np.ndarray, " rows"]) -> Rows:
    """The rows, each without the cell at a place, counted from its first one."""
    is_kept = np.ones(rows.n_cells, bool)
    is_kept[rows.start[:-1] + place] = False
    start = rows.start - np.arange(len(rows) + 1)

    return Rows(start, rows.column[is_kept], rows.value[is_kept], rows.n_columns)
