"""What `Model.vectors` returns: rows whose cosines are similarities."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from recollect.data.ratings import Side
from recollect.model import Model


def centered(
    model: Model, side: Side, vectors: Float32[np.ndarray, "rows k"]
) -> Float32[np.ndarray, "rows k"]:
    """The vectors of users or items less the mean over those that the model knows.

    Factors share a large common part, which is no similarity: without it, cosines would all be near
    1.

    Args:
        model: a fitted model.
        side: whose vectors they are.
        vectors: a row per user or item.
    """
    if side == "item":
        is_known = model.known_items()
    else:
        n_ratings = model.given_.count("user")
        is_known = n_ratings > 0

    # The vectors of the others were never trained, and would move the mean.
    mean = vectors[is_known].mean(axis=0)

    return vectors - mean
