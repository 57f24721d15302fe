"""The sparse products in compiled loops, for the CPU.

A product is bound by fetching the rows of the dense operand that the cells point to. So the operand is taken a tile at a time
(TILE rows × 64 columns, 512 KB), packed so that it lies together in the core's own cache, and every cell that points into the
tile is done before the next is fetched; sums over a row's cells stay in registers. Where few cells point to each row of the
operand, packing does not pay, and it is read where it lies.

Each thread has rows of its own, as many as make an equal share of the cells, and adds them up in the order in which they
stand: the numbers do not depend on how many threads there are. Panels of 64 columns may overlap at the right edge; what
both compute is the same.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import torch
from numba.core import event as events
from torch import Tensor

from recollect.kernels.backends import csr
from recollect.kernels.compiled import sparse_products
from recollect.kernels.pattern import Pattern

TILE = 2048  # rows of a tile
CELLS_PER_TILE = (
    48  # of a row, on average, at least: each visit reads and writes the row of the result
)
PACK_FROM = 4  # cells per row of the operand from which packing it pays


def _start_threads() -> None:
    """Start Numba's threads as such that sleep between loops. By default they wait busily, and take the cores from torch's
    threads, and on a busy machine from everyone: small products took ten times as long. Where both have one OpenMP, Numba also
    changes its number of threads, and torch has to say it again."""
    threads = torch.get_num_threads()
    before = os.environ.get("OMP_WAIT_POLICY")
    os.environ["OMP_WAIT_POLICY"] = before or "passive"
    try:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    finally:
        torch.set_num_threads(threads)
        if before is None:
            del os.environ["OMP_WAIT_POLICY"]


class _Compiling(events.Listener):
    """Says once that loops of ours are being compiled. Reading them from disk, as every later process does, is no such event."""

    said = False

    def on_start(self, event: events.Event) -> None:
        if not self.said and event.data["dispatcher"].py_func.__module__.startswith(__package__):
            self.said = True
            logging.getLogger("recollect").info(
                "Compiling the loops, once after installing: some ten seconds."
            )

    def on_end(self, event: events.Event) -> None:
        pass


_start_threads()
compiling = _Compiling()
events.register("numba:compile", compiling)
one_at_a_time = threading.Lock()  # not every threading layer of Numba's bears two callers
_room: dict[str, np.ndarray] = {}


@dataclass(frozen=True)
class Tiling:
    """How a pattern's cells are divided."""

    tile: int  # rows of the operand per tile
    cut: np.ndarray  # (tiles + 1) × rows: the cell where each row's part in each tile begins
    packed: bool


def plan(pattern: Pattern) -> Tiling:
    """Divide the cells; kept with the pattern.

    Raises: ValueError if the columns of a row do not ascend, or lie outside.
    """
    if pattern.plan is None:
        n, cells, rows = max(1, pattern.n_columns), len(pattern), max(1, pattern.n_rows)
        packed = cells >= PACK_FROM * n
        tiles = max(1, min(-(-n // TILE), cells // (CELLS_PER_TILE * rows))) if packed else 1
        tile = -(-n // tiles)
        cut = np.empty((tiles + 1, pattern.n_rows), np.int32)
        if not sparse_products.find_cuts(
            pattern.start.numpy(), pattern.column.numpy(), pattern.n_columns, tile, cut
        ):
            raise ValueError(
                f"The columns of a sparse row must ascend and be 0 to {pattern.n_columns - 1}."
            )
        pattern.plan = Tiling(tile, cut, packed)
    return pattern.plan


def times_dense(pattern: Pattern, value: Tensor, dense: Tensor, *, short: bool = False) -> Tensor:
    """Row j is the sum over its cells c of value[c] · dense[column[c]]: rows × k. `short`: tiles in 16 bits."""
    k = dense.shape[1]
    _check(pattern, value=(value, (len(pattern),)), dense=(dense, (pattern.n_columns, k)))
    if not k or {value.dtype, dense.dtype} != {torch.float32}:
        return csr.times_dense(pattern, value, dense)
    dense = _wide(dense)
    out = torch.empty(pattern.n_rows, dense.shape[1])
    _each_thread(
        sparse_products.times_dense, pattern, value.detach().contiguous(), dense, out, short=short
    )
    return out[:, :k].contiguous()


def observed(pattern: Pattern, left: Tensor, right: Tensor, *, short: bool = False) -> Tensor:
    """One number per cell: the inner product of left[its row] and right[its column]. `short`: tiles in 16 bits."""
    k = left.shape[1]
    _check(pattern, left=(left, (pattern.n_rows, k)), right=(right, (pattern.n_columns, k)))
    if not k or {left.dtype, right.dtype} != {torch.float32}:
        return csr.observed(pattern, left, right)
    out = torch.zeros(len(pattern))
    _each_thread(sparse_products.observed, pattern, _wide(left), _wide(right), out, short=short)
    return out


def _check(pattern: Pattern, **operands: tuple[Tensor, tuple[int, ...]]) -> None:
    """The loops check nothing: an operand too small would be read past its end."""
    for name, (found, expected) in operands.items():
        if tuple(found.shape) != expected:
            raise ValueError(
                f"{name} must be {expected} for {pattern.n_rows} rows × {pattern.n_columns} columns with "
                f"{len(pattern)} cells, found {tuple(found.shape)}."
            )


def _each_thread(
    loop: Callable[..., None], pattern: Pattern, *operands: Tensor, short: bool
) -> None:
    how, start = plan(pattern), pattern.start.numpy()
    with one_at_a_time:
        threads = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        numba.set_num_threads(threads)
        shares = np.searchsorted(
            start, np.linspace(0, start[-1], threads + 1)
        )  # equal numbers of cells
        shares[0], shares[-1] = 0, pattern.n_rows  # and the empty rows at the ends
        loop(
            how.cut,
            pattern.column.numpy(),
            *(x.numpy() for x in operands),
            shares,
            how.tile,
            how.packed,
            _tiles(threads, how.tile if how.packed else 0, short=short),
        )


def _wide(x: Tensor) -> Tensor:
    """Contiguous, with zeros added to make at least 16 columns."""
    x = x.detach()
    return torch.nn.functional.pad(x, (0, 16 - x.shape[1])) if x.shape[1] < 16 else x.contiguous()


def _tiles(threads: int, rows: int, *, short: bool) -> np.ndarray:
    """Room for a tile per thread, kept; in one block large enough for huge pages, without which every cell costs a look-up."""
    need = threads * rows * 64
    found = _room.get("tiles")
    if found is None or found.size < need:
        found = np.zeros(max(need, 1 << 20) + 16, np.float32)
        found = _room["tiles"] = found[-found.ctypes.data // 4 % 16 :]
    tiles = found[:need].reshape(threads, rows * 64)
    return tiles.view(np.uint16)[:, : rows * 64] if short else tiles
