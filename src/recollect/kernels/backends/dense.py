"""The sparse products as dense ones, a block of rows at a time: for data with few holes (Jester, say)."""

from __future__ import annotations

import torch
from torch import Tensor

from recollect.kernels.pattern import Pattern

BLOCK_CELLS = 1 << 22  # rows × columns filled in at once: 16 MB


def _blocks(pattern: Pattern) -> list[tuple[slice, slice, Tensor]]:
    """Rows, their cells, and the place of each cell in these rows × all columns. Kept with the pattern."""
    if pattern.plan is None:
        step, start = max(1, BLOCK_CELLS // max(1, pattern.n_columns)), pattern.start.long()
        row = torch.repeat_interleave(
            torch.arange(pattern.n_rows, device=start.device), start.diff()
        )
        place = (row % step) * pattern.n_columns + pattern.column
        firsts = range(0, pattern.n_rows, step)
        cells = [slice(int(start[a]), int(start[min(a + step, pattern.n_rows)])) for a in firsts]
        pattern.plan = [
            (slice(a, min(a + step, pattern.n_rows)), c, place[c])
            for a, c in zip(firsts, cells, strict=True)
        ]
    return pattern.plan


def times_dense(pattern: Pattern, value: Tensor, dense: Tensor) -> Tensor:
    """Row j is the sum over its cells c of value[c] · dense[column[c]]: rows × k."""
    out = dense.new_empty(pattern.n_rows, dense.shape[1])
    for rows, cells, place in _blocks(pattern):
        filled = dense.new_zeros(rows.stop - rows.start, pattern.n_columns)
        filled.view(-1).index_add_(
            0, place, value[cells].to(dense.dtype)
        )  # a column may stand twice in a row
        torch.mm(filled, dense, out=out[rows])
    return out


def observed(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """One number per cell: the inner product of left[its row] and right[its column]."""
    out = left.new_empty(len(pattern))
    for rows, cells, place in _blocks(pattern):
        torch.index_select((left[rows] @ right.t()).view(-1), 0, place, out=out[cells])
    return out
