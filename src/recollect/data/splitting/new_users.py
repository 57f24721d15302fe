"""New-user split: some users have no rating in train; ratings given later predict the others."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int, Int8, Int64

from recollect.arguments import expect_ratings
from recollect.data.ratings import Ratings
from recollect.data.splitting.dates import times_of
from recollect.data.splitting.held_out import choose_held_out
from recollect.data.splitting.shares import Share, check_seed, check_shares, place_in_group
from recollect.data.splitting.split import GIVEN, TRAIN, Split, split_by_part
from recollect.errors import unknown

ORDERS = ("random", "time")


def new_user_split(
    ratings: Ratings,
    *,
    users: Share = 0.1,
    given: Share = 0.8,
    min_ratings: int = 5,
    valid_users: Share = 0.0,
    by: Literal["random", "time"] = "random",
    seed: int = 0,
) -> Split:
    """Keep users out of train; some ratings of each are given, the others must be predicted.

    `split.given` has the given ratings of the users of valid and of test, `split.valid` and
    `split.test` those to predict. Every held-out user has at least one of both.

    Args:
        ratings: the whole.
        users: users of test: a share of those with at least `min_ratings` ratings, or an int, a
            count.
        given: ratings given per user: a share of the user's ratings, or a count.
        min_ratings: the fewest ratings of a user who may be held out.
        valid_users: users of valid, like `users`.
        by: which ratings are given: "random", or the earliest ("time").
        seed: of the draws.

    Raises:
        SettingError: for an impossible share or count.
        DataError: if too few users have enough ratings, or by="time" without times.
    """
    expect_ratings("ratings", ratings, Ratings)
    _check_settings(given, by)
    check_seed(seed)
    rng = np.random.default_rng(seed)
    user_part = choose_held_out(
        ratings,
        "user",
        test=("users", users),
        valid=("valid_users", valid_users),
        min_ratings=_fewest_ratings(given, min_ratings),
        rng=rng,
    )
    entry = _first_given_first(ratings, _held_out(ratings, user_part), by, rng)
    part = np.zeros(len(ratings), np.int8)
    part[entry] = _parts(ratings, entry, user_part, given)
    settings = {
        "users": users,
        "given": given,
        "min_ratings": min_ratings,
        "valid_users": valid_users,
        "by": by,
    }

    return split_by_part(
        ratings,
        part,
        how="new users",
        seed=seed,
        settings=settings,
    )


def _check_settings(given: Share, by: str) -> None:
    """Refuse an unknown order, and an impossible share or count of given ratings."""
    if by not in ORDERS:
        raise unknown("order of a user's ratings", by, ORDERS)

    if isinstance(given, float) or given < 1:
        check_shares(given=given)


def _held_out(
    ratings: Ratings, user_part: Int8[np.ndarray, " n_users"]
) -> Int64[np.ndarray, " entries"]:
    """Indices of the ratings of users who are not in train, sorted by user."""
    by_user = ratings.entry("user")
    part_of_user = user_part[ratings.user[by_user]]

    return by_user[part_of_user != TRAIN]


def _parts(
    ratings: Ratings,
    entry: Int64[np.ndarray, " entries"],
    user_part: Int8[np.ndarray, " n_users"],
    given: Share,
) -> Int8[np.ndarray, " entries"]:
    """GIVEN for the first ratings of each user, the user's part for the others."""
    user = ratings.user[entry]
    n_ratings = ratings.count("user")[user]
    is_given = place_in_group(user) < _n_given(given, n_ratings)
    part = np.where(is_given, GIVEN, user_part[user])

    return part.astype(np.int8)


def _first_given_first(
    ratings: Ratings, entry: Int64[np.ndarray, " entries"], by: str, rng: np.random.Generator
) -> Int64[np.ndarray, " entries"]:
    """Indices of ratings, sorted by user and by time or at random."""
    if by == "time":
        rank = times_of(ratings, "new_user_split(by='time')")[entry]
    else:
        rank = rng.permutation(len(entry))

    # The sort is stable and `entry` is ordered by item, so equal times are ordered by item too.
    user = ratings.user[entry]
    order = np.lexsort((rank, user))

    return entry[order]


def _fewest_ratings(given: Share, min_ratings: int) -> int:
    """The fewest ratings that leave one to give and one to predict."""
    least = given + 1 if isinstance(given, int) else 2
    return max(min_ratings, 2, least)


def _n_given(
    given: Share, count: Int64[np.ndarray, " entries"]
) -> Int[np.ndarray, " entries"] | Float64[np.ndarray, " entries"]:
    """How many ratings are given of the user of each entry, who has `count`."""
    if isinstance(given, int):
        return np.full(len(count), given)
    return np.clip(np.rint(given * count), 1, count - 1)
