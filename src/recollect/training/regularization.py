"""How λ grows with the number of a user's or item's ratings."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Shaped


def reg_by_count(
    reg: float, count: Shaped[np.ndarray, "*rows"], power: float
) -> Float32[np.ndarray, "*rows"]:
    """λ · n^power for rows with n ratings; λ itself for a row without ratings.

    Power 0 gives every row the same λ. Power 1 is "weighted" regularization, λ with each rating. An
    optimizer that takes a step per rating needs a rating's part of it, λ · n^(power − 1).

    Args:
        reg: λ.
        count: number of ratings of each row, or the sum of their weights.
        power: how fast λ grows with the count.
    """
    # A row without ratings counts as one with a single rating.
    at_least_one = np.maximum(count, 1.0)
    scaled: np.ndarray = reg * at_least_one**power

    return scaled.astype(np.float32)
