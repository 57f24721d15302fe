"""What ratings mean: whether they are levels, such as stars, and which of them are liking."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from recollect.data.ratings import AnyRatings

# Half stars have 10 values, whole steps from −10 to 10 have 21, percent have 101.
FEW_VALUES = 25
RATINGS_PER_VALUE = 10

DEFAULT_RELEVANT = 0.75  # a rating this far up the scale is relevant: 4 of 1 to 5


def levels_of(ratings: AnyRatings) -> Float32[np.ndarray, " levels"] | None:
    """The different values of ratings, rising; None where they are numbers of any kind.

    Levels are few, and on average there are ten ratings or more of each.
    """
    levels = np.empty(0, np.float32)

    for values in ratings.values():
        levels = np.union1d(levels, values)
        if len(levels) > FEW_VALUES:
            return None

    return levels if 2 <= len(levels) <= len(ratings) / RATINGS_PER_VALUE else None


def relevant_from(ratings: AnyRatings) -> float:
    """The rating from which on an item is relevant by default; every event is.

    Args:
        ratings: with the scale that a model has learned from.
    """
    low, high = ratings.scale
    if ratings.implicit:
        return float(low)

    return float(low + DEFAULT_RELEVANT * (high - low))
