"""The loops of `ridge`, compiled by Numba: normal equations of each row, factored and solved while they are in the core's cache.

Arrays only, everything float32. A matrix has `width` rows and columns, a multiple of 32; only its upper triangle is kept, row by
row. `pack` holds the features of up to PACK cells.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.simd import fma, load, peek, splat, store, total, zero

PACK = 64


@njit
@no_type_check
def _add_products(a, width, k, pack, n):
    """A += Σ over the packed cells of f fᵀ: four rows and 32 columns at a time stay in registers."""
    for i in range(0, k, 4):
        for at in range(i // 32 * 32, width, 32):
            r0, r1, r2, r3 = (
                i * width + at,
                (i + 1) * width + at,
                (i + 2) * width + at,
                (i + 3) * width + at,
            )
            s0, t0, s1, t1 = load(a, r0), load(a, r0 + 16), load(a, r1), load(a, r1 + 16)
            s2, t2, s3, t3 = load(a, r2), load(a, r2 + 16), load(a, r3), load(a, r3 + 16)
            for c in range(n):
                x, y = load(pack, c * width + at), load(pack, c * width + at + 16)
                f0, f1 = splat(peek(pack, c * width + i)), splat(peek(pack, c * width + i + 1))
                f2, f3 = splat(peek(pack, c * width + i + 2)), splat(peek(pack, c * width + i + 3))
                s0, t0, s1, t1 = fma(f0, x, s0), fma(f0, y, t0), fma(f1, x, s1), fma(f1, y, t1)
                s2, t2, s3, t3 = fma(f2, x, s2), fma(f2, y, t2), fma(f3, x, s3), fma(f3, y, t3)
            store(a, r0, s0)
            store(a, r0 + 16, t0)
            store(a, r1, s1)
            store(a, r1 + 16, t1)
            store(a, r2, s2)
            store(a, r2 + 16, t2)
            store(a, r3, s3)
            store(a, r3 + 16, t3)


@njit
@no_type_check
def _factor(a, width, k, least):
    """A = Rᵀ R, R in place of A; False where A is not positive definite to these digits."""
    for j in range(k):
        pivot = a[j * width + j]
        if not pivot > least[j]:
            return False
        scale = splat(np.float32(1) / np.sqrt(pivot))
        for at in range(j // 16 * 16, width, 16):
            store(a, j * width + at, fma(scale, load(a, j * width + at), zero()))
        for i in range(j + 1, k):
            times = splat(-peek(a, j * width + i))
            for at in range(i // 16 * 16, width, 16):
                store(
                    a, i * width + at, fma(times, load(a, j * width + at), load(a, i * width + at))
                )
    return True


@njit
@no_type_check
def _solve(a, width, k, x):
    """Rᵀ R x = b, x in place of b. Below R's diagonal and beyond its k columns x meets zeros."""
    for j in range(k):
        x[j] = x[j] / a[j * width + j]
        times = splat(-x[j])
        kept = x[j]
        for at in range(j // 16 * 16, width, 16):
            store(x, at, fma(times, load(a, j * width + at), load(x, at)))
        x[j] = kept
    for j in range(k - 1, -1, -1):
        kept = x[j]
        x[j] = 0
        dot = zero()
        for at in range(j // 16 * 16, width, 16):
            dot = fma(load(a, j * width + at), load(x, at), dot)
        x[j] = (kept - total(dot)) / a[j * width + j]


@njit
@no_type_check
def _clear_below(a, width, k):
    """Zeros left of the diagonal, in the 16 columns that hold it: what the loops read there must not count."""
    for j in range(k):
        for i in range(j // 16 * 16, j):
            a[j * width + i] = 0


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def ridge(start, column, value, features, base, reg, pull, k, shares, rooms, out, bad):
    """out[j] solves (base + reg[j] I + Σ f fᵀ) x = pull[j] + Σ value · f over row j's cells; `bad` where it cannot be solved.

    `features`, `pull` and `out` have `width` columns of which the first k count (the others are 0), `base` is width × width.
    """
    width = features.shape[1]
    source = features.reshape(-1)
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
                    at, v = np.int64(peek(column, first + c)) * width, splat(peek(value, first + c))
                    for lane in range(0, width, 16):
                        f = load(source, at + lane)
                        store(pack, c * width + lane, f)
                        store(x, lane, fma(v, f, load(x, lane)))
                _add_products(a, width, k, pack, n)
            for i in range(k):
                a[i * width + i] += reg[j]
                least[i] = np.float32(1e-6) * a[i * width + i]
            bad[j] = not _factor(a, width, k, least)
            if not bad[j]:
                _clear_below(a, width, k)
                _solve(a, width, k, x)
            out[j] = x
