"""The loops of `kernels.svdpp`, compiled by Numba. Arrays only, everything float32; no index is
checked.

With each rating of a user every y_j of N(u) takes the same step, y_j ← keep y_j + g / |N|^1/2. So
does their sum z, and the change of all y_j is one row of factors, whatever |N(u)|. The loops carry
z and that change along and write the y_j once, after the user's last rating. The steps are those of
`reference.svdpp`, apart from rounding; a step there costs |N(u)| rows of factors.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.sgd import random_state, shuffle
from recollect.kernels.compiled.simd import fma, load, splat, store, total, zero


@inlined
@no_type_check
def sum_y(item, first, end, Y, z):
    """z = |N|^-1/2 Σ y_j over a user's ratings.

    Args:
        item: the item of each rating.
        first: the user's first rating.
        end: the first rating of the next user.
        Y: items × a multiple of 16.
        z: the result.
    """
    width = len(z)
    all_y = Y.reshape(-1)
    one = splat(np.float32(1))
    # A user without ratings has z = 0, and must not divide by 0.
    n = max(1, end - first)
    scale = splat(np.float32(1 / np.sqrt(n)))

    for lane in range(0, width, 16):
        lane_sum = zero()

        for j in range(first, end):
            lane_sum = fma(one, load(all_y, np.int64(item[j]) * width + lane), lane_sum)

        store(z, lane, fma(scale, lane_sum, zero()))


@inlined
@no_type_check
def change_y(item, first, end, Y, keep, change):
    """y_j ← keep y_j + |N|^-1/2 change for the items of a user's ratings.

    Args:
        item: the item of each rating.
        first: the user's first rating.
        end: the first rating of the next user.
        Y: items × a multiple of 16.
        keep: what is left of y_j after all steps' regularization.
        change: the sum of the steps, without the factor |N|^-1/2.
    """
    width = len(change)
    all_y = Y.reshape(-1)
    keep = splat(np.float32(keep))
    scale = splat(np.float32(1 / np.sqrt(end - first)))

    # The change is the same for every y_j: it stays in a register while the items go by.
    for lane in range(0, width, 16):
        added = fma(scale, load(change, lane), zero())

        for j in range(first, end):
            at = np.int64(item[j]) * width + lane
            store(all_y, at, fma(keep, load(all_y, at), added))


@njit(
    parallel=True,
    cache=True,
    nogil=True,
    boundscheck=False,
)
@no_type_check
def sum_y_of_all(start, item, Y, out):
    """|N(u)|^-1/2 Σ y_j of every user.

    Args:
        start: the first rating of each user, and the number of ratings.
        item: the item of each rating.
        Y: items × a multiple of 16.
        out: the result, users × a multiple of 16.
    """
    for u in prange(len(start) - 1):
        first = start[u]
        end = start[u + 1]
        sum_y(item, first, end, Y, out[u])


@inlined
@no_type_check
def _product(p, z, all_q, at):
    """q_i · (p_u + z), where q_i begins at `at`."""
    one = splat(np.float32(1))
    dot = zero()

    for lane in range(0, len(z), 16):
        user_factors = fma(one, load(p, lane), load(z, lane))
        dot = fma(user_factors, load(all_q, at + lane), dot)

    return total(dot)


@inlined
@no_type_check
def _update_factors(p, z, change, all_q, at, step, keep_p, keep_q, keep_y):
    """Gradient steps of p_u, q_i and of all y_j: x ← keep x + step · (the factor it is multiplied
    with).
    """
    one = splat(np.float32(1))

    for lane in range(0, len(z), 16):
        # All old values are loaded before a new one is stored.
        q = load(all_q, at + lane)
        old_p = load(p, lane)
        old_z = load(z, lane)
        old_change = load(change, lane)
        user_factors = fma(one, old_p, old_z)

        kept_q = fma(keep_q, q, zero())
        kept_p = fma(keep_p, old_p, zero())
        # z is |N|^-1/2 Σ y_j, and |N| steps of |N|^-1/2 each, scaled by |N|^-1/2, are one.
        kept_z = fma(keep_y, old_z, zero())
        kept_change = fma(keep_y, old_change, zero())
        store(all_q, at + lane, fma(step, user_factors, kept_q))
        store(p, lane, fma(step, q, kept_p))
        store(z, lane, fma(step, q, kept_z))
        store(change, lane, fma(step, q, kept_change))


@njit(
    cache=True,
    nogil=True,
    boundscheck=False,
)
@no_type_check
def descend(
    start, item, value, P, Q, Y, b_user, b_item, reg_user, reg_item, reg_y, reg_offset, rate, seed
):
    """Take a step on each rating, user by user in random order.

    Returns the sum of squared errors, each before its step.

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
    """
    width = Q.shape[1]
    all_q = Q.reshape(-1)
    z = np.empty(width, np.float32)
    change = np.empty(width, np.float32)
    users = np.empty(len(start) - 1, np.int32)
    orders = np.empty(np.diff(start).max(), np.int32)
    state = random_state(seed, 0)
    shuffle(users, state)
    squares = 0.0

    for u in users:
        first = start[u]
        n = start[u + 1] - first
        if n == 0:
            continue

        sum_y(item, first, first + n, Y, z)
        change[:] = 0
        p = P[u]
        # Every user has a sequence of their own: the order of the users before does not matter.
        order = orders[:n]
        shuffle(order, random_state(state, u + 1))
        keep_p = splat(np.float32(1 - rate * reg_user[u]))
        keep_y = splat(np.float32(1 - rate * reg_y))

        for j in order:
            i = np.int64(item[first + j])
            error = value[first + j] - b_user[u] - b_item[i] - _product(p, z, all_q, i * width)
            squares += np.float64(error) * error
            b_user[u] += rate * (error - reg_offset * b_user[u])
            b_item[i] += rate * (error - reg_offset * b_item[i])
            step = splat(np.float32(rate * error))
            keep_q = splat(np.float32(1 - rate * reg_item[i]))
            _update_factors(p, z, change, all_q, i * width, step, keep_p, keep_q, keep_y)

        # n steps have shrunk each y_j n times.
        keep = (1 - rate * reg_y) ** n
        change_y(item, first, first + n, Y, keep, change)

    return squares
