"""The loops of `kernels.rating_neighbors`, compiled by Numba.

Residuals of ratings are given twice, by item (`item_start`, `user`, `of_item`) and by user
(`user_start`, `item`, `of_user`).
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.inlined import inlined


@inlined
@no_type_check
def _sum_over_shared(i, item_start, user, of_item, user_start, item, of_user, sums, n_shared):
    """Of each item j the sums over the users who rated i and j: of e_i e_j, e_i² and e_j²."""
    sums[:] = 0
    n_shared[:] = 0

    for c in range(item_start[i], item_start[i + 1]):
        u = user[c]
        e = of_item[c]

        for d in range(user_start[u], user_start[u + 1]):
            j = item[d]
            other = of_user[d]
            sums[j, 0] += e * other
            sums[j, 1] += e * e
            sums[j, 2] += other * other
            n_shared[j] += 1


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def correlate(
    item_start,
    user,
    of_item,
    user_start,
    item,
    of_user,
    shrinkage,
    shares,
    neighbor,
    similarity,
):
    """Fill in the items most similar to each item, the most similar first, ties by their number.

    Args:
        item_start: items + 1, the first rating of each item.
        user: of each rating, item by item.
        of_item: the residuals, item by item.
        user_start: users + 1, the first rating of each user.
        item: of each rating, user by user.
        of_user: the residuals, user by user.
        shrinkage: what is added to the number of shared users.
        shares: the first item of each share of a thread, and the number of items.
        neighbor: items × most; -1 where fewer items have a positive similarity.
        similarity: items × most; 0 where fewer items have a positive similarity.
    """
    n_items = len(item_start) - 1
    most = neighbor.shape[1]

    for t in prange(len(shares) - 1):
        sums = np.empty((n_items, 3), np.float64)
        n_shared = np.empty(n_items, np.int32)
        index = np.empty(n_items, np.int32)
        value = np.empty(n_items, np.float32)

        for i in range(shares[t], shares[t + 1]):
            _sum_over_shared(
                i, item_start, user, of_item, user_start, item, of_user, sums, n_shared
            )
            n = 0

            for j in range(n_items):
                if j != i and sums[j, 0] > 0:
                    correlation = sums[j, 0] / np.sqrt(sums[j, 1] * sums[j, 2])
                    index[n] = j
                    value[n] = correlation * n_shared[j] / (n_shared[j] + shrinkage)
                    n += 1

            # A stable sort, so that ties stay in the order of the items.
            order = np.argsort(-value[:n], kind="mergesort")
            kept = min(n, most)
            neighbor[i, kept:] = -1
            similarity[i, kept:] = 0

            for e in range(kept):
                neighbor[i, e] = index[order[e]]
                similarity[i, e] = value[order[e]]


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def deviations(
    start,
    item,
    residual,
    first_wanted,
    wanted,
    neighbor,
    similarity,
    k,
    reg,
    shares,
    out,
):
    """Fill in how far ratings of the items nearest to wanted ones lie above the baseline.

    Args:
        start: people + 1, the first rating of each person.
        item: of each rating, person by person.
        residual: of each rating.
        first_wanted: people + 1, the first wanted item of each person.
        wanted: items, person by person.
        neighbor: items × most, the most similar first; -1 pads.
        similarity: items × most.
        k: how many of the nearest that a person has rated count.
        reg: what is added to the sum of the similarities.
        shares: the first person of each share of a thread, and the number of people.
        out: of each wanted item; overwritten.
    """
    n_items, most = neighbor.shape

    for t in prange(len(shares) - 1):
        rated = np.zeros(n_items, np.bool_)
        value = np.zeros(n_items, np.float32)

        for p in range(shares[t], shares[t + 1]):
            for c in range(start[p], start[p + 1]):
                rated[item[c]] = True
                value[item[c]] = residual[c]

            for w in range(first_wanted[p], first_wanted[p + 1]):
                i = wanted[w]
                out[w] = _mean_of_nearest(neighbor[i], similarity[i], rated, value, most, k, reg)

            for c in range(start[p], start[p + 1]):
                rated[item[c]] = False


@inlined
@no_type_check
def _mean_of_nearest(neighbor, similarity, rated, value, most, k, reg):
    """The weighted mean of what was given to the k nearest rated items; 0 if there is none."""
    total = np.float32(0)
    weight = np.float32(reg)
    n = 0

    for e in range(most):
        j = neighbor[e]
        if j < 0 or n == k:
            break

        if rated[j]:
            total += similarity[e] * value[j]
            weight += similarity[e]
            n += 1

    return total / weight if n > 0 else np.float32(0)
