"""Writers of the files of stored ratings: cells by one side, and held-out ratings."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recollect.data.vocab import Vocab

PARQUET = {
    "compression": "lz4",
    "use_dictionary": ["value"],
    "write_page_checksum": True,
    "column_encoding": {"row": "DELTA_BINARY_PACKED", "column": "DELTA_BINARY_PACKED"},
}
CELLS = pa.schema({"row": pa.int32(), "column": pa.int32(), "value": pa.float32()})
HELD_OUT = pa.schema({"user_id": pa.string(), "item_id": pa.string(), "rating": pa.float32()})


class SideWriter:
    """Writes by_user.parquet or by_item.parquet, a row group at a time, and sums up what it has.

    `count` and `total` are the number and the sum of the values of each row, `column_count` the
    number of each column, `sum_of_squares` that of all values.
    """

    def __init__(self, path: Path, *, n_rows: int, n_columns: int) -> None:
        self.count = np.zeros(n_rows, np.int64)
        self.total = np.zeros(n_rows)
        self.column_count = np.zeros(n_columns, np.int64)
        self.sum_of_squares = 0.0
        self._writer = pq.ParquetWriter(path, CELLS, **PARQUET)

    def __enter__(self) -> SideWriter:
        self._writer.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self._writer.__exit__(*problem)

    @property
    def n_cells(self) -> int:
        """Cells written."""
        return int(self.count.sum())

    def write(self, cells: np.ndarray) -> None:
        """Write whole rows that come after those written before, sorted, as a row group."""
        if not len(cells):
            return

        self._sum_up(cells)
        columns = [np.ascontiguousarray(cells[name]) for name in CELLS.names]
        table = pa.table(columns, schema=CELLS)
        self._writer.write_table(table, row_group_size=len(cells))

    def _sum_up(self, cells: np.ndarray) -> None:
        row = cells["row"]
        column = cells["column"]
        value = cells["value"]
        # The rows are sorted and whole, so that they stand in no other group.
        first = int(row[0])
        last = int(row[-1])
        rows = slice(first, last + 1)
        row_in_group = row - first
        self.count[rows] += np.bincount(row_in_group)
        self.total[rows] += np.bincount(row_in_group, weights=value)

        self.column_count += np.bincount(column, minlength=len(self.column_count))
        squares = np.square(value, dtype=np.float64)
        self.sum_of_squares += float(squares.sum())


class HeldOutWriter:
    """Draws test and validation ratings, one by one, and writes them to files of their own.

    Args:
        folder: of test.parquet and valid.parquet.
        users: the ids of rows.
        items: the ids of columns.
        test: share of all ratings.
        valid: share of those that are not in test.
        seed: of the draw.
    """

    def __init__(
        self, folder: Path, *, users: Vocab, items: Vocab, test: float, valid: float, seed: int
    ) -> None:
        self.users = users
        self.items = items
        self._rng = np.random.default_rng(seed)
        self._below = {"test": test, "valid": test + (1 - test) * valid}
        shares = {"test": test, "valid": valid}
        self.n = {name: 0 for name, share in shares.items() if share}  # ratings written
        self._stack = ExitStack()
        self._writers = {}

        for name in self.n:
            path = folder / f"{name}.parquet"
            self._writers[name] = pq.ParquetWriter(path, HELD_OUT, compression="zstd")

    def __enter__(self) -> HeldOutWriter:
        for writer in self._writers.values():
            self._stack.enter_context(writer)
        return self

    def __exit__(self, *problem: Any) -> None:
        self._stack.__exit__(*problem)

    def hold_out(self, cells: np.ndarray) -> np.ndarray:
        """Write the cells that are drawn; returns the others."""
        if not self._writers:
            return cells

        draw = self._rng.random(len(cells))
        lower = 0.0

        for name, upper in self._below.items():
            if name in self._writers:
                is_drawn = (draw >= lower) & (draw < upper)
                self._write(name, cells[is_drawn])

            lower = upper

        return cells[draw >= lower]

    def _write(self, name: str, cells: np.ndarray) -> None:
        user_ids = self.users.at(cells["row"])
        item_ids = self.items.at(cells["column"])
        columns = [
            user_ids.to_arrow().cast(pa.string()),
            item_ids.to_arrow().cast(pa.string()),
            np.ascontiguousarray(cells["value"]),
        ]
        table = pa.table(columns, schema=HELD_OUT)
        self._writers[name].write_table(table)
        self.n[name] += len(cells)
