"""The loops of `kernels.optimizer_steps`: flat arrays only, parameters float32.

Sums are over blocks of BLOCK numbers, one row of `sums` per block, and the caller adds the blocks
in their
order: the result does not depend on the number of threads. `history` has a row of `width` numbers
(a multiple of 16, zeros at the end) of 16 bits for each vector: of pair j the step s is row 2 j and
the change y row 2 j + 1. `reference.optimizers` states the steps in plain NumPy.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.simd import fma, load, peek, splat, store, total, zero

BLOCK = 2048


@inlined
@no_type_check
def _tail(array, at, n):
    """The last numbers, fewer than sixteen, with zeros added."""
    padded = np.zeros(16, np.float32)
    padded[:n] = array[at : at + n]
    return padded


@inlined
@no_type_check
def _store_pair(history, s, y, step, direction, gradient, previous, at, n, sums):
    """Store one block of the newest pair; sums += (direction · gradient, gradient · gradient)."""
    # d · g before anything is rounded: the line search needs the slope in full precision.
    factor = splat(step)
    minus_one = splat(np.float32(-1))
    slope = zero()
    square = zero()

    for i in range(0, n, 16):
        d = load(direction, at + i)
        g = load(gradient, at + i)
        store(history, s + i, fma(factor, d, zero()))
        store(history, y + i, fma(minus_one, load(previous, at + i), g))
        slope = fma(d, g, slope)
        square = fma(g, g, square)

    sums[0] += total(slope)
    sums[1] += total(square)


@inlined
@no_type_check
def _six_products(history, a, s, b, y, gradient, at, n, sums):
    """One block of (a, b) · (s, y, gradient); a, b, s and y are places in the history."""
    # Six sums in registers: each number of the history is read once for three of them.
    a_s = a_y = a_g = zero()
    b_s = b_y = b_g = zero()

    for i in range(0, n, 16):
        left = load(history, a + i)
        right = load(history, b + i)
        step = load(history, s + i)
        change = load(history, y + i)
        g = load(gradient, at + i)
        a_s = fma(left, step, a_s)
        a_y = fma(left, change, a_y)
        a_g = fma(left, g, a_g)
        b_s = fma(right, step, b_s)
        b_y = fma(right, change, b_y)
        b_g = fma(right, g, b_g)

    sums[0] += total(a_s)
    sums[1] += total(a_y)
    sums[2] += total(a_g)
    sums[3] += total(b_s)
    sums[4] += total(b_y)
    sums[5] += total(b_g)


@inlined
@no_type_check
def _products(history, width, pairs, place, step, direction, gradient, previous, at, n, sums):
    """One block: store the newest pair, the last of `pairs`, and multiply all pairs with it and the
    gradient.

    `place` is where the block begins in a row of the history, `at` where it begins in the other
    arrays.
    """
    s = 2 * pairs[-1] * width + place
    y = s + width
    _store_pair(history, s, y, step, direction, gradient, previous, at, n, sums)

    # After the first two sums, six for each pair.
    for k in range(len(pairs)):
        a = 2 * pairs[k] * width + place
        _six_products(history, a, s, a + width, y, gradient, at, n, sums[2 + 6 * k :])


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def products(history, width, pairs, step, direction, gradient, previous, sums):
    """Write the pair pairs[-1], and fill one row of `sums` per block.

    A row has direction · gradient, gradient · gradient, then six products per pair.

    Args:
        history: all rows of all pairs, one after the other.
        width: numbers in a row of the history.
        pairs: the numbers of the pairs that count; the last one is written.
        step: how far the parameters moved along the direction.
        direction: the direction.
        gradient: after the step.
        previous: the gradient before it.
        sums: blocks × (2 + 6 · pairs), zeros.
    """
    n = len(gradient)

    for q in prange(len(sums)):
        at = q * BLOCK
        end = min(n, (q + 1) * BLOCK)
        whole = (end - at) // 16 * 16
        row = sums[q]
        _products(history, width, pairs, at, step, direction, gradient, previous, at, whole, row)
        if at + whole < end:
            # The history has zeros at the end of its rows, the other arrays have none.
            place = at + whole
            left = end - place
            d = _tail(direction, place, left)
            g = _tail(gradient, place, left)
            p = _tail(previous, place, left)
            _products(history, width, pairs, place, step, d, g, p, 0, 16, row)


@inlined
@no_type_check
def _combination(history, width, rows, coefficients, place, scaled_gradient):
    """Sixteen numbers of scaled_gradient + Σ coefficients[k] · history[rows[k]]."""
    out = scaled_gradient

    # The sixteen numbers stay in a register while the rows go by.
    for k in range(len(rows)):
        coefficient = splat(peek(coefficients, k))
        vector = load(history, peek(rows, k) * width + place)
        out = fma(coefficient, vector, out)

    return out


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def combine(history, width, rows, coefficients, of_gradient, gradient, direction, step, parameter):
    """direction = of_gradient · gradient + Σ coefficients[k] · history[rows[k]], and a step along
    it.

    Args:
        history: all rows of all pairs, one after the other.
        width: numbers in a row of the history.
        rows: the numbers of the rows that count.
        coefficients: one for each of them.
        of_gradient: the coefficient of the gradient.
        gradient: the gradient.
        direction: overwritten.
        step: how far the parameter moves along the direction.
        parameter: changed in place.
    """
    n = len(gradient)

    for q in prange((n + BLOCK - 1) // BLOCK):
        at = q * BLOCK
        end = min(n, (q + 1) * BLOCK)
        whole = at + (end - at) // 16 * 16

        for i in range(at, whole, 16):
            g = fma(splat(of_gradient), load(gradient, i), zero())
            d = _combination(history, width, rows, coefficients, i, g)
            store(direction, i, d)
            store(parameter, i, fma(splat(step), d, load(parameter, i)))

        if whole < end:
            # The last numbers of the parameter do not fill a vector, and nothing may be written
            # behind them.
            tail = _tail(gradient, whole, end - whole)
            g = fma(splat(of_gradient), load(tail, 0), zero())
            d = _combination(history, width, rows, coefficients, whole, g)
            last = np.empty(16, np.float32)
            store(last, 0, d)

            for i in range(whole, end):
                direction[i] = last[i - whole]
                parameter[i] += step * last[i - whole]


@njit(error_model="numpy")
@no_type_check
def _adam(p, g, m, v, new, keep_square, new_square, rate, epsilon, inside):
    # Without branches and with one slice of each array: LLVM makes vector instructions of it.
    for i in range(len(p)):
        m[i] += new * (g[i] - m[i])
        v[i] = keep_square * v[i] + new_square * g[i] * g[i]
        root = np.sqrt(v[i] + inside) + epsilon
        p[i] -= rate * m[i] / root


@njit(
    parallel=True,
    cache=True,
    nogil=True,
    error_model="numpy",
)
@no_type_check
def adam(
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
    inside,
):
    """Adam on rows of `width` numbers of the parameter.

    Args:
        parameter: changed in place.
        gradient: its row k belongs to row rows[k] of the parameter.
        mean: m, changed in place.
        square: v, changed in place.
        rows: the numbers of the rows that step.
        width: numbers in a row.
        new: 1 − β₁; this and the next two are each rounded to 32 bits by itself.
        keep_square: β₂.
        new_square: 1 − β₂.
        rate: the learning rate, divided by what corrects the moments.
        epsilon: ε, added to the root.
        inside: added to v under the root.
    """
    for k in prange(len(rows)):
        at = rows[k] * width
        # The last row may be shorter, where the whole parameter is cut into rows.
        end = min(len(parameter), (rows[k] + 1) * width)
        from_gradient = k * width
        p = parameter[at:end]
        g = gradient[from_gradient : from_gradient + end - at]
        m = mean[at:end]
        v = square[at:end]
        _adam(p, g, m, v, new, keep_square, new_square, rate, epsilon, inside)


@inlined
@no_type_check
def _widen(short):
    wide = np.empty(len(short), np.uint32)
    # bfloat16 is the upper half of a 32-bit number.
    for i in range(len(short)):
        wide[i] = np.uint32(short[i]) << np.uint32(16)
    return wide


@inlined
@no_type_check
def _random_bits(i, salt):
    """32 random bits: a hash of the place and the salt ("lowbias32")."""
    # Back to 32 bits after each product: Numba widens them to 64.
    x = np.uint32(i) ^ salt
    x ^= x >> np.uint32(16)
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x ^= x >> np.uint32(15)
    x = np.uint32(x * np.uint32(0x846CA68B))
    x ^= x >> np.uint32(16)

    return np.uint32(x)


@njit(
    parallel=True,
    cache=True,
    nogil=True,
    error_model="numpy",
)
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
    inside,
    salt,
):
    """As `adam`, the moments in bfloat16, rounded up or down at random.

    A moment is rounded up where the 16 bits that are cut off and 16 random bits together carry.

    Args:
        parameter: as for `adam`, as all that follow but the last.
        gradient: g.
        mean: the bits of m.
        square: the bits of v.
        rows: the numbers of the rows that step.
        width: numbers in a row.
        new: 1 − β₁.
        keep_square: β₂.
        new_square: 1 − β₂.
        rate: the corrected learning rate.
        epsilon: ε, added to the root.
        inside: added to v under the root.
        salt: 32 bits that go into the random ones.
    """
    for k in prange(len(rows)):
        at = rows[k] * width
        end = min(len(parameter), (rows[k] + 1) * width)
        p = parameter[at:end]
        g = gradient[k * width : k * width + end - at]
        m = _widen(mean[at:end])
        v = _widen(square[at:end])
        # The same memory twice: as numbers for the step, as bits for rounding.
        wide_mean = m.view(np.float32)
        wide_square = v.view(np.float32)
        _adam(p, g, wide_mean, wide_square, new, keep_square, new_square, rate, epsilon, inside)
        short_mean = mean[at:end]
        short_square = square[at:end]

        for i in range(end - at):
            # One hash for both moments: the lower half rounds m, the upper half v.
            bits = _random_bits(at + i, salt)
            lower = bits & np.uint32(0xFFFF)
            upper = bits >> np.uint32(16)
            short_mean[i] = np.uint32(m[i] + lower) >> np.uint32(16)
            short_square[i] = np.uint32(v[i] + upper) >> np.uint32(16)


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def rprop(parameter, gradient, previous, size, shrink, grow, smallest, largest):
    """One step of Rprop.

    Args:
        parameter: changed in place.
        gradient: g.
        previous: the gradient of the step before, changed in place.
        size: of each number's step, changed in place.
        shrink: the factor of a size where the gradient changed its sign.
        grow: the factor of a size where it kept it.
        smallest: the smallest size.
        largest: the largest size.
    """
    none = np.float32(0)
    one = np.float32(1)

    for q in prange((len(parameter) + BLOCK - 1) // BLOCK):
        at = q * BLOCK
        end = min(len(parameter), (q + 1) * BLOCK)
        p = parameter[at:end]
        g = gradient[at:end]
        before = previous[at:end]
        s = size[at:end]

        for i in range(end - at):
            # Expressions, not branches: LLVM turns them into vector instructions.
            agreement = g[i] * before[i]
            # 0 where the sign changed: no move now, and no comparison in the next step.
            effective = none if agreement < none else g[i]
            shrunk = shrink if agreement < none else one
            factor = grow if agreement > none else shrunk
            s[i] = min(max(s[i] * factor, smallest), largest)
            backward = -s[i] if effective < none else none
            p[i] -= s[i] if effective > none else backward
            before[i] = effective


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def sgd(parameter, gradient, velocity, rate, momentum):
    """One step of gradient descent with momentum.

    Args:
        parameter: changed in place.
        gradient: g.
        velocity: changed in place.
        rate: the learning rate.
        momentum: how much of the velocity is kept.
    """
    for q in prange((len(parameter) + BLOCK - 1) // BLOCK):
        at = q * BLOCK
        end = min(len(parameter), (q + 1) * BLOCK)
        p = parameter[at:end]
        g = gradient[at:end]
        u = velocity[at:end]

        for i in range(end - at):
            # Not (1 − momentum) g: a sum of gradients, as in torch.optim.SGD.
            u[i] = momentum * u[i] + g[i]
            p[i] -= rate * u[i]
