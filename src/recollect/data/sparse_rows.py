"""Rows: ratings as sparse rows.

AnyRows           what training and prediction need of rows, in memory or on disk
├── Rows          in memory
└── StoredRows    on disk (on_disk/stored_rows.py)
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
from typing_extensions import override


class AnyRows(ABC):
    """Sparse rows, in memory or on disk: what training and prediction need of them.

    The cells of row j are those from start[j] up to start[j + 1].
    """

    in_memory: ClassVar[bool]
    start: Int64[np.ndarray, " rows_and_one"]
    n_columns: int

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def counts(self) -> Int64[np.ndarray, " rows"]:
        """Number of cells in each row."""
        return np.diff(self.start)

    @property
    def n_cells(self) -> int:
        """Number of cells in all rows."""
        return int(self.start[-1])

    @property
    @abstractmethod
    def totals(self) -> Float64[np.ndarray, " rows"]:
        """Sum of each row's values; on disk, before row means are subtracted."""

    @abstractmethod
    def take(self, rows: Int[np.ndarray, " some"]) -> Rows:
        """These rows, in this order; a row number of -1 gives an empty row."""

    @abstractmethod
    def minus(self, row_means: Float32[np.ndarray, " rows"]) -> AnyRows:
        """The same rows with a number per row subtracted from its values."""

    @abstractmethod
    def batches(self, size: int, order: Int64[np.ndarray, " rows"]) -> Iterator[Rows]:
        """Every row that has a cell once, `size` at a time.

        `order` is a random permutation of the row numbers. Rows in memory are given in this order,
        those on disk in an order near it in which each is read once.
        """


@dataclass(frozen=True, eq=False)
class Rows(AnyRows):
    """Sparse rows in memory.

    A cell that is not listed is unknown, never zero; a listed value may be 0.

    Args:
        start: the first cell of each row, and the number of all cells.
        column: of each cell, ascending within a row.
        value: of each cell.
        n_columns: columns of each row.
    """

    start: Int64[np.ndarray, " rows_and_one"]
    column: Int32[np.ndarray, " cells"]
    value: Float32[np.ndarray, " cells"]
    n_columns: int
    in_memory: ClassVar[bool] = True

    @property
    @override
    def totals(self) -> Float64[np.ndarray, " rows"]:
        n_rows = len(self)
        return np.bincount(self.row, weights=self.value, minlength=n_rows)

    @override
    def take(self, rows: Int[np.ndarray, " some"]) -> Rows:
        rows = np.asarray(rows, dtype=np.int64)
        is_known = rows >= 0
        # Without rows there is no count to look up, not even for the index -1.
        listed = self.counts[rows] if len(self) else 0
        counts = np.where(is_known, listed, 0)
        ends = np.cumsum(counts)
        start = np.concatenate([[0], ends]).astype(np.int64)
        # A cell lies as far from the first cell of its row as it does in these rows.
        first = np.where(is_known, self.start[rows], 0)
        shift = np.repeat(first - start[:-1], counts)
        cells = np.arange(start[-1]) + shift

        return Rows(start, self.column[cells], self.value[cells], self.n_columns)

    @override
    def minus(self, row_means: Float32[np.ndarray, " rows"]) -> Rows:
        if not row_means.any():
            return self
        return replace(self, value=self.value - row_means[self.row])

    @override
    def batches(self, size: int, order: Int64[np.ndarray, " rows"]) -> Iterator[Rows]:
        has_cells = self.counts[order] > 0
        order = order[has_cells]

        for first in range(0, len(order), size):
            rows = order[first : first + size]
            yield self.take(rows)

    def as_csr(self) -> csr_array:
        """The same as a SciPy matrix, in which an unknown cell is 0."""
        return csr_array((self.value, self.column, self.start), shape=(len(self), self.n_columns))

    def only_columns(self, keep: Bool[np.ndarray, " columns"]) -> Rows:
        """The same rows, of the same width, with cells only in the columns of a mask."""
        if keep.all():
            return self

        is_kept = keep[self.column]
        n_kept_before = np.concatenate([[0], np.cumsum(is_kept)])
        start = n_kept_before[self.start].astype(np.int64)

        return Rows(start, self.column[is_kept], self.value[is_kept], self.n_columns)

    @cached_property
    def row(self) -> Int32[np.ndarray, " cells"]:
        """The row number of each cell."""
        rows = np.arange(len(self), dtype=np.int32)
        return np.repeat(rows, self.counts)

    @classmethod
    def stack(cls, parts: Sequence[Rows], *, n_columns: int) -> Rows:
        """The rows of all parts, one part after the other; no parts give no rows."""
        # Each list begins with an entry without cells, which also serves where there are no parts.
        counts = [np.zeros(1, np.int64)]
        columns = [np.empty(0, np.int32)]
        values = [np.empty(0, np.float32)]

        for part in parts:
            counts.append(part.counts)
            columns.append(part.column)
            values.append(part.value)

        start = np.cumsum(np.concatenate(counts))

        return cls(
            start.astype(np.int64),
            np.concatenate(columns),
            np.concatenate(values),
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
        """Rows from cells in any order, and the order that sorts the cells by row and column.

        Cells of one row and column stay in their order.

        Args:
            row: of each cell.
            column: of each cell.
            value: of each cell; None: 1.
            n_rows: rows in all, with or without cells.
            n_columns: columns in all.

        Returns: the rows, and the index of the cell in each of their cells.
        """
        by_column, _ = _counting_sort(column, n_columns)
        by_row, start = _counting_sort(row[by_column], n_rows)
        order = by_column[by_row]
        if value is None:
            value = np.ones(len(row), np.float32)

        rows = cls(start, column[order].astype(np.int32), value[order], n_columns)

        return rows, order


def _counting_sort(
    key: Int[np.ndarray, " cells"], n: int
) -> tuple[Int64[np.ndarray, " cells"], Int64[np.ndarray, " n_and_one"]]:
    """The stable order that sorts keys of 0 to n - 1, and the place where each key begins."""
    # SciPy transposes a matrix by counting; with one cell per row, in the column of its key, the
    # columns of the result are the rows sorted by key.
    data = np.empty(len(key), np.int8)
    one_a_row = np.arange(len(key) + 1)
    cells = csr_array((data, key, one_a_row), shape=(len(key), n))
    by_key = cells.tocsc()
    order = by_key.indices.astype(np.int64)
    start = by_key.indptr.astype(np.int64)

    return order, start


def pieces(counts: Int64[np.ndarray, " rows"], *, rows: int, cells: int) -> Iterator[slice]:
    """Slices of rows with a limited number of cells; a longer row is a slice of its own.

    Args:
        counts: cells of each row.
        rows: the most rows in a slice.
        cells: the most cells in a slice of more than one row.
    """
    cells_until = np.cumsum(counts)  # the cells of each row and those before it
    first = 0

    while first < len(counts):
        n_before = cells_until[first - 1] if first else 0
        fitting = int(np.searchsorted(cells_until, n_before + cells, side="right"))
        at_least_one = max(fitting, first + 1)
        stop = min(at_least_one, first + rows, len(counts))
        yield slice(first, stop)
        first = stop
