"""Per-user split: a share, or a number, of each user's ratings is tested."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int, Int8, Int64

from recollect.arguments import expect_ratings, expect_whole
from recollect.data.ratings import Ratings
from recollect.data.splitting.dates import times_of
from recollect.data.splitting.shares import (
    Share,
    check_seed,
    check_shares,
    place_in_group,
    shuffled,
)
from recollect.data.splitting.split import TEST, VALID, Split, split_by_part
from recollect.errors import SettingError, unknown

ORDERS = ("random", "time")


def per_user_split(
    ratings: Ratings,
    *,
    test: Share = 0.2,
    valid: Share = 0.0,
    by: str = "random",
    min_train: int = 1,
    seed: int = 0,
) -> Split:
    """Divide the ratings of each user: a share or a number of them is test.

    `test=0.2` puts a fifth of every user's ratings in test; `test=1` leaves one out. With
    `by="time"` these are each user's latest, as in `leave_last_split`. A share is rounded to whole
    ratings, and is one rating at least. Users with too few ratings are in train only.

    Args:
        ratings: the whole.
        test: test ratings of each user: a share of the user's ratings, or an int, a number.
        valid: validation ratings of each user: a share of those that are not in test (rounded, so
            users with few ratings may have none), or a number; 0: none.
        by: which ratings are test: "random", or the latest ("time").
        min_train: the fewest train ratings of a user who is tested.
        seed: of the draw; with "random" it fixes test whatever share `valid` is.

    Raises:
        SettingError: for an impossible share or count, or an unknown order.
        DataError: if a part would be empty, or by="time" without times.

    Source: the 80/20 splits of each user of Anelli, Bellogín, Di Noia, Jannach, Pomo. "Top-N
    Recommendation Algorithms: A Quest for the State-of-the-Art." UMAP 2022.
    """
    expect_ratings("ratings", ratings, Ratings)
    _check_settings(test, valid, by, min_train)
    check_seed(seed)
    order = _last_first(ratings, by, seed)
    part = parts_of_users(ratings, order, test=test, valid=valid, min_train=min_train)
    settings = {"test": test, "valid": valid, "by": by, "min_train": min_train}

    return split_by_part(
        ratings,
        part,
        how="each user's latest" if by == "time" else "a share of each user's",
        seed=None if by == "time" else seed,
        settings=settings,
    )


def _check_settings(test: Share, valid: Share, by: str, min_train: int) -> None:
    """Refuse impossible shares and counts, and an unknown order."""
    if by not in ORDERS:
        raise unknown("order of a user's ratings", by, ORDERS)

    expect_whole("min_train", min_train, at_least=0, what="the fewest train ratings of a user")
    for name, amount in (("test", test), ("valid", valid)):
        if isinstance(amount, float) or amount < 1:
            check_shares(**{name: amount})

    if min_train == 0 and isinstance(test, float):
        raise SettingError(
            "min_train=0 is for numbers of ratings, such as test=1; a share of a user's ratings "
            "leaves one in train, so let min_train be 1 or more."
        )


def _last_first(ratings: Ratings, by: str, seed: int) -> Int64[np.ndarray, " ratings"]:
    """Indices of the ratings, sorted by user, and those of each user from the last on."""
    if by == "random":
        order = shuffled(ratings, seed)
        return order[np.argsort(ratings.user[order], kind="stable")]

    return latest_first(ratings, "per_user_split(by='time')")


def latest_first(ratings: Ratings, caller: str) -> Int64[np.ndarray, " ratings"]:
    """Indices of the ratings, sorted by user, and those of each user from the latest on.

    Ratings of the same moment are in the descending order of the row number of the item.

    Args:
        ratings: the whole.
        caller: needs the times, for the message if there are none.
    """
    time = times_of(ratings, caller)
    return np.lexsort((-ratings.item.astype(np.int64), -time, ratings.user))


def parts_of_users(
    ratings: Ratings,
    order: Int64[np.ndarray, " ratings"],
    *,
    test: Share,
    valid: Share,
    min_train: int,
) -> Int8[np.ndarray, " ratings"]:
    """The part of each rating: of each user the first in this order are test, the next valid.

    Args:
        ratings: the whole.
        order: indices of the ratings, sorted by user.
        test: a share of each user's ratings, or a number.
        valid: a share of what test leaves of them, or a number.
        min_train: the fewest train ratings of a user who is tested.
    """
    user = ratings.user[order]
    count = ratings.count("user")
    n_test = _n_of(test, count)
    # A share gives way to the fewest of train; a number that does not fit leaves train whole.
    if isinstance(test, float):
        n_test = np.clip(n_test, 1, np.maximum(count - min_train, 1))

    n_valid = _n_of(valid, np.maximum(count - n_test, 0))
    if isinstance(valid, float):
        n_valid = np.minimum(n_valid, np.maximum(count - n_test - min_train, 0))

    has_enough = (count >= n_test + n_valid + min_train)[user]
    place = place_in_group(user)
    part = np.zeros(len(order), np.int8)
    part[order[has_enough & (place < (n_test + n_valid)[user])]] = VALID
    part[order[has_enough & (place < n_test[user])]] = TEST

    return part


def _n_of(amount: Share, count: Int64[np.ndarray, " users"]) -> Int[np.ndarray, " users"]:
    """How many of each user's ratings a share of them is; a number is itself."""
    if isinstance(amount, int):
        return np.full(len(count), amount)

    rounded: Float64[np.ndarray, " users"] = np.rint(amount * count)

    return rounded.astype(np.int64)
