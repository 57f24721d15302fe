"""The loops of `cpu`, compiled by Numba; see there for what they do and why. Arrays only, everything float32.

`shares` are the rows where each thread begins, `cut[q, j]` is the cell where row j's part in tile q begins, `size` the
operand's rows per tile. Compiled code is kept beside the sources (or in Numba's cache folder) and used again.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.simd import fma, four_totals, load, peek, splat, store, total, zero


@njit(cache=True, nogil=True)
@no_type_check
def find_cuts(start, column, n_columns, size, cut):
    """Fill `cut`; False if columns do not ascend within a row, or lie outside."""
    for j in range(len(start) - 1):
        q, before = 0, 0
        cut[0, j] = start[j]
        for c in range(start[j], start[j + 1]):
            if column[c] < before or column[c] >= n_columns:
                return False
            before = column[c]
            while before >= (q + 1) * size:
                q += 1
                cut[q, j] = c
        for last in range(q + 1, len(cut)):
            cut[last, j] = start[j + 1]
    return True


@njit
@no_type_check
def _pack(tile, dense, k, first, last, at, width):
    for i in range(first, last):
        for lane in range(0, width, 16):
            store(tile, (i - first) * width + lane, load(dense, i * k + at + lane))


@njit
@no_type_check
def _gather64(out, to, source, stride, shift, column, value, first, last, add):
    """out[to : to + 64] (+)= Σ over the cells of value · source[stride · column + shift : … + 64]."""
    s0 = s1 = s2 = s3 = zero()
    if add:
        s0, s1, s2, s3 = load(out, to), load(out, to + 16), load(out, to + 32), load(out, to + 48)
    for c in range(first, last):
        v, at = splat(peek(value, c)), np.int64(peek(column, c)) * stride + shift
        s0, s1 = fma(v, load(source, at), s0), fma(v, load(source, at + 16), s1)
        s2, s3 = fma(v, load(source, at + 32), s2), fma(v, load(source, at + 48), s3)
    store(out, to, s0)
    store(out, to + 16, s1)
    store(out, to + 32, s2)
    store(out, to + 48, s3)


@njit
@no_type_check
def _gather16(out, to, source, stride, shift, column, value, first, last, add):
    """The same for 16 columns."""
    s = load(out, to) if add else zero()
    for c in range(first, last):
        s = fma(splat(peek(value, c)), load(source, np.int64(peek(column, c)) * stride + shift), s)
    store(out, to, s)


@njit
@no_type_check
def _gather(out, k, at, width, source, stride, shift, column, value, cut, q, first, last):
    """One panel of these rows, from the cells that point into one tile."""
    for j in range(first, last):
        if width == 64:
            _gather64(
                out,
                j * k + at,
                source,
                stride,
                shift,
                column,
                value,
                cut[q, j],
                cut[q + 1, j],
                q > 0,
            )
        else:
            _gather16(
                out,
                j * k + at,
                source,
                stride,
                shift,
                column,
                value,
                cut[q, j],
                cut[q + 1, j],
                q > 0,
            )


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def times_dense(cut, column, value, dense, out, shares, size, packed, tiles):
    """out[j] = Σ over row j's cells of value · dense[column]."""
    n, k = dense.shape
    to, source = out.reshape(-1), dense.reshape(-1)
    width = 64 if k >= 64 else 16
    for t in prange(len(shares) - 1):
        first, last = shares[t], shares[t + 1]
        for panel in range((k + width - 1) // width):
            at = min(panel * width, k - width)
            for q in range(len(cut) - 1):
                if packed:
                    _pack(tiles[t], source, k, q * size, min(n, (q + 1) * size), at, width)
                    _gather(
                        to,
                        k,
                        at,
                        width,
                        tiles[t],
                        width,
                        -q * size * width,
                        column,
                        value,
                        cut,
                        q,
                        first,
                        last,
                    )
                else:
                    _gather(to, k, at, width, source, k, at, column, value, cut, q, first, last)


@njit
@no_type_check
def _dot64(h0, h1, h2, h3, source, at):
    x = fma(h1, load(source, at + 16), fma(h0, load(source, at), zero()))
    return fma(h3, load(source, at + 48), fma(h2, load(source, at + 32), x))


@njit
@no_type_check
def _dots64(out, left, at, source, stride, shift, column, first, last):
    """out[cell] += left[at : at + 64] · source[stride · column + shift : … + 64], four cells at a time."""
    h0, h1, h2, h3 = load(left, at), load(left, at + 16), load(left, at + 32), load(left, at + 48)
    fours = first + (last - first) // 4 * 4
    for c in range(first, fours, 4):
        w = _dot64(h0, h1, h2, h3, source, np.int64(peek(column, c)) * stride + shift)
        x = _dot64(h0, h1, h2, h3, source, np.int64(peek(column, c + 1)) * stride + shift)
        y = _dot64(h0, h1, h2, h3, source, np.int64(peek(column, c + 2)) * stride + shift)
        z = _dot64(h0, h1, h2, h3, source, np.int64(peek(column, c + 3)) * stride + shift)
        four_totals(out, c, w, x, y, z)
    for c in range(fours, last):
        out[c] += total(_dot64(h0, h1, h2, h3, source, np.int64(peek(column, c)) * stride + shift))


@njit
@no_type_check
def _dots16(out, left, at, source, stride, shift, column, first, last):
    """The same for 16 columns, one cell at a time."""
    h = load(left, at)
    for c in range(first, last):
        out[c] += total(fma(h, load(source, np.int64(peek(column, c)) * stride + shift), zero()))


@njit
@no_type_check
def _dots(out, left, k, at, done, width, source, stride, shift, column, cut, q, first, last):
    """One panel's part of the inner products; of its columns, those before `done` are already in."""
    rest = np.zeros(width, np.float32)
    for j in range(first, last):
        row, here = left, j * k + at
        if done > at:
            rest[done - at :] = left[here + done - at : here + width]
            row, here = rest, 0
        if width == 64:
            _dots64(out, row, here, source, stride, shift, column, cut[q, j], cut[q + 1, j])
        else:
            _dots16(out, row, here, source, stride, shift, column, cut[q, j], cut[q + 1, j])


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def observed(cut, column, left, right, out, shares, size, packed, tiles):
    """out[cell] += left[its row] · right[its column]."""
    n, k = right.shape
    rows, source = left.reshape(-1), right.reshape(-1)
    width = 64 if k >= 64 else 16
    for t in prange(len(shares) - 1):
        first, last = shares[t], shares[t + 1]
        for panel in range((k + width - 1) // width):
            at, done = min(panel * width, k - width), panel * width
            for q in range(len(cut) - 1):
                if packed:
                    _pack(tiles[t], source, k, q * size, min(n, (q + 1) * size), at, width)
                    _dots(
                        out,
                        rows,
                        k,
                        at,
                        done,
                        width,
                        tiles[t],
                        width,
                        -q * size * width,
                        column,
                        cut,
                        q,
                        first,
                        last,
                    )
                else:
                    _dots(out, rows, k, at, done, width, source, k, at, column, cut, q, first, last)
