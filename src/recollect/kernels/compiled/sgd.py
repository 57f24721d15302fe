"""The loop of `kernels.sgd`, compiled by Numba. Arrays only, everything float32; no index is
checked.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.simd import fma, load, splat, store, total, zero

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / φ: consecutive numbers become far apart
MULTIPLIER = np.uint64(0x2545F4914F6CDD1D)  # of xorshift64*


@inlined
@no_type_check
def random_state(seed, number):
    """The initial state of one of many sequences of random numbers, which `number` tells apart. It
    is never 0.
    """
    spread = (np.uint64(seed) + np.uint64(number)) * GOLDEN
    # xorshift never leaves the state 0; the last bit set, no state begins there.
    return spread | np.uint64(1)


@inlined
@no_type_check
def _next(state):
    """The next state (xorshift64*)."""
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    return state


@inlined
@no_type_check
def shuffle(order, state):
    """Fill `order` with the numbers from 0 on in random order (Fisher and Yates)."""
    for j in range(len(order)):
        order[j] = j

    for j in range(len(order) - 1, 0, -1):
        state = _next(state)
        # The upper bits, which are the good ones; 31 of them, so that the number is not negative.
        bits = (state * MULTIPLIER) >> np.uint64(33)
        other = np.int64(bits) % (j + 1)
        order[j], order[other] = order[other], order[j]


@inlined
@no_type_check
def _visit_cell(
    order, user, item, value, U, V, b_user, b_item, reg_user, reg_item, rate, offset_rate
):
    """A step on each rating of a cell, in this order. The sum of squared errors, each before its
    step.
    """
    width = U.shape[1]
    all_p = U.reshape(-1)
    all_q = V.reshape(-1)
    squares = 0.0

    for j in order:
        u = np.int64(user[j])
        i = np.int64(item[j])
        at_p = u * width
        at_q = i * width
        dot = zero()

        for lane in range(0, width, 16):
            dot = fma(load(all_p, at_p + lane), load(all_q, at_q + lane), dot)

        error = value[j] - b_user[u] - b_item[i] - total(dot)
        # In 64 bits: a hundred million squares are added up.
        squares += np.float64(error) * error
        b_user[u] += offset_rate * (error - reg_user[u] * b_user[u])
        b_item[i] += offset_rate * (error - reg_item[i] * b_item[i])
        # p += γ (e q − λ p) is (1 − γ λ) p + γ e q, one multiplication and one fused addition.
        step = splat(np.float32(rate * error))
        keep_p = splat(np.float32(1 - rate * reg_user[u]))
        keep_q = splat(np.float32(1 - rate * reg_item[i]))

        # Both are loaded before either is stored: each step uses the other's old factors.
        for lane in range(0, width, 16):
            p = load(all_p, at_p + lane)
            q = load(all_q, at_q + lane)
            store(all_p, at_p + lane, fma(step, q, fma(keep_p, p, zero())))
            store(all_q, at_q + lane, fma(step, p, fma(keep_q, q, zero())))

    return squares


@njit(
    parallel=True,
    cache=True,
    nogil=True,
    boundscheck=False,
)
@no_type_check
def descend(
    cells,
    user,
    item,
    value,
    U,
    V,
    b_user,
    b_item,
    reg_user,
    reg_item,
    rate,
    offset_rate,
    seed,
    groups,
):
    """Take a step on each rating; returns the sum of squared errors, each before its step.

    The cells of a diagonal share no user and no item and are visited at once.

    Args:
        cells: the first rating of each cell: of cell (g, h) it is cells[g * groups + h].
        user: row number of the user of each rating.
        item: row number of the item.
        value: the rating, less the mean.
        U: users × a multiple of 16, their factors.
        V: items × a multiple of 16, their factors.
        b_user: offsets of users.
        b_item: offsets of items.
        reg_user: λ of each user, with each rating.
        reg_item: λ of each item, with each rating.
        rate: learning rate of factors.
        offset_rate: learning rate of offsets; 0: they stay as they are.
        seed: of the order within each cell.
        groups: of users and of items.
    """
    # Each thread adds to its own cells' entries: the order of additions does not depend on the
    # threads.
    squares = np.zeros(groups * groups)

    # Diagonals one after another: two of them share users and items.
    for diagonal in range(groups):
        for g in prange(groups):
            cell = g * groups + (g + diagonal) % groups
            first = cells[cell]
            end = cells[cell + 1]
            order = np.empty(end - first, np.int32)
            shuffle(order, random_state(seed, cell + 1))
            squares[cell] = _visit_cell(
                order,
                user[first:end],
                item[first:end],
                value[first:end],
                U,
                V,
                b_user,
                b_item,
                reg_user,
                reg_item,
                rate,
                offset_rate,
            )

    return squares.sum()
