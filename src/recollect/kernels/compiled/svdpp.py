"""The loops of `svdpp`, compiled by Numba. Arrays only, everything float32; no index is checked.

In one user's ratings every y_j of N(u) takes the same step, y_j ← keep y_j + g, so that their sum does as well: the loop carries
the sum and what all have been given, and writes to the y_j when the user's ratings are done. That changes numbers by rounding
only: the steps are those of the paper, at the price of one row of factors a rating instead of |N(u)|.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.sgd import shuffle
from recollect.kernels.compiled.simd import fma, load, splat, store, total, zero

STIR = np.uint64(0x9E3779B97F4A7C15)


@njit
@no_type_check
def gather(column, first, end, Y, z):
    """z = |N|^-1/2 Σ y_j over the columns from first to end."""
    width = len(z)
    y, share, nothing = Y.reshape(-1), splat(np.float32(1 / np.sqrt(max(1, end - first)))), zero()
    for lane in range(0, width, 16):
        some = nothing
        for j in range(first, end):
            some = fma(splat(np.float32(1)), load(y, np.int64(column[j]) * width + lane), some)
        store(z, lane, fma(share, some, nothing))


@njit
@no_type_check
def scatter(column, first, end, Y, keep, given):
    """y_j ← keep y_j + |N|^-1/2 given, for the columns from first to end."""
    width, nothing = len(given), zero()
    y, kept, share = (
        Y.reshape(-1),
        splat(np.float32(keep)),
        splat(np.float32(1 / np.sqrt(end - first))),
    )
    for lane in range(0, width, 16):
        more = fma(share, load(given, lane), nothing)
        for j in range(first, end):
            at = np.int64(column[j]) * width + lane
            store(y, at, fma(kept, load(y, at), more))


@njit(parallel=True, cache=True, nogil=True, boundscheck=False)
@no_type_check
def implied(start, column, Y, out):
    """|N|^-1/2 Σ y_j of every row."""
    for u in prange(len(start) - 1):
        gather(column, start[u], start[u + 1], Y, out[u])


@njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def descend(
    start, item, value, P, Q, Y, b_user, b_item, reg_user, reg_item, reg_y, reg_offset, rate, seed
):
    """A step on each rating, user by user. The sum of squared errors, each before its step."""
    width, square, state = Q.shape[1], 0.0, np.uint64(seed) * STIR | np.uint64(1)
    q, nothing, z, given = (
        Q.reshape(-1),
        zero(),
        np.empty(width, np.float32),
        np.empty(width, np.float32),
    )
    users, turns = np.empty(len(start) - 1, np.int32), np.empty(np.diff(start).max(), np.int32)
    shuffle(users, state)
    for u in users:
        first, n = start[u], start[u + 1] - start[u]
        if n == 0:
            continue
        gather(item, first, first + n, Y, z)
        given[:] = 0
        p, turn = P[u], turns[:n]
        shuffle(turn, (state + np.uint64(u + 1)) * STIR | np.uint64(1))
        keep_p, keep_y = (
            splat(np.float32(1 - rate * reg_user[u])),
            splat(np.float32(1 - rate * reg_y)),
        )
        for j in turn:
            i = np.int64(item[first + j])
            x, dot = i * width, nothing
            for lane in range(0, width, 16):
                taste = fma(splat(np.float32(1)), load(p, lane), load(z, lane))
                dot = fma(taste, load(q, x + lane), dot)
            error = value[first + j] - b_user[u] - b_item[i] - total(dot)
            square += np.float64(error) * error
            b_user[u] += rate * (error - reg_offset * b_user[u])
            b_item[i] += rate * (error - reg_offset * b_item[i])
            step, keep_q = (
                splat(np.float32(rate * error)),
                splat(np.float32(1 - rate * reg_item[i])),
            )
            for lane in range(0, width, 16):
                factor, own, sum_ = load(q, x + lane), load(p, lane), load(z, lane)
                taste = fma(splat(np.float32(1)), own, sum_)
                store(q, x + lane, fma(step, taste, fma(keep_q, factor, nothing)))
                store(p, lane, fma(step, factor, fma(keep_p, own, nothing)))
                store(z, lane, fma(step, factor, fma(keep_y, sum_, nothing)))
                store(given, lane, fma(step, factor, fma(keep_y, load(given, lane), nothing)))
        scatter(item, first, first + n, Y, (1 - rate * reg_y) ** n, given)
    return square
