"""The sparse products as dense ones, some rows at a time: for data with few empty cells, like
Jester."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recollect.kernels.pattern import Pattern

BLOCK_CELLS = 1 << 22  # rows × columns that are filled in at once: 16 MB


@dataclass(frozen=True)
class _RowBlock:
    """Consecutive rows, their cells, and where each cell stands in rows × all columns."""

    rows: slice
    cells: slice
    place: Tensor

    @property
    def n_rows(self) -> int:
        return self.rows.stop - self.rows.start


def _row_blocks(pattern: Pattern) -> list[_RowBlock]:
    """The rows in blocks of BLOCK_CELLS; kept with the pattern."""
    if pattern.plan is None:
        step = max(1, BLOCK_CELLS // max(1, pattern.n_columns))
        pattern.plan = _divide(pattern, step)
    return pattern.plan


def _divide(pattern: Pattern, step: int) -> list[_RowBlock]:
    start = pattern.start.long()
    place = (pattern.row_of_cells() % step) * pattern.n_columns + pattern.column
    blocks = []

    for first in range(0, pattern.n_rows, step):
        last = min(first + step, pattern.n_rows)
        cells = slice(int(start[first]), int(start[last]))
        blocks.append(_RowBlock(slice(first, last), cells, place[cells]))

    return blocks


def times_dense(pattern: Pattern, value: Tensor, dense: Tensor) -> Tensor:
    """Row j is the sum over its cells c of value[c] · dense[column[c]]: rows × k.

    Args:
        pattern: the cells.
        value: one number per cell.
        dense: columns × k.
    """
    out = dense.new_empty(pattern.n_rows, dense.shape[1])

    for block in _row_blocks(pattern):
        filled = dense.new_zeros(block.n_rows, pattern.n_columns)
        # Add, do not set: a column may stand twice in a row.
        filled.view(-1).index_add_(0, block.place, value[block.cells].to(dense.dtype))
        torch.mm(filled, dense, out=out[block.rows])

    return out


def observed(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """One number per cell: the inner product of left[its row] and right[its column].

    Args:
        pattern: the cells.
        left: rows × k.
        right: columns × k.
    """
    out = left.new_empty(len(pattern))

    for block in _row_blocks(pattern):
        # Every cell's product, also of the empty ones: a dense product is that much faster.
        products = left[block.rows] @ right.t()
        flat = products.view(-1)
        torch.index_select(flat, 0, block.place, out=out[block.cells])

    return out
