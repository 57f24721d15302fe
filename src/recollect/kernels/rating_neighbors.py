"""Which items are rated alike, and what ratings of the nearest items say of another.

`compiled.rating_neighbors` does the work; the tests of KNNBaseline state it in plain NumPy.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int, Int32, Int64

from recollect.data.sparse_rows import Rows
from recollect.kernels.compiled import rating_neighbors as loops
from recollect.kernels.compiled.threads import SHARES_PER_THREAD, equal_shares, one_at_a_time
from recollect.kernels.item_pairs import work_of_pairs

Pattern = tuple[Int64[np.ndarray, " people_and_one"], Int[np.ndarray, " wanted"]]


def correlate(
    by_item: Rows, by_user: Rows, *, shrinkage: float, most: int
) -> tuple[Int32[np.ndarray, "items most"], Float32[np.ndarray, "items most"]]:
    """The items whose residuals correlate most with those of each item, over the users of both.

    Args:
        by_item: the residuals of each item's ratings.
        by_user: the same residuals of each user's ratings.
        shrinkage: λ; a correlation over n users is multiplied by n / (n + λ).
        most: how many at most.

    Returns: the items, the most similar first and -1 where fewer are similar, and the similarities.
    """
    n_items = len(by_item)
    neighbor = np.empty((n_items, most), np.int32)
    similarity = np.empty((n_items, most), np.float32)

    with one_at_a_time() as n_threads:
        loops.correlate(
            by_item.start,
            by_item.column,
            by_item.value,
            by_user.start,
            by_user.column,
            by_user.value,
            float(shrinkage),
            equal_shares(work_of_pairs(by_user), SHARES_PER_THREAD * n_threads),
            neighbor,
            similarity,
        )

    return neighbor, similarity


def deviations(
    residuals: Rows,
    wanted: Pattern,
    neighbor: Int32[np.ndarray, "items most"],
    similarity: Float32[np.ndarray, "items most"],
    *,
    k: int,
    reg: float,
) -> Float32[np.ndarray, " wanted"]:
    """How far people's ratings of the items nearest to wanted ones lie above the baseline.

    Args:
        residuals: of each person's ratings.
        wanted: the first wanted item of each person, and the items, person by person.
        neighbor: of each item, the most similar first; -1 pads.
        similarity: of each item to it.
        k: how many of the nearest that a person has rated count.
        reg: what is added to the sum of the similarities.
    """
    first_wanted, item = wanted
    out = np.empty(len(item), np.float32)

    with one_at_a_time() as n_threads:
        loops.deviations(
            residuals.start,
            residuals.column,
            residuals.value,
            first_wanted,
            item,
            neighbor,
            similarity,
            k,
            np.float32(reg),
            equal_shares(first_wanted, SHARES_PER_THREAD * n_threads),
            out,
        )

    return out
