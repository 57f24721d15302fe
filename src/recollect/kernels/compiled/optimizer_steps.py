"""The loops of `vectors`, compiled by Numba; see there for what they do. Flat arrays only, parameters float32.

Sums are over blocks of BLOCK numbers, one row of `sums` per block, and the caller adds the blocks up in their order: the
numbers do not depend on how many threads there are. `history` has a row of `width` numbers (a multiple of 16, zeros at the
end) for each vector, 16 bits each: of pair j the step s is row 2 j and the change y row 2 j + 1.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.simd import fma, load, peek, splat, store, total, zero

BLOCK = 2048


@njit
@no_type_check
def _tail(array, at, n):
    """The last numbers, fewer than sixteen, with zeros behind."""
    padded = np.zeros(16, np.float32)
    padded[:n] = array[at : at + n]
    return padded


@njit
@no_type_check
def _store_pair(history, s, y, step, direction, gradient, before, at, n, sums):
    """Store one block's part of the newest pair; sums += (direction · gradient, gradient · gradient)."""
    times, minus = splat(step), splat(np.float32(-1))
    slope = square = zero()
    for i in range(0, n, 16):
        d, g = load(direction, at + i), load(gradient, at + i)
        store(history, s + i, fma(times, d, zero()))
        store(history, y + i, fma(minus, load(before, at + i), g))
        slope, square = fma(d, g, slope), fma(g, g, square)
    sums[0] += total(slope)
    sums[1] += total(square)


@njit
@no_type_check
def _six_products(history, a, s, b, y, gradient, at, n, sums):
    """One block of (a, b) · (s, y, gradient); a, b, s and y are places in the history."""
    a0 = a1 = a2 = b0 = b1 = b2 = zero()
    for i in range(0, n, 16):
        left, right, g = load(history, a + i), load(history, b + i), load(gradient, at + i)
        first, second = load(history, s + i), load(history, y + i)
        a0, a1, a2 = fma(left, first, a0), fma(left, second, a1), fma(left, g, a2)
        b0, b1, b2 = fma(right, first, b0), fma(right, second, b1), fma(right, g, b2)
    for k, x in enumerate((total(a0), total(a1), total(a2), total(b0), total(b1), total(b2))):
        sums[k] += x


@njit
@no_type_check
def _products(history, width, pairs, here, step, direction, gradient, before, at, n, sums):
    """One block: store the newest pair, the last of `pairs`, and multiply every pair with it and the gradient."""
    s, y = 2 * pairs[-1] * width + here, (2 * pairs[-1] + 1) * width + here
    _store_pair(history, s, y, step, direction, gradient, before, at, n, sums)
    for k in range(len(pairs)):
        a = 2 * pairs[k] * width + here
        _six_products(history, a, s, a + width, y, gradient, at, n, sums[2 + 6 * k :])


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def products(history, width, pairs, step, direction, gradient, before, sums):
    """Fill the pair pairs[-1] and the sums: per block direction · gradient, gradient · gradient, then six per pair."""
    n = len(gradient)
    for q in prange(len(sums)):
        at, end = q * BLOCK, min(n, (q + 1) * BLOCK)
        whole = (end - at) // 16 * 16
        _products(history, width, pairs, at, step, direction, gradient, before, at, whole, sums[q])
        if at + whole < end:
            left, here = end - at - whole, at + whole
            _products(
                history,
                width,
                pairs,
                here,
                step,
                _tail(direction, here, left),
                _tail(gradient, here, left),
                _tail(before, here, left),
                0,
                16,
                sums[q],
            )


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def combine(history, width, rows, shares, share, gradient, direction, step, parameter):
    """direction = share · gradient + Σ shares[k] · history[rows[k]]; parameter += step · direction."""
    n = len(gradient)
    for q in prange((n + BLOCK - 1) // BLOCK):
        at, end = q * BLOCK, min(n, (q + 1) * BLOCK)
        whole = at + (end - at) // 16 * 16
        for i in range(at, whole, 16):
            d = fma(splat(share), load(gradient, i), zero())
            for k in range(len(rows)):
                d = fma(splat(peek(shares, k)), load(history, peek(rows, k) * width + i), d)
            store(direction, i, d)
            store(parameter, i, fma(splat(step), d, load(parameter, i)))
        if whole < end:
            d = fma(splat(share), load(_tail(gradient, whole, end - whole), 0), zero())
            for k in range(len(rows)):
                d = fma(splat(peek(shares, k)), load(history, peek(rows, k) * width + whole), d)
            last = np.empty(16, np.float32)
            store(last, 0, d)
            for i in range(whole, end):
                direction[i] = last[i - whole]
                parameter[i] += step * last[i - whole]


@njit(error_model="numpy")
@no_type_check
def _adam(p, g, m, v, new, keep_square, new_square, rate, epsilon):
    for i in range(len(p)):
        m[i] += new * (g[i] - m[i])
        v[i] = keep_square * v[i] + new_square * g[i] * g[i]
        p[i] -= rate * m[i] / (np.sqrt(v[i]) + epsilon)


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
@no_type_check
def adam(
    parameter, gradient, mean, square, rows, width, new, keep_square, new_square, rate, epsilon
):
    """Adam on rows of `width` numbers of the parameter; row k of the gradient belongs to rows[k].

    `new` is 1 − β₁, `keep_square` β₂ and `new_square` 1 − β₂, each rounded to 32 bits by itself.
    """
    for k in prange(len(rows)):
        at, end = rows[k] * width, min(len(parameter), (rows[k] + 1) * width)
        _adam(
            parameter[at:end],
            gradient[k * width : k * width + end - at],
            mean[at:end],
            square[at:end],
            new,
            keep_square,
            new_square,
            rate,
            epsilon,
        )


@njit
@no_type_check
def _widen(short):
    wide = np.empty(len(short), np.uint32)
    for i in range(len(short)):
        wide[i] = np.uint32(short[i]) << np.uint32(16)
    return wide


@njit
@no_type_check
def _random_bits(i, salt):
    """32 bits, a hash of the place and the step ("lowbias32")."""
    x = np.uint32(i) ^ salt
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")
@no_type_check
def adam16(
    parameter,
    gradient,
    mean,
    square,
    rows,
    width,
    new,
    keep_square,
    new_square,
    rate,
    epsilon,
    salt,
):
    """The same with the moments in bfloat16, rounded up or down at random."""
    for k in prange(len(rows)):
        at, end = rows[k] * width, min(len(parameter), (rows[k] + 1) * width)
        m, v = _widen(mean[at:end]), _widen(square[at:end])
        _adam(
            parameter[at:end],
            gradient[k * width : k * width + end - at],
            m.view(np.float32),
            v.view(np.float32),
            new,
            keep_square,
            new_square,
            rate,
            epsilon,
        )
        to_mean, to_square = mean[at:end], square[at:end]
        for i in range(end - at):
            bits = _random_bits(at + i, salt)
            to_mean[i] = np.uint32(m[i] + (bits & np.uint32(0xFFFF))) >> np.uint32(16)
            to_square[i] = np.uint32(v[i] + (bits >> np.uint32(16))) >> np.uint32(16)


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def rprop(parameter, gradient, before, size, shrink, grow, least, most):
    """One step of Rprop; see vectors.rprop."""
    none = np.float32(0)
    for q in prange((len(parameter) + BLOCK - 1) // BLOCK):
        at, end = q * BLOCK, min(len(parameter), (q + 1) * BLOCK)
        p, g, b, s = parameter[at:end], gradient[at:end], before[at:end], size[at:end]
        for i in range(end - at):
            turned = g[i] * b[i]
            here = none if turned < none else g[i]
            s[i] = min(
                max(
                    s[i] * (grow if turned > none else shrink if turned < none else np.float32(1)),
                    least,
                ),
                most,
            )
            p[i] -= s[i] if here > none else -s[i] if here < none else none
            b[i] = here


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def sgd(parameter, gradient, speed, rate, momentum):
    """One step of gradient descent with momentum; see vectors.sgd."""
    for q in prange((len(parameter) + BLOCK - 1) // BLOCK):
        at, end = q * BLOCK, min(len(parameter), (q + 1) * BLOCK)
        p, g, s = parameter[at:end], gradient[at:end], speed[at:end]
        for i in range(end - at):
            s[i] = momentum * s[i] + g[i]
            p[i] -= rate * s[i]
