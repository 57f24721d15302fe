"""Whether ratings are levels, such as stars, or numbers of any kind."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

# Half stars have 10 values, whole steps from −10 to 10 have 21, percent have 101.
FEW_VALUES = 25
RATINGS_PER_VALUE = 10


def are_levels(value: Float32[np.ndarray, " ratings"]) -> bool:
    """Whether ratings have few different values, and on average ten ratings or more of each."""
    n_values = len(np.unique(value))
    return 2 <= n_values <= min(FEW_VALUES, len(value) / RATINGS_PER_VALUE)
