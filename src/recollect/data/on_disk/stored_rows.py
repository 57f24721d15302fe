"""StoredRows: sparse rows on disk, read a row group at a time.

Few row groups are in memory at once: those of the requested rows, and while training a window whose
rows are mixed and the next one, which a thread reads in the meantime.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Float64, Int, Int64
from typing_extensions import override

from recollect.data.on_disk.files import damaged
from recollect.data.rating_unit import IDENTITY, RatingUnit
from recollect.data.sparse_rows import AnyRows, Rows
from recollect.errors import DataError

WINDOW = 4  # row groups whose rows are mixed while training
CACHED = 4  # row groups kept in memory after `take`

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class StoredRows(AnyRows):
    """Sparse rows on disk, read a row group at a time.

    Args:
        path: of the Parquet file.
        start: where the cells of each row begin, as in Rows.
        total: the sum of each row's values, before row means are subtracted.
        n_columns: columns of each row.
        row_means: subtracted from the values of each row as they are read; None: nothing.
        unit: values are converted to it as they are read.
    """

    path: Path
    start: Int64[np.ndarray, " rows_and_one"]
    total: Float64[np.ndarray, " rows"]
    n_columns: int
    row_means: Float32[np.ndarray, " rows"] | None = None
    unit: RatingUnit = IDENTITY
    in_memory: ClassVar[bool] = False

    @property
    @override
    def totals(self) -> Float64[np.ndarray, " rows"]:
        return self.total

    @override
    def minus(self, row_means: Float32[np.ndarray, " rows"]) -> StoredRows:
        if not row_means.any():
            return self

        return replace(self, row_means=row_means)

    def in_unit(self, unit: RatingUnit) -> StoredRows:
        """The same rows with values in a unit, of ratings that are as on disk."""
        total = (self.total - unit.low * self.counts) / unit.size + self.counts
        return replace(self, total=total, unit=unit)

    @override
    def take(self, rows: Int[np.ndarray, " some"]) -> Rows:
        """These rows, in this order; a row number of -1 gives an empty row.

        Reads the row groups of these rows; the last few stay in memory.

        Raises:
            DataError: if the file is damaged.
        """
        return self._gather(rows, self._cached_group)

    @override
    def batches(self, size: int, order: Int64[np.ndarray, " rows"]) -> Iterator[Rows]:
        """Every row that has a cell once, `size` at a time, in the order of `batch_order`.

        A thread reads the next window in the meantime; it ends with the iteration.

        Raises:
            DataError: if the file is damaged.
        """
        remaining = Rows.stack([], n_columns=self.n_columns)

        def read(rows: Int64[np.ndarray, " some"]) -> Rows:
            return self._gather(rows, self._read_group)

        windows = prefetch(read, self._windows(order))

        for window in windows:
            rows = Rows.stack([remaining, window], n_columns=self.n_columns)
            first = 0

            while len(rows) - first >= size:
                yield rows.take(np.arange(first, first + size))
                first += size

            remaining = rows.take(np.arange(first, len(rows)))

        if len(remaining):
            yield remaining

    def batch_order(
        self, order: Int64[np.ndarray, " rows"]
    ) -> Int64[np.ndarray, " rows_with_cells"]:
        """The order of the rows in `batches`: row groups at random, the rows of a few mixed."""
        # The empty one is for rows without any cell, of which there is no window.
        empty = np.empty(0, np.int64)
        return np.concatenate([empty, *self._windows(order)])

    def _windows(self, order: Int64[np.ndarray, " rows"]) -> Iterator[Int64[np.ndarray, " some"]]:
        """The rows with cells of a few row groups at a time, in the order that is requested."""
        place = np.empty(len(self), np.int64)
        place[order] = np.arange(len(self))
        # A group comes where its first row comes, which is as random as the order.
        place_of_group = place[self._first_row[:-1]]
        groups = np.argsort(place_of_group)

        for begin in range(0, len(groups), WINDOW):
            window = groups[begin : begin + WINDOW].tolist()
            parts = [self._rows_of(group) for group in window]
            rows = np.concatenate(parts)
            has_cells = self.counts[rows] > 0
            rows = rows[has_cells]
            order_of_rows = np.argsort(place[rows])
            yield rows[order_of_rows]

    def values(self) -> Iterator[Float32[np.ndarray, " some"]]:
        """All values, before row means are subtracted, a row group at a time."""
        return map(self.unit.standard, self.column("value"))

    def column(self, name: Literal["row", "column", "value"]) -> Iterator[np.ndarray]:
        """One column of the file as it is on disk, a row group at a time."""
        for group in range(len(self._first_row) - 1):
            [values] = self._read_columns(group, [name])
            yield values

    @cached_property
    def _metadata(self) -> pq.FileMetaData:
        try:
            _ = self._identity  # which file the metadata are of
            return pq.read_metadata(self.path)
        except (OSError, pa.ArrowException) as problem:
            raise damaged(self.path, problem) from problem

    @cached_property
    def _identity(self) -> tuple[int, ...]:
        return _identity_of(self.path)

    def check_same_file(self) -> None:
        """Refuse a file that was replaced since it was opened: half of its rows would be another's.

        Raises:
            DataError: if it was, or is gone.
        """
        try:
            is_same = self._identity == _identity_of(self.path)
        except OSError:
            is_same = False

        if not is_same:
            raise DataError(
                f"{self.path} was replaced or removed since it was opened; open its folder again."
            )

    @cached_property
    def _first_row(self) -> Int64[np.ndarray, " groups_and_one"]:
        """The first row of each row group; rows without cells belong to the group before them.

        Raises:
            DataError: if a row group does not hold whole rows.
        """
        groups = range(self._metadata.num_row_groups)
        sizes = [self._metadata.row_group(group).num_rows for group in groups]
        first_cell = np.cumsum([0, *sizes])
        first_row = np.searchsorted(self.start, first_cell[:-1], side="right") - 1
        if first_cell[-1] != self.n_cells or (self.start[first_row] != first_cell[:-1]).any():
            raise damaged(
                self.path,
                f"its row groups hold {first_cell[-1]:,} cells, expected whole rows of "
                f"{self.n_cells:,}",
            )

        first_row[:1] = 0

        return np.append(first_row, len(self))

    def check(self) -> None:
        """Refuse a file whose row groups do not hold these rows.

        Raises:
            DataError: if they do not.
        """
        _ = self._first_row

    def _rows_of(self, group: int) -> Int64[np.ndarray, " rows_of_group"]:
        first = self._first_row[group]
        stop = self._first_row[group + 1]
        return np.arange(first, stop)

    def _read_columns(self, group: int, columns: list[str]) -> list[np.ndarray]:
        """Columns of a row group.

        Raises:
            DataError: if they cannot be read.
        """
        try:
            # The file is opened each time, because two threads must not share one.
            with pq.ParquetFile(
                self.path, metadata=self._metadata, page_checksum_verification=True
            ) as file:
                self.check_same_file()
                table = file.read_row_group(group, columns=columns, use_threads=False)

            return [table.column(name).to_numpy() for name in columns]
        except (OSError, KeyError, pa.ArrowException) as problem:
            raise damaged(self.path, problem) from problem

    def _read_group(self, group: int) -> Rows:
        """The rows of a row group."""
        first = self._first_row[group]
        stop = self._first_row[group + 1]
        # One more than the rows: where the cells of the last one end.
        start = self.start[first : stop + 1]
        column, value = self._read_columns(group, ["column", "value"])
        is_inside = (column >= 0) & (column < self.n_columns)
        if not (is_inside.all() and np.isfinite(value).all()):
            raise damaged(self.path, "it holds cells outside its columns, or no numbers")

        return Rows(start - start[0], column, self.unit.standard(value), self.n_columns)

    @cached_property
    def _cached_group(self) -> Callable[[int], Rows]:
        return lru_cache(maxsize=CACHED)(self._read_group)

    def _gather(self, rows: Int[np.ndarray, " some"], group_of: Callable[[int], Rows]) -> Rows:
        """The rows in this order; `group_of` reads their row groups, one after the other."""
        rows = np.asarray(rows, np.int64)
        has_cells = np.flatnonzero((rows >= 0) & (self.counts[rows] > 0))
        group = np.searchsorted(self._first_row, rows[has_cells], side="right") - 1
        by_group = has_cells[np.argsort(group, kind="stable")]
        parts = []

        for number in np.unique(group):
            in_group = rows[has_cells[group == number]] - self._first_row[number]
            parts.append(group_of(int(number)).take(in_group))

        # The parts are in the order of the groups; each row is taken from its place in it.
        place = np.full(len(rows), -1)
        place[by_group] = np.arange(len(by_group))
        stacked = Rows.stack(parts, n_columns=self.n_columns)
        gathered = stacked.take(place)
        if self.row_means is None:
            return gathered

        row_means = np.where(rows >= 0, self.row_means[rows], np.float32(0))

        return gathered.minus(row_means)


def _identity_of(path: Path) -> tuple[int, ...]:
    """What changes when another file takes the place of one, which may get its number, too."""
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def prefetch(make: Callable[[T], Rows], keys: Iterable[T]) -> Iterator[Rows]:
    """make(key) of each key in turn; a thread makes the next while the caller uses this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="recollect-read") as thread:
        pending: deque[Future[Rows]] = deque()

        for key in keys:
            pending.append(thread.submit(make, key))
            if len(pending) == 2:
                yield pending.popleft().result()

        while pending:
            yield pending.popleft().result()
