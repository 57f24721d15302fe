"""How much users and items weigh in a local model: a smoothing kernel of the angle to its
anchor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32

from recollect.data.sparse_rows import Rows
from recollect.kernels import Block, times_dense

SMOOTHING_KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "epanechnikov": lambda x: 1 - x * x,
    "triangular": lambda x: 1 - x,
    "uniform": np.ones_like,
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
    distance = np.arccos(np.clip(cosine, -1, 1))
    distance /= width
    reached = (distance < 1) & rows.any(axis=1)

    return np.where(reached, SMOOTHING_KERNELS[kernel](distance), 0).astype(np.float32)


def _unit(x: Float32[np.ndarray, "rows k"]) -> Float32[np.ndarray, "rows k"]:
    """The rows with length 1; rows of zeros stay zeros."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), TINY)


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
    columns = torch.from_numpy(np.ascontiguousarray(weight_column.T))
    return weight_row * times_dense(block, columns, torch.ones(block.n_cells)).numpy().T
