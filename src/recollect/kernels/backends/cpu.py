"""The sparse products in compiled loops, for the CPU.

Fetching the rows of the dense operand that the cells point to takes most of the time. The operand
is therefore read a tile at a time (TILE rows × 64 columns, 512 KB). A tile is packed, so that it
lies together in the core's own cache, and every cell that points into it is done before the next
tile is fetched. The sums over a row's cells stay in registers. Where few cells point to each row of
the operand, packing costs more than it saves, and the operand is read in place.

Each thread has rows of its own with about the same number of cells, and adds the cells of a row in
their
order: the result does not depend on the number of threads. Panels of 64 columns may overlap at the
right edge; both compute the same numbers there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recollect.kernels.backends import csr
from recollect.kernels.compiled import sparse_products, threads
from recollect.kernels.pattern import Pattern

TILE = 2048  # rows of a tile
CELLS_PER_TILE = 48  # mean cells of a row per tile, at least: each tile reads and writes the result
PACK_FROM = 4  # cells per row of the operand from which packing saves time
PANEL = 64  # columns of a tile
_FIRST_BUFFER = 1 << 20  # numbers; so large that the system backs the buffer with huge pages

_buffers: dict[str, np.ndarray] = {}  # the tiles of all threads, kept between products


@dataclass(frozen=True)
class Tiling:
    """How the cells of a pattern are divided."""

    tile: int  # rows of the operand per tile
    cut: np.ndarray  # (tiles + 1) × rows: the cell where each row's part in each tile begins
    packed: bool


def plan(pattern: Pattern) -> Tiling:
    """Divide the cells; the answer is kept with the pattern.

    Raises:
        ValueError: if the columns of a row do not ascend, or lie outside.
    """
    if pattern.plan is None:
        pattern.plan = _tiling(pattern)
    return pattern.plan


def _tiling(pattern: Pattern) -> Tiling:
    n_columns = max(1, pattern.n_columns)
    n_rows = max(1, pattern.n_rows)
    packed = len(pattern) >= PACK_FROM * n_columns
    n_tiles = 1
    if packed:
        enough_cells = len(pattern) // (CELLS_PER_TILE * n_rows)
        n_tiles = max(1, min(-(-n_columns // TILE), enough_cells))

    # All tiles equally long, rather than a short one at the end.
    tile = -(-n_columns // n_tiles)
    cut = np.empty((n_tiles + 1, pattern.n_rows), np.int32)
    ascending = sparse_products.find_cuts(
        pattern.start.numpy(), pattern.column.numpy(), pattern.n_columns, tile, cut
    )

    if not ascending:
        raise ValueError(
            f"The columns of a sparse row must ascend and be 0 to {pattern.n_columns - 1}."
        )

    return Tiling(tile, cut, packed)


def times_dense(pattern: Pattern, value: Tensor, dense: Tensor, *, short: bool = False) -> Tensor:
    """Row j is the sum over its cells c of value[c] · dense[column[c]]: rows × k.

    Args:
        pattern: the cells.
        value: one number per cell.
        dense: columns × k.
        short: whether tiles are kept in bfloat16.

    Raises:
        ValueError: if an operand does not fit the pattern.
    """
    k = dense.shape[1]
    _check_shape(pattern, "value", value, (len(pattern),))
    _check_shape(pattern, "dense", dense, (pattern.n_columns, k))
    if not k or {value.dtype, dense.dtype} != {torch.float32}:
        return csr.times_dense(pattern, value, dense)

    dense = _at_least_16_columns(dense)
    value = value.detach().contiguous()
    # The loop writes every row, also those without cells.
    out = torch.empty(pattern.n_rows, dense.shape[1])
    _run(
        sparse_products.times_dense,
        pattern,
        value,
        dense,
        out,
        short=short,
    )

    return out[:, :k].contiguous()


def observed(pattern: Pattern, left: Tensor, right: Tensor, *, short: bool = False) -> Tensor:
    """One number per cell: the inner product of left[its row] and right[its column].

    Args:
        pattern: the cells.
        left: rows × k.
        right: columns × k.
        short: whether tiles are kept in bfloat16.

    Raises:
        ValueError: if an operand does not fit the pattern.
    """
    k = left.shape[1]
    _check_shape(pattern, "left", left, (pattern.n_rows, k))
    _check_shape(pattern, "right", right, (pattern.n_columns, k))
    if not k or {left.dtype, right.dtype} != {torch.float32}:
        return csr.observed(pattern, left, right)

    left = _at_least_16_columns(left)
    right = _at_least_16_columns(right)
    # Zeros: panels and tiles add to what is there.
    out = torch.zeros(len(pattern))
    _run(sparse_products.observed, pattern, left, right, out, short=short)

    return out


def _check_shape(pattern: Pattern, name: str, operand: Tensor, expected: tuple[int, ...]) -> None:
    """Refuse a wrong operand: the loops check nothing and would read past its end."""
    shape = tuple(operand.shape)
    if shape != expected:
        raise ValueError(
            f"{name} must be {expected} for {pattern.n_rows} rows × {pattern.n_columns} columns "
            f"with {len(pattern)} cells, found {shape}."
        )


def _run(loop: Callable[..., None], pattern: Pattern, *operands: Tensor, short: bool) -> None:
    """Call a loop of `compiled.sparse_products`; every thread gets rows with as many cells."""
    tiling = plan(pattern)
    arrays = [operand.numpy() for operand in operands]

    with threads.one_at_a_time() as n_threads:
        shares = threads.equal_shares(pattern.start.numpy(), n_threads)
        # Where the operand is read in place, no thread needs a tile.
        tile_rows = tiling.tile if tiling.packed else 0
        tiles = _tiles(n_threads, tile_rows, short=short)
        loop(
            tiling.cut,
            pattern.column.numpy(),
            *arrays,
            shares,
            tiling.tile,
            tiling.packed,
            tiles,
        )


def _at_least_16_columns(x: Tensor) -> Tensor:
    """Contiguous, with columns of zeros added where there are fewer than the loops take at once."""
    x = x.detach()
    missing = 16 - x.shape[1]
    if missing > 0:
        return torch.nn.functional.pad(x, (0, missing))
    return x.contiguous()


def _tiles(n_threads: int, n_rows: int, *, short: bool) -> np.ndarray:
    """A tile of so many rows for each thread, in one block of memory that is used again.

    The block is large enough for huge pages; without them every cell costs an address look-up.
    """
    size = n_threads * n_rows * PANEL
    buffer = _buffers.get("tiles")
    if buffer is None or buffer.size < size:
        buffer = np.zeros(max(size, _FIRST_BUFFER) + 16, np.float32)
        # Begin at a multiple of 64 bytes, the length of a cache line.
        buffer = buffer[-buffer.ctypes.data // 4 % 16 :]
        _buffers["tiles"] = buffer

    tiles = buffer[:size].reshape(n_threads, n_rows * PANEL)
    if short:
        return tiles.view(np.uint16)[:, : n_rows * PANEL]

    return tiles
