"""The two sparse products, as a student would write them.

Sparse rows are `start` and `column`, as in CSR: row j has the cells start[j] … start[j + 1]. Dense
operands have the row or column axis of the rating matrix first, so that one user's or item's
numbers lie together.
"""

from itertools import pairwise

import numpy as np


def times_dense(
    start: np.ndarray, column: np.ndarray, value: np.ndarray, dense: np.ndarray
) -> np.ndarray:
    """Sparse rows × dense: row j is Σ over its cells of value · dense[column].

    Args:
        start: rows + 1, the first cell of each row.
        column: cells, the column of each cell.
        value: cells, the number in each cell.
        dense: columns × k.
    """
    out = np.zeros((len(start) - 1, dense.shape[1]), dense.dtype)

    for j, (first, last) in enumerate(pairwise(start.tolist())):
        rows = dense[column[first:last]]
        out[j] = value[first:last] @ rows

    return out


def observed(
    start: np.ndarray, column: np.ndarray, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """left · rightᵀ at the cells only: one number per cell.

    Args:
        start: rows + 1, the first cell of each row.
        column: cells, the column of each cell.
        left: rows × k.
        right: columns × k.
    """
    n_rows = len(start) - 1
    cells_of_row = np.diff(start)
    row = np.repeat(np.arange(n_rows), cells_of_row)
    products = left[row] * right[column]

    return products.sum(axis=1)
