"""Ridge regressions, one per sparse row."""

import numpy as np


def solve_row(
    features: np.ndarray, values: np.ndarray, *, reg: float, prior: np.ndarray, base: np.ndarray
) -> np.ndarray:
    """x that minimizes ‖values − features x‖² + reg ‖x − prior‖² + xᵀ base x, by its normal
    equations.

    Args:
        features: cells × k, the features of each cell's column.
        values: a value per cell.
        reg: λ.
        prior: k numbers that x is drawn towards.
        base: k × k, what every row's equations have in common.
    """
    # The gradient is 0 where left x = right.
    eye = np.eye(features.shape[1])
    squares = features.T @ features
    left = base + reg * eye + squares
    right = reg * prior + features.T @ values

    return np.linalg.solve(left, right)


def ridge(
    start: np.ndarray,
    column: np.ndarray,
    value: np.ndarray,
    features: np.ndarray,
    *,
    reg: np.ndarray,
    prior: np.ndarray,
    base: np.ndarray,
) -> np.ndarray:
    """The solution of every row, in 64 bits: rows × k.

    Args:
        start: the first cell of each row, and the number of cells.
        column: the column of each cell.
        value: the value of each cell.
        features: columns × k.
        reg: λ of each row.
        prior: rows × k, what each row is drawn towards.
        base: k × k, what the equations of every row have in common.
    """
    n_rows = len(start) - 1
    out = np.empty((n_rows, features.shape[1]))

    for row in range(n_rows):
        cells = slice(start[row], start[row + 1])
        out[row] = solve_row(
            features[column[cells]].astype(np.float64),
            value[cells].astype(np.float64),
            reg=reg[row],
            prior=prior[row],
            base=base,
        )

    return out
