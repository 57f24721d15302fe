"""The loops of `gibbs`, compiled by Numba. Arrays only, everything float32; no index is checked.

A table holds a vector per row, `width` numbers of which the first k count: factors, and the offset as the last of them.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.ridge import PACK, _add_products, _clear_below, _factor, _solve
from recollect.kernels.compiled.simd import fma, load, peek, splat, store, total, zero


@njit
@no_type_check
def _between(a, at, b, to, width, last):
    """The two offsets, and the product of the factors, of these two rows."""
    dot = zero()
    for lane in range(0, width, 16):
        dot = fma(load(a, at + lane), load(b, to + lane), dot)
    p, q = peek(a, at + last), peek(b, to + last)
    return p + q + total(dot) - p * q


@njit
@no_type_check
def _add_noise(a, width, k, z, at, x):
    """x += Rᵀ z: solved, it is R⁻¹ z, whose covariance is the inverse of Rᵀ R."""
    for j in range(k):
        times = splat(peek(z, at + j))
        for lane in range(j // 16 * 16, width, 16):
            store(x, lane, fma(times, load(a, j * width + lane), load(x, lane)))


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def draw(start, left, right, value, lefts, rights, base, pull, noise, k, shares, rooms, out, bad):
    """out[j] ~ N(x, A⁻¹ · variance): A = base + Σ f fᵀ, A x = pull[j] + Σ y f, noise[j] being √variance times N(0, I).

    A cell's features f are lefts[left] + rights[right], and 1 for the offset; its y is what those two leave of its value.
    `bad` where A cannot be factored in 32 bits.
    """
    width, last = out.shape[1], k - 1
    p, q, z = lefts.reshape(-1), rights.reshape(-1), noise.reshape(-1)
    for t in prange(len(shares) - 1):
        a, pack = rooms[t, : width * width], rooms[t, width * width : width * (width + PACK)]
        x, least = (
            rooms[t, width * (width + PACK) : width * (width + PACK + 1)],
            rooms[t, width * (width + PACK + 1) :],
        )
        for j in range(shares[t], shares[t + 1]):
            a[:] = base
            x[:] = pull[j]
            for first in range(start[j], start[j + 1], PACK):
                n = min(PACK, start[j + 1] - first)
                for c in range(n):
                    at, to = (
                        np.int64(peek(left, first + c)) * width,
                        np.int64(peek(right, first + c)) * width,
                    )
                    y = splat(peek(value, first + c) - _between(p, at, q, to, width, last))
                    for lane in range(0, width, 16):
                        store(
                            pack,
                            c * width + lane,
                            fma(splat(np.float32(1)), load(p, at + lane), load(q, to + lane)),
                        )
                    pack[c * width + last] = 1
                    for lane in range(0, width, 16):
                        store(x, lane, fma(y, load(pack, c * width + lane), load(x, lane)))
                _add_products(a, width, k, pack, n)
            for i in range(k):
                least[i] = np.float32(1e-6) * a[i * width + i]
            bad[j] = not _factor(a, width, k, least)
            if not bad[j]:
                _clear_below(a, width, k)
                _add_noise(a, width, k, z, j * width, x)
                _solve(a, width, k, x)
            out[j] = x


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def ratings(a, b, c, A, B, C, k, shares, out):
    """out[j] = the three rows' offsets, and the products of their factors two by two."""
    width, last = A.shape[1], k - 1
    p, q, r = A.reshape(-1), B.reshape(-1), C.reshape(-1)
    for t in prange(len(shares) - 1):
        for j in range(shares[t], shares[t + 1]):
            at, to, by = np.int64(a[j]) * width, np.int64(b[j]) * width, np.int64(c[j]) * width
            dot = zero()
            for lane in range(0, width, 16):
                x, y, z = load(p, at + lane), load(q, to + lane), load(r, by + lane)
                dot = fma(x, y, fma(z, fma(splat(np.float32(1)), x, y), dot))
            x, y, z = peek(p, at + last), peek(q, to + last), peek(r, by + last)
            out[j] = total(dot) + x + y + z - x * y - z * (x + y)


@njit(cache=True, nogil=True)
@no_type_check
def bag(start, holder, weight, Y, left, square, precision, pull, noise):
    """One draw of every row of Y in turn, Y[j] given all others; `left`, what the holders' bags leave over, is kept up to date.

    Row j is in the bags of holders holder[start[j] : start[j + 1]], times their weight; square[j] is Σ weight². The columns are
    independent, what is left over has variance 1, and Y[j] has the prior N(pull / precision, 1 / precision).
    """
    width = Y.shape[1]
    y, rest, g, step = (
        Y.reshape(-1),
        left.reshape(-1),
        np.empty(width, np.float32),
        np.empty(width, np.float32),
    )
    for j in range(len(start) - 1):
        for lane in range(0, width, 16):
            found = fma(splat(square[j]), load(y, j * width + lane), load(pull, lane))
            for c in range(start[j], start[j + 1]):
                h = np.int64(peek(holder, c))
                found = fma(splat(peek(weight, h)), load(rest, h * width + lane), found)
            store(g, lane, found)
        for i in range(width):
            total_precision = precision[i] + square[j]
            step[i] = g[i] / total_precision + noise[j, i] / np.sqrt(total_precision) - Y[j, i]
            Y[j, i] += step[i]
        for c in range(start[j], start[j + 1]):
            h = np.int64(peek(holder, c))
            times = splat(-peek(weight, h))
            for lane in range(0, width, 16):
                store(
                    rest,
                    h * width + lane,
                    fma(times, load(step, lane), load(rest, h * width + lane)),
                )
