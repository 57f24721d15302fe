"""The loops of `kernels.gibbs`, compiled by Numba. Arrays only, everything float32; no index is
checked.

A table holds a vector per row, `width` numbers of which the first k count: factors, and the offset
last.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.cholesky import clear_below, factor, solve
from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.ridge import PACK, _add_products
from recollect.kernels.compiled.simd import fma, load, peek, splat, store, total, zero


@inlined
@no_type_check
def _pair_rating(a, at, b, to, width, last):
    """What two rows give without a third: their offsets, and the product of their factors."""
    dot = zero()

    for lane in range(0, width, 16):
        dot = fma(load(a, at + lane), load(b, to + lane), dot)

    # The vector instructions multiply the offsets, too; their product is taken off again.
    p = peek(a, at + last)
    q = peek(b, to + last)

    return p + q + total(dot) - p * q


@inlined
@no_type_check
def _add_noise(a, width, k, z, at, x):
    """x += Rᵀ z: solved, it is R⁻¹ z, whose covariance is the inverse of Rᵀ R."""
    for j in range(k):
        times = splat(peek(z, at + j))
        row = j * width

        # Row j of R begins at column j, rounded down to a whole vector.
        for lane in range(j // 16 * 16, width, 16):
            added = fma(times, load(a, row + lane), load(x, lane))
            store(x, lane, added)


@inlined
@no_type_check
def _pack_cell(pack, slot, x, y, p, at, q, to, width, last):
    """Put a cell's features, f = p[at] + q[to] and 1 for the offset, into the pack; x += y f."""
    begin = slot * width
    one = splat(np.float32(1))

    for lane in range(0, width, 16):
        f = fma(one, load(p, at + lane), load(q, to + lane))
        store(pack, begin + lane, f)

    # The sum of the two offsets stood there, which y has taken off already.
    pack[begin + last] = 1

    for lane in range(0, width, 16):
        store(x, lane, fma(y, load(pack, begin + lane), load(x, lane)))


@inlined
@no_type_check
def _add_ratings(start, end, left, right, value, p, q, width, k, a, pack, x):
    """A += Σ f fᵀ and x += Σ y f over the ratings from start to end, a pack at a time."""
    last = k - 1

    for first in range(start, end, PACK):
        n = min(PACK, end - first)

        for c in range(n):
            at = np.int64(peek(left, first + c)) * width
            to = np.int64(peek(right, first + c)) * width
            without_row = _pair_rating(p, at, q, to, width, last)
            y = splat(peek(value, first + c) - without_row)
            _pack_cell(pack, c, x, y, p, at, q, to, width, last)

        _add_products(a, width, k, pack, n)


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def draw(
    start,
    left,
    right,
    value,
    lefts,
    rights,
    base,
    pull,
    noise,
    k,
    shares,
    scratch,
    out,
    singular,
):
    """out[j] ~ N(A⁻¹ b, σ² A⁻¹), A = base + Σ f fᵀ, b = pull[j] + Σ y f over row j's ratings.

    A rating's features f are lefts[left] + rights[right], and 1 for the offset; its y is its value
    without what those two contribute alone.

    Args:
        start: the first rating of each row, and the number of ratings.
        left: of each rating, a row of `lefts`.
        right: of each rating, a row of `rights`.
        value: of each rating.
        lefts: a table.
        rights: a table.
        base: width × width, in one array.
        pull: rows × width.
        noise: rows × width, σ times standard normal numbers.
        k: numbers of a vector.
        shares: the first row of each share of a thread, and the number of rows.
        scratch: an array per share, for a matrix, a pack and two vectors.
        out: rows × width, the draws.
        singular: becomes True for rows that 32 bits cannot solve.
    """
    width = out.shape[1]
    p = lefts.reshape(-1)
    q = rights.reshape(-1)
    z = noise.reshape(-1)
    pack_end = width * (width + PACK)

    for t in prange(len(shares) - 1):
        a = scratch[t, : width * width]
        pack = scratch[t, width * width : pack_end]
        x = scratch[t, pack_end : pack_end + width]
        least = scratch[t, pack_end + width :]

        for j in range(shares[t], shares[t + 1]):
            a[:] = base
            x[:] = pull[j]
            first, end = start[j], start[j + 1]
            _add_ratings(first, end, left, right, value, p, q, width, k, a, pack, x)

            for i in range(k):
                # A pivot below a millionth of its diagonal has lost its digits.
                least[i] = np.float32(1e-6) * a[i * width + i]

            singular[j] = not factor(a, width, k, least)
            if not singular[j]:
                clear_below(a, width, k)
                _add_noise(a, width, k, z, j * width, x)
                solve(a, width, k, x)

            out[j] = x


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def ratings(a, b, c, A, B, C, k, shares, out):
    """out[j] = the offsets of rows A[a[j]], B[b[j]] and C[c[j]], and the products of their factors.

    Args:
        a: a row of A for each pair.
        b: a row of B.
        c: a row of C.
        A: a table.
        B: a table.
        C: a table.
        k: numbers of a vector.
        shares: the first pair of each share of a thread, and the number of pairs.
        out: the rating of each pair.
    """
    width = A.shape[1]
    last = k - 1
    p = A.reshape(-1)
    q = B.reshape(-1)
    r = C.reshape(-1)

    for t in prange(len(shares) - 1):
        one = splat(np.float32(1))

        for j in range(shares[t], shares[t + 1]):
            at = np.int64(a[j]) * width
            to = np.int64(b[j]) * width
            by = np.int64(c[j]) * width
            dot = zero()

            for lane in range(0, width, 16):
                x = load(p, at + lane)
                y = load(q, to + lane)
                z = load(r, by + lane)
                # x y + z (x + y), the sum of all three products
                both = fma(one, x, y)
                dot = fma(x, y, fma(z, both, dot))

            x = peek(p, at + last)
            y = peek(q, to + last)
            z = peek(r, by + last)
            # The vector instructions multiply the offsets, too; their products are taken off again.
            out[j] = total(dot) + x + y + z - x * y - z * (x + y)


@inlined
@no_type_check
def _shift_residuals(residual, holder, weight, first, end, step, width):
    """residual[h] −= weight[h] · step of the holders of a vector that moved by `step`."""
    for c in range(first, end):
        h = np.int64(peek(holder, c))
        times = splat(-peek(weight, h))

        for lane in range(0, width, 16):
            at = h * width + lane
            store(residual, at, fma(times, load(step, lane), load(residual, at)))


@njit(cache=True, nogil=True)
@no_type_check
def bag(start, holder, weight, Y, residual, square, precision, pull, noise):
    """Draw every row of Y in turn, Y[j] given all others; `residual` is brought up to date.

    The columns are independent, residuals have variance 1, and Y[j] has the prior
    N(pull / precision, 1 / precision).

    Args:
        start: the first holder of each row of Y, and the number of holders of all.
        holder: the rows whose bags hold each vector.
        weight: what a holder's bag is multiplied by.
        Y: the vectors in bags.
        residual: the holders' targets without their bags.
        square: Σ weight² over the holders of each row of Y.
        precision: of the prior, per column.
        pull: the prior's precision times its mean, per column.
        noise: standard normal numbers.
    """
    width = Y.shape[1]
    flat_Y = Y.reshape(-1)
    flat_residual = residual.reshape(-1)
    b = np.empty(width, np.float32)
    step = np.empty(width, np.float32)

    for j in range(len(start) - 1):
        for lane in range(0, width, 16):
            # b = pull + Σ weight (residual + weight Y[j])
            total_b = fma(splat(square[j]), load(flat_Y, j * width + lane), load(pull, lane))

            for c in range(start[j], start[j + 1]):
                h = np.int64(peek(holder, c))
                times = splat(peek(weight, h))
                total_b = fma(times, load(flat_residual, h * width + lane), total_b)

            store(b, lane, total_b)

        for i in range(width):
            total_precision = precision[i] + square[j]
            mean = b[i] / total_precision
            deviation = noise[j, i] / np.sqrt(total_precision)
            step[i] = mean + deviation - Y[j, i]
            Y[j, i] += step[i]

        # The next row is drawn given this one: the residuals must follow at once.
        _shift_residuals(flat_residual, holder, weight, start[j], start[j + 1], step, width)
