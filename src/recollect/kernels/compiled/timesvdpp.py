"""The loop of `svdpp` where users and items change with time, compiled by Numba. Arrays only; no index is checked."""

from typing import no_type_check

import numpy as np
from numba import njit

from recollect.kernels.compiled.sgd import shuffle
from recollect.kernels.compiled.simd import fma, load, splat, store, total, zero
from recollect.kernels.compiled.svdpp import STIR, gather, scatter

SLOPE, B_DAY, B_BIN, SCALE, SCALE_DAY, B_OFTEN, DRIFT, DAY = range(8)  # rows of `steps`


@njit
@no_type_check
def _taste(p, z, a, d, t, lane, x, by_day):
    """Sixteen factors of a user at a moment: p + z + t a, and d of the day."""
    one = splat(np.float32(1))
    found = fma(t, load(a, lane), fma(one, load(p, lane), load(z, lane)))
    if by_day:
        found = fma(one, load(d, x + lane), found)
    return found


@njit(cache=True, nogil=True, boundscheck=False)
@no_type_check
def descend(
    start,
    item,
    value,
    P,
    Q,
    Y,
    b_user,
    b_item,
    reg_user,
    reg_item,
    reg_y,
    reg_offset,
    rate,
    seed,
    slot,
    drift,
    part,
    level,
    steps,
    by_day,
    slope,
    b_day,
    b_bin,
    scale,
    scale_day,
    b_often,
    A,
    D,
):
    """A step on each rating, user by user. The sum of squared errors, each before its step."""
    width, square, state = Q.shape[1], 0.0, np.uint64(seed) * STIR | np.uint64(1)
    q, nothing, z, given = (
        Q.reshape(-1),
        zero(),
        np.empty(width, np.float32),
        np.empty(width, np.float32),
    )
    d, one, step, reg = D.reshape(-1), np.float32(1), steps[:, 0], steps[:, 1]
    users, turns = np.empty(len(start) - 1, np.int32), np.empty(np.diff(start).max(), np.int32)
    shuffle(users, state)
    for u in users:
        first, n = start[u], start[u + 1] - start[u]
        if n == 0:
            continue
        gather(item, first, first + n, Y, z)
        given[:] = 0
        p, a, turn = P[u], A[u], turns[:n]
        shuffle(turn, (state + np.uint64(u + 1)) * STIR | np.uint64(1))
        keep_p, keep_y = (
            splat(np.float32(1 - rate * reg_user[u])),
            splat(np.float32(1 - rate * reg_y)),
        )
        keep_a, keep_d = (
            splat(np.float32(1 - step[DRIFT] * reg[DRIFT])),
            splat(np.float32(1 - step[DAY] * reg[DAY])),
        )
        for j in turn:
            i, s = np.int64(item[first + j]), np.int64(slot[first + j])
            x, y, dot, far, h, often = i * width, s * width, nothing, drift[s], part[s], level[s]
            t = splat(np.float32(far))
            for lane in range(0, width, 16):
                dot = fma(_taste(p, z, a, d, t, lane, y, by_day), load(q, x + lane), dot)
            b, c = b_item[i] + b_bin[i, h], scale[u] + scale_day[s]
            e = (
                value[first + j]
                - (b_user[u] + slope[u] * far + b_day[s])
                - b * c
                - b_often[i, often]
                - total(dot)
            )
            square += np.float64(e) * e
            b_user[u] += rate * (e - reg_offset * b_user[u])
            slope[u] += step[SLOPE] * (e * far - reg[SLOPE] * slope[u])
            b_day[s] += step[B_DAY] * (e - reg[B_DAY] * b_day[s])
            b_item[i] += rate * (e * c - reg_offset * b_item[i])
            b_bin[i, h] += step[B_BIN] * (e * c - reg[B_BIN] * b_bin[i, h])
            scale[u] += step[SCALE] * (e * b - reg[SCALE] * (scale[u] - one))
            scale_day[s] += step[SCALE_DAY] * (e * b - reg[SCALE_DAY] * scale_day[s])
            b_often[i, often] += step[B_OFTEN] * (e - reg[B_OFTEN] * b_often[i, often])
            by, by_a, by_d = (
                splat(rate * e),
                splat(np.float32(step[DRIFT] * far * e)),
                splat(np.float32(step[DAY] * e)),
            )
            keep_q = splat(np.float32(one - rate * reg_item[i]))
            for lane in range(0, width, 16):
                factor, taste = load(q, x + lane), _taste(p, z, a, d, t, lane, y, by_day)
                store(q, x + lane, fma(by, taste, fma(keep_q, factor, nothing)))
                store(p, lane, fma(by, factor, fma(keep_p, load(p, lane), nothing)))
                store(z, lane, fma(by, factor, fma(keep_y, load(z, lane), nothing)))
                store(given, lane, fma(by, factor, fma(keep_y, load(given, lane), nothing)))
                store(a, lane, fma(by_a, factor, fma(keep_a, load(a, lane), nothing)))
                if by_day:
                    store(d, y + lane, fma(by_d, factor, fma(keep_d, load(d, y + lane), nothing)))
        scatter(item, first, first + n, Y, (1 - rate * reg_y) ** n, given)
    return square
