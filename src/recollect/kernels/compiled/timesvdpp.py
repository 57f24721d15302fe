"""The loop of `kernels.svdpp` with parameters that change with time, compiled by Numba.

Arrays only, everything float32; no index is checked. The y_j are handled as in `compiled.svdpp`.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.sgd import random_state, shuffle
from recollect.kernels.compiled.simd import fma, load, splat, store, total, zero
from recollect.kernels.compiled.svdpp import change_y, sum_y

# Rows of `steps`, in the order of `kernels.svdpp.TIME_PARAMETERS`.
ALPHA_USER, B_USER_DAY, B_ITEM_BIN, C_USER, C_USER_DAY, B_ITEM_FREQUENCY, ALPHA_P, P_DAY = range(8)


@inlined
@no_type_check
def _user_factors(p, z, alpha, all_p_day, dev, lane, at_day, by_day):
    """Sixteen factors of a user at a moment: p_u + z + dev alpha_u, and p_u,t of the day."""
    one = splat(np.float32(1))
    static = fma(one, load(p, lane), load(z, lane))
    factors = fma(dev, load(alpha, lane), static)
    # Without factors of days the table has no rows, and reading it would go past its end.
    if by_day:
        of_day = load(all_p_day, at_day + lane)
        factors = fma(one, of_day, factors)

    return factors


@inlined
@no_type_check
def _product(p, z, alpha, all_p_day, dev, at_day, by_day, all_q, at):
    """q_i · (the user's factors at a moment), where q_i begins at `at`."""
    dot = zero()
    for lane in range(0, len(z), 16):
        factors = _user_factors(p, z, alpha, all_p_day, dev, lane, at_day, by_day)
        dot = fma(factors, load(all_q, at + lane), dot)
    return total(dot)


@njit(
    cache=True,
    nogil=True,
    boundscheck=False,
)
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
    deviation,
    item_bin,
    frequency,
    steps,
    by_day,
    alpha_user,
    b_user_day,
    b_item_bin,
    c_user,
    c_user_day,
    b_item_frequency,
    alpha_p,
    p_day,
):
    """Take a step on each rating, user by user in random order.

    Returns the sum of squared errors, each before its step.
    `reference.timesvdpp` states a step.

    Args:
        start: the first rating of each user, and the number of ratings.
        item: row number of the item of each rating.
        value: the rating, less the mean.
        P: users × a multiple of 16.
        Q: items × a multiple of 16.
        Y: items × a multiple of 16.
        b_user: offsets of users.
        b_item: offsets of items.
        reg_user: λ of p_u, with each rating.
        reg_item: λ of q_i, with each rating.
        reg_y: λ of y_j, with each rating of each user who rated j.
        reg_offset: λ of offsets, with each rating.
        rate: the learning rate.
        seed: of the order of users and of each one's ratings.
        slot: the slot of each rating.
        deviation: dev_u(t) of each slot.
        item_bin: Bin(t) of each slot.
        frequency: f of each slot.
        steps: learning rate and λ of each of TIME_PARAMETERS.
        by_day: whether p_day is learned; if not, it has no rows.
        alpha_user: of users.
        b_user_day: of slots.
        b_item_bin: items × bins.
        c_user: of users.
        c_user_day: of slots.
        b_item_frequency: items × frequencies.
        alpha_p: users × a multiple of 16.
        p_day: slots × a multiple of 16.
    """
    width = Q.shape[1]
    all_q = Q.reshape(-1)
    all_p_day = p_day.reshape(-1)
    z = np.empty(width, np.float32)
    change = np.empty(width, np.float32)
    one = np.float32(1)
    step = steps[:, 0]
    reg = steps[:, 1]
    users = np.empty(len(start) - 1, np.int32)
    orders = np.empty(np.diff(start).max(), np.int32)
    state = random_state(seed, 0)
    shuffle(users, state)
    keep_y = splat(np.float32(1 - rate * reg_y))
    keep_alpha = splat(np.float32(1 - step[ALPHA_P] * reg[ALPHA_P]))
    keep_p_day = splat(np.float32(1 - step[P_DAY] * reg[P_DAY]))
    squares = 0.0

    for u in users:
        first = start[u]
        n = start[u + 1] - first
        if n == 0:
            continue

        sum_y(item, first, first + n, Y, z)
        change[:] = 0
        p = P[u]
        alpha = alpha_p[u]
        order = orders[:n]
        shuffle(order, random_state(state, u + 1))
        keep_p = splat(np.float32(1 - rate * reg_user[u]))

        for j in order:
            i = np.int64(item[first + j])
            s = np.int64(slot[first + j])
            at_q = i * width
            at_day = s * width
            dev = deviation[s]
            h = item_bin[s]
            f = frequency[s]
            devs = splat(dev)
            product = _product(p, z, alpha, all_p_day, devs, at_day, by_day, all_q, at_q)
            # b_i(t) and c_u(t), whose product is what the item adds to the user's rating.
            b = b_item[i] + b_item_bin[i, h]
            c = c_user[u] + c_user_day[s]
            user_offset = b_user[u] + alpha_user[u] * dev + b_user_day[s]
            e = value[first + j] - user_offset - b * c - b_item_frequency[i, f] - product
            squares += np.float64(e) * e

            # b and c are copies: all gradients below are those at the old parameters.
            b_user[u] += rate * (e - reg_offset * b_user[u])
            alpha_user[u] += step[ALPHA_USER] * (e * dev - reg[ALPHA_USER] * alpha_user[u])
            b_user_day[s] += step[B_USER_DAY] * (e - reg[B_USER_DAY] * b_user_day[s])
            b_item[i] += rate * (e * c - reg_offset * b_item[i])
            b_item_bin[i, h] += step[B_ITEM_BIN] * (e * c - reg[B_ITEM_BIN] * b_item_bin[i, h])
            # c_u is drawn towards 1, not 0: it multiplies.
            c_user[u] += step[C_USER] * (e * b - reg[C_USER] * (c_user[u] - one))
            c_user_day[s] += step[C_USER_DAY] * (e * b - reg[C_USER_DAY] * c_user_day[s])
            b_item_frequency[i, f] += step[B_ITEM_FREQUENCY] * (
                e - reg[B_ITEM_FREQUENCY] * b_item_frequency[i, f]
            )

            move = splat(rate * e)
            move_alpha = splat(np.float32(step[ALPHA_P] * dev * e))
            move_p_day = splat(np.float32(step[P_DAY] * e))
            keep_q = splat(np.float32(one - rate * reg_item[i]))

            for lane in range(0, width, 16):
                # The old q and the old factors: q is stored before the others are computed.
                q = load(all_q, at_q + lane)
                factors = _user_factors(p, z, alpha, all_p_day, devs, lane, at_day, by_day)
                kept_q = fma(keep_q, q, zero())
                kept_p = fma(keep_p, load(p, lane), zero())
                kept_z = fma(keep_y, load(z, lane), zero())
                kept_change = fma(keep_y, load(change, lane), zero())
                kept_alpha = fma(keep_alpha, load(alpha, lane), zero())
                store(all_q, at_q + lane, fma(move, factors, kept_q))
                store(p, lane, fma(move, q, kept_p))
                store(z, lane, fma(move, q, kept_z))
                store(change, lane, fma(move, q, kept_change))
                store(alpha, lane, fma(move_alpha, q, kept_alpha))
                if by_day:
                    kept = fma(keep_p_day, load(all_p_day, at_day + lane), zero())
                    store(all_p_day, at_day + lane, fma(move_p_day, q, kept))

        # n steps have shrunk each y_j n times.
        keep = (1 - rate * reg_y) ** n
        change_y(item, first, first + n, Y, keep, change)

    return squares
