"""Sort cells by row and column in memory that does not grow with them: a bucket sort in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from recollect.data.on_disk.cells import CELL
from recollect.data.sparse_rows import Rows, pieces


def sorted_groups(
    blocks: Iterable[np.ndarray],
    counts: Int64[np.ndarray, " rows"],
    *,
    n_columns: int,
    size: int,
    scratch: Path,
) -> Iterator[np.ndarray]:
    """The cells of whole rows at a time, sorted by row and column.

    Of a repeated pair only the last cell is given, by time and then by order.

    Args:
        blocks: of cells, in any order.
        counts: cells of each row.
        n_columns: columns of each row.
        size: about how many cells are given at a time.
        scratch: a folder for a file per group of rows.
    """
    groups = list(pieces(counts, rows=len(counts), cells=size))
    _scatter(blocks, groups, scratch)

    for number, rows in enumerate(groups):
        bucket = scratch / str(number)
        if bucket.exists():
            cells = np.fromfile(bucket, CELL)
            bucket.unlink()
            ordered = _sorted(cells, rows, n_columns)
            yield _last_of_pairs(ordered)


def _scatter(blocks: Iterable[np.ndarray], groups: list[slice], scratch: Path) -> None:
    """Append each cell to the file of the group that its row belongs to."""
    ends = np.array([rows.stop for rows in groups])
    # NumPy sorts numbers of 16 bits or less by counting, which is several times faster.
    dtype = np.min_scalar_type(len(ends))

    for cells in blocks:
        group = np.searchsorted(ends, cells["row"], side="right").astype(dtype)
        order = np.argsort(group, kind="stable")
        first = np.searchsorted(group[order], np.arange(len(ends) + 1))

        for number in np.flatnonzero(np.diff(first)):
            in_group = order[first[number] : first[number + 1]]
            bucket = scratch / str(number)

            with bucket.open("ab") as out:
                cells.take(in_group).tofile(out)


def _sorted(cells: np.ndarray, rows: slice, n_columns: int) -> np.ndarray:
    """Cells of these rows by row, column and time; equal ones stay in their order."""
    if cells["time"].any():
        cells = cells.take(np.argsort(cells["time"], kind="stable"))

    _, order = Rows.group(
        cells["row"] - rows.start,
        cells["column"],
        n_rows=rows.stop - rows.start,
        n_columns=n_columns,
    )
    return cells.take(order)


def _last_of_pairs(cells: np.ndarray) -> np.ndarray:
    """The last cell of each run of one row and column."""
    row_changes = np.diff(cells["row"]) != 0
    column_changes = np.diff(cells["column"]) != 0
    is_last = np.append(row_changes | column_changes, True)

    return cells[is_last]
