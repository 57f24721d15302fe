"""The n largest numbers of each row of a matrix, without sorting the rows.

On a CPU a list of n is kept while a row goes by (`compiled.first_n`): most numbers are below its
last one, which is found for sixteen at once. `reference.first_n` states it in NumPy.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from recollect.kernels.compiled import first_n as loops
from recollect.kernels.compiled.threads import SHARES_PER_THREAD, equal_shares, one_at_a_time
from recollect.kernels.reference.first_n import first_n as by_sorting

LISTED = 512  # beyond so many numbers on a list, sorting the row is faster


def first_n(scores: Float32[np.ndarray, "rows columns"], n: int) -> Int64[np.ndarray, "rows n"]:
    """The columns of each row's n largest numbers, largest first, ties by column.

    -1 stands where a row has fewer than n finite numbers.

    Args:
        scores: the matrix.
        n: from 1 to the number of columns.
    """
    if n > LISTED:
        return by_sorting(scores, n)

    ranked = np.empty((len(scores), n), np.int64)

    with one_at_a_time() as n_threads:
        shares = equal_shares(np.arange(len(scores) + 1), SHARES_PER_THREAD * n_threads)
        least = np.finfo(np.float32).min
        loops.first_n(np.ascontiguousarray(scores), least, shares, ranked)

    return ranked
