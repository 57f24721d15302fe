"""Sparse rows with further cells, or without some: copied, not sorted anew.

To group a million ratings takes longer than to learn from a thousand new ones. The rows are sorted
already, so new cells are put where they belong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64, Shaped

from recollect.data.sparse_rows import Rows

FEW = 1000  # new cells that are put between copied pieces
Grouped = tuple[Rows, Int64[np.ndarray, " cells"]]  # rows, and the number of each cell's rating
Regrouped = tuple[Rows, Int64[np.ndarray, " cells_after"]]  # the same of more or fewer cells


def of_size(rows: Rows, *, n_rows: int, n_columns: int) -> Rows:
    """The rows with empty ones behind them, and with as many columns."""
    n_cells = rows.start[-1:]
    start = np.concatenate([rows.start, np.repeat(n_cells, n_rows - len(rows))])
    return replace(rows, start=start, n_columns=n_columns)


def places_of(
    rows: Rows, row: Int[np.ndarray, " pairs"], column: Int[np.ndarray, " pairs"]
) -> tuple[Int64[np.ndarray, " pairs"], Bool[np.ndarray, " pairs"]]:
    """The cell before which each pair stands or would stand, and whether that cell is the pair's.

    Args:
        rows: the rows.
        row: of each pair.
        column: of each pair.
    """
    place = np.empty(len(row), np.int64)
    is_there = np.zeros(len(row), bool)
    order = np.argsort(row, kind="stable")
    numbers, first_pair = np.unique(row[order], return_index=True)

    for number, pairs in zip(numbers, np.split(order, first_pair[1:]), strict=False):
        first = rows.start[number]
        columns = rows.column[first : rows.start[number + 1]]
        within = np.searchsorted(columns, column[pairs])
        place[pairs] = first + within
        is_cell = within < len(columns)
        is_there[pairs[is_cell]] = columns[within[is_cell]] == column[pairs[is_cell]]

    return place, is_there


def with_cells(
    grouped: Grouped,
    row: Int[np.ndarray, " new"],
    column: Int[np.ndarray, " new"],
    value: Float32[np.ndarray, " new"],
    *,
    first: int,
) -> Regrouped:
    """The rows with further cells, none of which they have.

    Args:
        grouped: rows, and the rating in each cell.
        row: of each new cell.
        column: of each new cell.
        value: of each new cell.
        first: the number of the first new rating; the others follow it.
    """
    rows, entry = grouped
    order = np.lexsort((column, row))
    place, _ = places_of(rows, row[order], column[order])
    n_new = np.bincount(row, minlength=len(rows))
    start = rows.start.copy()
    start[1:] += np.cumsum(n_new)
    inserted = Rows(
        start,
        _with_inserted(rows.column, place, column[order]),
        _with_inserted(rows.value, place, value[order]),
        rows.n_columns,
    )

    return inserted, _with_inserted(entry, place, first + order)


def _with_inserted(
    array: Shaped[np.ndarray, " cells"],
    place: Int64[np.ndarray, " new"],
    value: Shaped[np.ndarray, " new"],
) -> Shaped[np.ndarray, " all_cells"]:
    """The array with values before the cells at some places, which ascend, as `np.insert`."""
    value = value.astype(array.dtype)
    if len(place) > FEW:
        return np.insert(array, place, value)

    # Of few places the pieces between them are copied whole, in a fraction of the time.
    pieces = []
    before = 0
    for number, at in enumerate(place.tolist()):
        pieces += [array[before:at], value[number : number + 1]]
        before = at

    return np.concatenate([*pieces, array[before:]])


def without_cells(grouped: Grouped, is_kept: Bool[np.ndarray, " cells"]) -> Regrouped:
    """The rows without the cells of some ratings.

    Args:
        grouped: rows, and the rating in each cell.
        is_kept: of each rating, in the order of the ratings.
    """
    rows, entry = grouped
    kept = is_kept[entry]
    n_before = np.concatenate([[0], np.cumsum(kept)])
    number = np.cumsum(is_kept) - 1
    part = Rows(n_before[rows.start], rows.column[kept], rows.value[kept], rows.n_columns)

    return part, number[entry[kept]]
