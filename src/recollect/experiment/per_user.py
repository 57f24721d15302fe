"""The splits of an experiment: those of the library, and a share of each user's ratings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Int8

from recollect.data.ratings import Ratings
from recollect.data.splitting import Split, find
from recollect.data.splitting.by_name import SPLITS
from recollect.data.splitting.shares import Share, check_shares, place_in_group, shuffled
from recollect.data.splitting.split import TEST, VALID, split_by_part
from recollect.errors import unknown

PER_USER = "per_user"


def find_split(how: str) -> Callable[..., Split]:
    """The function that makes the split of this name.

    Raises: SettingError with the names that exist.
    """
    if how == PER_USER:
        return per_user_split

    if how not in SPLITS:
        raise unknown("split", how, [*SPLITS, PER_USER])

    return find(how)


def per_user_split(
    ratings: Ratings, *, test: Share = 0.2, valid: Share = 0.0, seed: int = 0
) -> Split:
    """Draw a share of each user's ratings for test, and a share of the others for validation.

    Of n ratings, test · n are drawn, rounded, and at least one is left in train.

    Args:
        ratings: the whole.
        test: share of each user's ratings; 0: none.
        valid: share of each user's ratings that are not in test; 0: none.
        seed: of the draw; it fixes test whatever `valid` is.

    Raises:
        SettingError: for an impossible share.
        DataError: if a part would be empty.
    """
    if test:
        check_shares(test=test)

    check_shares(valid=valid)
    part = _draw(ratings, test, valid, seed)
    settings = {"test": test, "valid": valid}

    return split_by_part(
        ratings,
        part,
        how="per user split",
        seed=seed,
        settings=settings,
    )


def _draw(ratings: Ratings, test: Share, valid: Share, seed: int) -> Int8[np.ndarray, " ratings"]:
    """The part of each rating."""
    drawn = shuffled(ratings, seed)
    # The sort is stable: each user's ratings stay in the order in which they were drawn.
    order = drawn[np.argsort(ratings.user[drawn], kind="stable")]
    user = ratings.user[order]
    place = place_in_group(user)
    count = ratings.count("user")[user]
    n_test = np.minimum(np.rint(test * count), count - 1)
    n_valid = np.minimum(np.rint(valid * (count - n_test)), count - n_test - 1)
    is_test = place < n_test
    is_valid = ~is_test & (place < n_test + n_valid)
    part = np.zeros(len(ratings), np.int8)
    part[order[is_test]] = TEST
    part[order[is_valid]] = VALID

    return part
