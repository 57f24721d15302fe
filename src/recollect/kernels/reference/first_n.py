"""The n largest numbers of each row, by sorting it."""

import numpy as np


def first_n(scores: np.ndarray, n: int) -> np.ndarray:
    """The columns of each row's n largest numbers, largest first, ties by column; rows × n.

    -1 stands where a row has fewer than n finite numbers.

    Args:
        scores: rows × columns.
        n: from 1 to the number of columns.
    """
    # A stable sort leaves ties in the order of the columns.
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    is_ranked = np.isfinite(np.take_along_axis(scores, order, axis=1))

    return np.where(is_ranked, order, -1)
