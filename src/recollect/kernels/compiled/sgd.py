"""The loop of `descent`, compiled by Numba. Arrays only, everything float32; no index is checked."""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.simd import fma, load, splat, store, total, zero


@njit
@no_type_check
def _next(state):
    """The next of a sequence of random 64-bit numbers (xorshift*)."""
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    return state


@njit
@no_type_check
def shuffle(order, state):
    """A random order of the numbers from 0 on."""
    for j in range(len(order)):
        order[j] = j
    for j in range(len(order) - 1, 0, -1):
        state = _next(state)
        other = np.int64((state * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(33)) % (j + 1)
        order[j], order[other] = order[other], order[j]


@njit(parallel=True, cache=True, nogil=True, boundscheck=False)
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
    """A step on each rating: groups × groups cells, those of a diagonal at a time, which share no user and no item.

    The ratings of cell (g, h) are those from cells[g * groups + h] on. U and V have a multiple of 16 columns. The sum of squared
    errors, each before its step.
    """
    width = U.shape[1]
    u, v = U.reshape(-1), V.reshape(-1)
    errors = np.zeros(groups * groups)
    for diagonal in range(groups):
        for g in prange(groups):
            cell = g * groups + (g + diagonal) % groups
            first, n = cells[cell], cells[cell + 1] - cells[cell]
            order = np.empty(n, np.int32)
            shuffle(
                order,
                (np.uint64(seed) + np.uint64(cell + 1)) * np.uint64(0x9E3779B97F4A7C15)
                | np.uint64(1),
            )
            for j in order:
                a, b = np.int64(user[first + j]), np.int64(item[first + j])
                x, y, dot = a * width, b * width, zero()
                for lane in range(0, width, 16):
                    dot = fma(load(u, x + lane), load(v, y + lane), dot)
                error = value[first + j] - b_user[a] - b_item[b] - total(dot)
                errors[cell] += np.float64(error) * error
                b_user[a] += offset_rate * (error - reg_user[a] * b_user[a])
                b_item[b] += offset_rate * (error - reg_item[b] * b_item[b])
                step = splat(np.float32(rate * error))
                keep_user, keep_item = (
                    splat(np.float32(1 - rate * reg_user[a])),
                    splat(np.float32(1 - rate * reg_item[b])),
                )
                for lane in range(0, width, 16):
                    p, q = load(u, x + lane), load(v, y + lane)
                    store(u, x + lane, fma(step, q, fma(keep_user, p, zero())))
                    store(v, y + lane, fma(step, p, fma(keep_item, q, zero())))
    return errors.sum()
