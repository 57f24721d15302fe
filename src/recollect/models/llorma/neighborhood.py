"""How much users and items weigh in a local model: a smoothing kernel of the angle to its
anchor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32

from recollect.data.sparse_rows import Rows
from recollect.kernels import Block, times_dense

# K as a function of x = d / h and of h.
SMOOTHING_KERNELS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "epanechnikov": lambda x, h: 1 - x * x,
    "epanechnikov-paper": lambda x, h: 1 - (x * h) ** 2,
    "triangular": lambda x, h: 1 - x,
    "uniform": lambda x, h: np.ones_like(x),
}
TINY = 1e-30  # less than any norm


def kernel_weights(
    anchors: Float32[np.ndarray, "models k"],
    rows: Float32[np.ndarray, "rows k"],
    *,
    kernel: str,
    width: float,
) -> Float32[np.ndarray, "models rows"]:
    """K(d / h), d being the angle between each row and each anchor; 0 for a row of zeros.

    Args:
        anchors: the factors of each local model's anchor.
        rows: the factors of users or items.
        kernel: the name of K, which is 0 from 1 on.
        width: h, 0 to π.
    """
    # By NumPy: the last bits of torch's products differ with the number of threads.
    unit_anchors = _unit(anchors)
    unit_rows = _unit(rows)
    cosine = np.einsum("tk,rk->tr", unit_anchors, unit_rows)
    # Rounding may put the cosine of a row with itself above 1.
    distance = np.arccos(np.clip(cosine, -1, 1))
    distance /= width

    # A row of zeros has no angle; without this it would be at a right angle to every anchor.
    has_angle = rows.any(axis=1)
    reached = (distance < 1) & has_angle
    smoothed = SMOOTHING_KERNELS[kernel](distance, width)
    weight = np.where(reached, smoothed, 0)

    return weight.astype(np.float32)


def _unit(x: Float32[np.ndarray, "rows k"]) -> Float32[np.ndarray, "rows k"]:
    """The rows with length 1; rows of zeros stay zeros."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.maximum(length, TINY)


def weight_sums(
    rows: Rows,
    weight_row: Float32[np.ndarray, "models rows"],
    weight_column: Float32[np.ndarray, "models columns"],
) -> Float32[np.ndarray, "models rows"]:
    """The sum of the weights of each row's ratings, in every local model.

    Args:
        rows: sparse rows of ratings.
        weight_row: of each row in each model.
        weight_column: of each column.
    """
    block = Block(rows.start, rows.column, None, n_columns=rows.n_columns)
    ones = torch.ones(block.n_cells)
    # columns × models, because the product reads a column's weights of all models at once.
    columns = torch.from_numpy(np.ascontiguousarray(weight_column.T))
    sums = times_dense(block, columns, ones).numpy()

    return weight_row * sums.T
