"""The loops of `backends.cpu`, which explains the tiles: arrays only, all numbers float32.

    shares       the first row of each thread
    cut[q, j]    the cell where row j's part in tile q begins
    size         the operand's rows per tile
    width        columns of a panel: 64, or 16 where the operand has fewer than 64
    source, stride, shift    the operand's row i is at source[stride · i + shift]

The last panel begins early enough to be as wide as the others. Compiled code is kept beside the
sources (or in Numba's cache folder) and used again.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.simd import fma, four_totals, load, peek, splat, store, total, zero


@njit(cache=True, nogil=True)
@no_type_check
def find_cuts(start, column, n_columns, size, cut):
    """Fill `cut`; False if columns do not ascend within a row, or lie outside.

    Args:
        start: rows + 1, the first cell of each row.
        column: of each cell.
        n_columns: what columns must be below.
        size: columns per tile.
        cut: (tiles + 1) × rows, overwritten.
    """
    for j in range(len(start) - 1):
        q = 0
        before = 0
        cut[0, j] = start[j]

        for c in range(start[j], start[j + 1]):
            if column[c] < before or column[c] >= n_columns:
                return False

            before = column[c]

            # A row may have no cell in a tile: its part there is empty.
            while before >= (q + 1) * size:
                q += 1
                cut[q, j] = c

        # The tiles behind the row's last cell are empty, too.
        for last in range(q + 1, len(cut)):
            cut[last, j] = start[j + 1]

    return True


@inlined
@no_type_check
def _pack(tile, dense, k, first, last, at, width):
    """Copy a panel of the operand's rows `first` to `last` so that it lies together."""
    for i in range(first, last):
        from_row = i * k + at
        to_row = (i - first) * width

        for column in range(0, width, 16):
            numbers = load(dense, from_row + column)
            store(tile, to_row + column, numbers)


@inlined
@no_type_check
def _gather64(out, to, source, stride, shift, column, value, first, last, add):
    """out[to : to + 64] (+)= Σ over the cells of value · source[stride · column + shift : … +
    64]."""
    # Four vectors for 64 columns, so that four sums run side by side and none waits for another.
    s0 = s1 = s2 = s3 = zero()
    # The first tile finds in `out` what the memory held before.
    if add:
        s0 = load(out, to)
        s1 = load(out, to + 16)
        s2 = load(out, to + 32)
        s3 = load(out, to + 48)

    for c in range(first, last):
        v = splat(peek(value, c))
        at = np.int64(peek(column, c)) * stride + shift
        s0 = fma(v, load(source, at), s0)
        s1 = fma(v, load(source, at + 16), s1)
        s2 = fma(v, load(source, at + 32), s2)
        s3 = fma(v, load(source, at + 48), s3)

    store(out, to, s0)
    store(out, to + 16, s1)
    store(out, to + 32, s2)
    store(out, to + 48, s3)


@inlined
@no_type_check
def _gather16(out, to, source, stride, shift, column, value, first, last, add):
    """As `_gather64`, for 16 columns."""
    s = zero()
    if add:
        s = load(out, to)

    for c in range(first, last):
        v = splat(peek(value, c))
        at = np.int64(peek(column, c)) * stride + shift
        s = fma(v, load(source, at), s)

    store(out, to, s)


@inlined
@no_type_check
def _gather(out, k, at, width, source, stride, shift, column, value, cut, q, first, last):
    """One panel of these rows, from the cells that point into one tile."""
    for j in range(first, last):
        to = j * k + at
        begin = cut[q, j]
        end = cut[q + 1, j]
        if width == 64:
            _gather64(out, to, source, stride, shift, column, value, begin, end, q > 0)
        else:
            _gather16(out, to, source, stride, shift, column, value, begin, end, q > 0)


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def times_dense(cut, column, value, dense, out, shares, size, packed, tiles):
    """out[j] = Σ over row j's cells of value · dense[column].

    Args:
        cut: the cell where each row's part in each tile begins.
        column: of each cell.
        value: of each cell.
        dense: columns × k.
        out: rows × k, overwritten.
        shares: the first row of each thread.
        size: rows of the operand per tile.
        packed: whether tiles are copied before they are used.
        tiles: memory for one tile per thread.
    """
    n, k = dense.shape
    to = out.reshape(-1)
    source = dense.reshape(-1)
    width = 64 if k >= 64 else 16

    for t in prange(len(shares) - 1):
        first = shares[t]
        last = shares[t + 1]
        tile = tiles[t]

        for panel in range((k + width - 1) // width):
            at = min(panel * width, k - width)

            for q in range(len(cut) - 1):
                if packed:
                    _pack(tile, source, k, q * size, min(n, (q + 1) * size), at, width)
                    # Row q · size of the operand is row 0 of the tile.
                    shift = -q * size * width
                    _gather(
                        to, k, at, width, tile, width, shift, column, value, cut, q, first, last
                    )
                else:
                    _gather(to, k, at, width, source, k, at, column, value, cut, q, first, last)


@inlined
@no_type_check
def _dot64(h0, h1, h2, h3, source, at):
    """Sixteen parts of the inner product of 64 numbers."""
    x0 = load(source, at)
    x1 = load(source, at + 16)
    x2 = load(source, at + 32)
    x3 = load(source, at + 48)
    parts = fma(h0, x0, zero())
    parts = fma(h1, x1, parts)
    parts = fma(h2, x2, parts)

    return fma(h3, x3, parts)


@inlined
@no_type_check
def _dots64(out, left, at, source, stride, shift, column, first, last):
    """out[cell] += left[at : at + 64] · source[stride · column + shift : … + 64].

    Four cells at a time: the sums of four vectors cost less together than one by one.
    """
    h0 = load(left, at)
    h1 = load(left, at + 16)
    h2 = load(left, at + 32)
    h3 = load(left, at + 48)
    fours = first + (last - first) // 4 * 4

    for c in range(first, fours, 4):
        # 64 bits: a column number times a width may exceed 32.
        at0 = np.int64(peek(column, c)) * stride + shift
        at1 = np.int64(peek(column, c + 1)) * stride + shift
        at2 = np.int64(peek(column, c + 2)) * stride + shift
        at3 = np.int64(peek(column, c + 3)) * stride + shift
        w = _dot64(h0, h1, h2, h3, source, at0)
        x = _dot64(h0, h1, h2, h3, source, at1)
        y = _dot64(h0, h1, h2, h3, source, at2)
        z = _dot64(h0, h1, h2, h3, source, at3)
        four_totals(out, c, w, x, y, z)

    for c in range(fours, last):
        at_cell = np.int64(peek(column, c)) * stride + shift
        parts = _dot64(h0, h1, h2, h3, source, at_cell)
        out[c] += total(parts)


@inlined
@no_type_check
def _dots16(out, left, at, source, stride, shift, column, first, last):
    """As `_dots64`, for 16 columns and one cell at a time."""
    h = load(left, at)
    for c in range(first, last):
        place = np.int64(peek(column, c)) * stride + shift
        parts = fma(h, load(source, place), zero())
        out[c] += total(parts)


@inlined
@no_type_check
def _dots(out, left, k, at, done, width, source, stride, shift, column, cut, q, first, last):
    """One panel's part of the inner products; columns before `done` were in the panel before."""
    masked = np.zeros(width, np.float32)

    for j in range(first, last):
        row = left
        place = j * k + at
        if done > at:
            # Zeros instead of the columns that have been added already.
            masked[done - at :] = left[place + done - at : place + width]
            row = masked
            place = 0

        if width == 64:
            _dots64(out, row, place, source, stride, shift, column, cut[q, j], cut[q + 1, j])
        else:
            _dots16(out, row, place, source, stride, shift, column, cut[q, j], cut[q + 1, j])


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def observed(cut, column, left, right, out, shares, size, packed, tiles):
    """out[cell] += left[its row] · right[its column].

    Args:
        cut: the cell where each row's part in each tile begins.
        column: of each cell.
        left: rows × k.
        right: columns × k.
        out: one number per cell, zeros.
        shares: the first row of each thread.
        size: rows of the operand per tile.
        packed: whether tiles are copied before they are used.
        tiles: memory for one tile per thread.
    """
    n, k = right.shape
    rows = left.reshape(-1)
    source = right.reshape(-1)
    width = 64 if k >= 64 else 16

    for t in prange(len(shares) - 1):
        i = shares[t]
        j = shares[t + 1]
        tile = tiles[t]

        for panel in range((k + width - 1) // width):
            done = panel * width
            at = min(done, k - width)

            for q in range(len(cut) - 1):
                if packed:
                    _pack(tile, source, k, q * size, min(n, (q + 1) * size), at, width)
                    shift = -q * size * width
                    _dots(out, rows, k, at, done, width, tile, width, shift, column, cut, q, i, j)
                else:
                    _dots(out, rows, k, at, done, width, source, k, at, column, cut, q, i, j)
