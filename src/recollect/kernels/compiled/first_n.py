"""The loop of `kernels.first_n`, compiled by Numba: the n largest numbers of each row."""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.simd import any_above, splat


@inlined
@no_type_check
def _insert(score, column, n_listed, n, best, ranked):
    """Put a number into a list that descends, after those that are as large; the last one falls
    off a full list. Returns how many are listed.
    """
    place = min(n_listed, n - 1)

    while place > 0 and best[place - 1] < score:
        best[place] = best[place - 1]
        ranked[place] = ranked[place - 1]
        place -= 1

    best[place] = score
    ranked[place] = column

    return min(n_listed + 1, n)


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def first_n(scores, least, shares, ranked):
    """The columns of each row's n largest numbers, largest first, ties by column; -1 behind them.

    Args:
        scores: rows × columns.
        least: what is below it, or is no number, is not ranked.
        shares: the first row of each share of a thread, and the number of rows.
        ranked: rows × n, overwritten.
    """
    n_columns = scores.shape[1]
    n = ranked.shape[1]

    for t in prange(len(shares) - 1):
        best = np.empty(n, np.float32)

        for j in range(shares[t], shares[t + 1]):
            row = scores[j]
            ranked[j] = -1
            n_listed = 0
            at = 0

            while at < n_columns and n_listed < n:
                if row[at] >= least:
                    n_listed = _insert(row[at], at, n_listed, n, best, ranked[j])

                at += 1

            # The list is full: only a number above its last one changes it, as ties go by column.
            # Most vectors of sixteen have none.
            while at + 16 <= n_columns:
                if any_above(row, at, splat(best[n - 1])):
                    for i in range(at, at + 16):
                        if row[i] > best[n - 1]:
                            n_listed = _insert(row[i], i, n_listed, n, best, ranked[j])

                at += 16

            for i in range(at, n_columns):
                if row[i] > best[n - 1]:
                    n_listed = _insert(row[i], i, n_listed, n, best, ranked[j])
