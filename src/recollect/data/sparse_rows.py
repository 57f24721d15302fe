"""Rows: the ratings as sparse rows, in memory; and what training and prediction need of rows wherever they are.

AnyRows
├── Rows          in memory
└── StoredRows    on disk, in `stored`
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Int32, Int64
from scipy.sparse import csr_array


class AnyRows(ABC):
    """Sparse rows, in memory or on disk: what training and prediction need of them."""

    in_memory: ClassVar[bool]
    start: Int64[np.ndarray, " rows_and_one"]  # where each row's cells begin
    n_columns: int

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def counts(self) -> Int64[np.ndarray, " rows"]:
        """How many cells each row has."""
        return np.diff(self.start)

    @property
    def n_cells(self) -> int:
        """How many cells all rows have."""
        return int(self.start[-1])

    @property
    @abstractmethod
    def totals(self) -> Float64[np.ndarray, " rows"]:
        """The sum of each row's values."""

    @abstractmethod
    def take(self, rows: Int[np.ndarray, " some"]) -> Rows:
        """These rows, in this order; a row number of -1 gives an empty row."""

    @abstractmethod
    def minus(self, row_means: Float32[np.ndarray, " rows"]) -> AnyRows:
        """The same rows, a number per row taken off its values."""

    @abstractmethod
    def batches(self, size: int, order: Int64[np.ndarray, " rows"]) -> Iterator[Rows]:
        """Every row that has a cell once, `size` at a time. `order` holds each row number once and is drawn at random:
        rows in memory come in this order, those on disk near enough to it that each is read once."""


@dataclass(frozen=True, eq=False)
class Rows(AnyRows):
    """Sparse rows in memory: row j holds the cells start[j] … start[j + 1], each a column and a value, columns ascending.

    What is not listed is unknown, never zero: a listed value may well be 0.
    """

    start: Int64[np.ndarray, " rows_and_one"]
    column: Int32[np.ndarray, " cells"]
    value: Float32[np.ndarray, " cells"]
    n_columns: int
    in_memory: ClassVar[bool] = True

    @property
    def totals(self) -> Float64[np.ndarray, " rows"]:
        """The sum of each row's values."""
        return np.bincount(self.row, weights=self.value, minlength=len(self))

    def take(self, rows: Int[np.ndarray, " some"]) -> Rows:
        """These rows, in this order; a row number of -1 gives an empty row."""
        rows = np.asarray(rows, dtype=np.int64)
        known = rows >= 0
        counts = np.where(known, self.counts[rows] if len(self) else 0, 0)
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        first = np.where(known, self.start[rows], 0)
        cells = np.arange(start[-1]) + np.repeat(first - start[:-1], counts)
        return Rows(start, self.column[cells], self.value[cells], self.n_columns)

    def minus(self, row_means: Float32[np.ndarray, " rows"]) -> Rows:
        """The same rows, a number per row taken off its values."""
        return replace(self, value=self.value - row_means[self.row]) if row_means.any() else self

    def batches(self, size: int, order: Int64[np.ndarray, " rows"]) -> Iterator[Rows]:
        """See AnyRows."""
        order = order[self.counts[order] > 0]
        for first in range(0, len(order), size):
            yield self.take(order[first : first + size])

    def only_columns(self, keep: Bool[np.ndarray, " columns"]) -> Rows:
        """The same rows without the cells of other columns."""
        if keep.all():
            return self
        cell = keep[self.column]
        start = np.concatenate([[0], np.cumsum(cell)])[self.start]
        return Rows(start.astype(np.int64), self.column[cell], self.value[cell], self.n_columns)

    @cached_property
    def row(self) -> Int32[np.ndarray, " cells"]:
        """The row number of each cell."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.counts)

    @classmethod
    def stack(cls, parts: Sequence[Rows], *, n_columns: int) -> Rows:
        """The rows of all parts, one part after the other."""
        counts = np.concatenate([[0], *(part.counts for part in parts)])
        return cls(
            np.cumsum(counts).astype(np.int64),
            np.concatenate([np.empty(0, np.int32), *(part.column for part in parts)]),
            np.concatenate([np.empty(0, np.float32), *(part.value for part in parts)]),
            n_columns,
        )

    @classmethod
    def group(
        cls,
        row: Int[np.ndarray, " cells"],
        column: Int[np.ndarray, " cells"],
        value: Float32[np.ndarray, " cells"] | None = None,
        *,
        n_rows: int,
        n_columns: int,
    ) -> tuple[Rows, Int64[np.ndarray, " cells"]]:
        """Rows from loose cells, and the order that sorts the cells by row, then column (equal ones keep theirs)."""
        by_column, _ = _counted(column, n_columns)
        order, start = _counted(row[by_column], n_rows)
        order = by_column[order]
        value = np.ones(len(row), np.float32) if value is None else value
        return cls(start, column[order].astype(np.int32), value[order], n_columns), order


def _counted(
    key: Int[np.ndarray, " cells"], n: int
) -> tuple[Int64[np.ndarray, " cells"], Int64[np.ndarray, " n_and_one"]]:
    """The stable order that sorts keys of 0 to n - 1, and where each key starts: a counting sort, which is what SciPy does to
    transpose a matrix with one cell per row."""
    cells = csr_array(
        (np.empty(len(key), np.int8), key, np.arange(len(key) + 1)), shape=(len(key), n)
    ).tocsc()
    return cells.indices.astype(np.int64), cells.indptr.astype(np.int64)


def pieces(counts: Int64[np.ndarray, " rows"], *, rows: int, cells: int) -> Iterator[slice]:
    """Slices of rows that have these counts, each of at most so many rows and cells (or one row)."""
    until, first = np.cumsum(counts), 0
    while first < len(counts):
        done = until[first - 1] if first else 0
        last = min(
            first + rows, max(first + 1, int(np.searchsorted(until, done + cells, side="right")))
        )
        yield slice(first, min(last, len(counts)))
        first = last
