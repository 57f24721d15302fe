"""Covering split: random, but every user and every item has a rating in train."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int64

from recollect.arguments import expect_ratings
from recollect.data.ratings import Ratings
from recollect.data.splitting.shares import Share, check_shares, shuffled
from recollect.data.splitting.split import TEST, VALID, Split, split_by_part
from recollect.errors import DataError, SettingError
from recollect.system.door import words


def covering_split(
    ratings: Ratings, *, test: Share = 0.1, valid: Share = 0.1, seed: int = 0
) -> Split:
    """Draw ratings at random so that every user and every item has at least one in train.

    Train gets one rating of every user, then one of every item not yet covered, then others until
    its share is reached; the remaining ratings are test and valid. These have no cold user and no
    cold item, which makes them easier to predict than those of a random split.

    Args:
        ratings: the whole.
        test: share of all ratings.
        valid: share of all ratings.
        seed: of the draw.

    Raises:
        SettingError: for impossible shares.
        DataError: if train is too small to cover all users and items, or a part would be empty.

    Source: the protocol of Kim et al., "Convolutional Matrix Factorization", RecSys 2016.
    """
    expect_ratings("ratings", ratings, Ratings)
    check_shares(test=test, valid=valid)
    if test + valid >= 1:
        raise SettingError(
            f"test={test} and valid={valid} add up to {test + valid:g} and leave nothing to train "
            "on; make them less than 1 together."
        )

    order, n_cover = cover_first(ratings, shuffled(ratings, seed))
    n_test = round(test * len(order))
    n_valid = round(valid * len(order))
    n_train = len(order) - n_test - n_valid
    check_cover(
        n_cover=n_cover,
        n_train=n_train,
        n_ratings=len(order),
    )
    part = np.zeros(len(order), np.int8)
    part[order[n_train:]] = VALID
    part[order[n_train + n_valid :]] = TEST
    settings = {"test": test, "valid": valid}

    return split_by_part(
        ratings,
        part,
        how="covering split",
        seed=seed,
        settings=settings,
    )


def cover_first(
    ratings: Ratings, order: Int64[np.ndarray, " ratings"]
) -> tuple[Int64[np.ndarray, " ratings"], int]:
    """The same order with ratings in front that cover every user and item, and the number of these.

    They are the first rating of each user, and the first of each item that those do not cover.
    """
    user = ratings.user[order]
    item = ratings.item[order]
    covers = np.zeros(len(order), bool)
    covers[_first_of_each(user, ratings.n_users)] = True

    item_is_covered = np.zeros(ratings.n_items, bool)
    item_is_covered[item[covers]] = True
    first_of_item = _first_of_each(item, ratings.n_items)
    is_covered = item_is_covered[item[first_of_item]]
    covers[first_of_item[~is_covered]] = True

    covering_first = np.concatenate([order[covers], order[~covers]])

    return covering_first, int(covers.sum())


def _first_of_each(
    group: Int[np.ndarray, " entries"], n_groups: int
) -> Int64[np.ndarray, " present"]:
    """The place at which each group that occurs is first seen."""
    first = np.full(n_groups, -1)
    # From the end to the beginning: of equal indices NumPy keeps the last value written.
    place = np.arange(len(group))
    first[group[::-1]] = place[::-1]
    occurs = first >= 0

    return first[occurs]


def check_cover(*, n_cover: int, n_train: int, n_ratings: int) -> None:
    """Refuse a train part that is too small to cover every user and item.

    Args:
        n_cover: ratings needed to cover them.
        n_train: ratings in train.
        n_ratings: ratings in all.

    Raises:
        DataError: with the least share of train.
    """
    if n_cover > n_train:
        least = n_cover / max(n_ratings, 1)
        raise DataError(
            f"Covering every user and item takes {n_cover:,} ratings, but train would have "
            f"{n_train:,} of {n_ratings:,}; leave at least {least:.1%} for train, or split at "
            f"random ({words('random_split', '--how random')})."
        )
