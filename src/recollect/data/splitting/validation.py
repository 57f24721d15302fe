"""A validation part for a fit whose test ratings are elsewhere, or not needed."""

from __future__ import annotations

import numpy as np

from recollect.data.ratings import Ratings
from recollect.errors import SettingError


def hold_out_validation(
    ratings: Ratings, *, valid: float = 0.05, seed: int = 0
) -> tuple[Ratings, Ratings | None]:
    """Training and validation ratings, drawn at random; `random_split` draws a test part as well.

    Which rating goes where depends on the ratings and the seed, not on the order of the rows.

    Args:
        ratings: to divide.
        valid: the fraction of validation ratings, at least one; 0: none, and the second is None.
        seed: of the random draw.

    Raises:
        SettingError: if the fraction is below 0, or not below 1.
    """
    if not 0 <= valid < 1:
        raise SettingError(
            f"valid is a fraction of at least 0 and below 1, such as 0.05; found {valid}."
        )
    if not valid:
        return ratings, None
    shuffled = np.random.default_rng(seed).permutation(ratings.entry("user"))
    n_valid = max(1, round(valid * len(ratings)))
    train = ratings.where(shuffled[n_valid:], name=f"{ratings.name} train")
    return train, ratings.where(shuffled[:n_valid], name=f"{ratings.name} valid")
