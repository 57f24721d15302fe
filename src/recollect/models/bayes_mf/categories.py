"""Ratings as categories: which there are, and to which one a rating belongs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from recollect.errors import DataError

MAX_CATEGORIES = 100  # of probit


def categories_of(
    value: Float32[np.ndarray, " ratings"],
) -> Float32[np.ndarray, " categories"]:
    """The different ratings, ascending.

    Raises:
        DataError: if there are too many: where ratings are any real numbers, each of them would be
            a category of its own.
    """
    categories = np.unique(value)
    if not 2 <= len(categories) <= MAX_CATEGORIES:
        raise DataError(
            f"probit needs ratings with 2 to {MAX_CATEGORIES} different values, found "
            f"{len(categories):,}; use probit=False."
        )

    return categories


def nearest_category(
    categories: Float32[np.ndarray, " categories"], value: Float32[np.ndarray, " ratings"]
) -> Int64[np.ndarray, " ratings"]:
    """The number of the category that is nearest to each rating; the border is halfway."""
    above = categories[1:]
    below = categories[:-1]
    border = (above + below) / 2

    return np.searchsorted(border, value)
