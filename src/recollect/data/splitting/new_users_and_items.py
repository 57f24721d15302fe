"""Hold out whole users or whole items: train has not a single rating of theirs."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Int8

from recollect.data.ratings import Ratings, Side
from recollect.data.splitting.split import (
    GIVEN,
    TEST,
    TRAIN,
    VALID,
    Share,
    Split,
    check_shares,
    cut_by,
    place_in_group,
    times_of,
)
from recollect.errors import DataError, unknown


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
    """Keep users out of train altogether; of each, some ratings are given at prediction, the rest must be predicted.

    `users` and `valid_users` are shares of the users with at least `min_ratings` ratings, or counts (an int); `given`
    is a share of each one's ratings, or a count. Each has at least one rating given and one to predict. by="time"
    gives each one's earliest, by="random" any. `split.given` holds what is given of the users of valid and of test,
    `split.valid` and `split.test` the rest.

    Raises: SettingError for an impossible share or count, DataError if too few users have enough ratings, or by="time"
    without times.
    """
    if by not in ("random", "time"):
        raise unknown("order of a user's ratings", by, ("random", "time"))
    if isinstance(given, float) or given < 1:
        check_shares(given=given)
    least = max(min_ratings, 2, given + 1 if isinstance(given, int) else 2)
    rng = np.random.default_rng(seed)
    role = _choose(ratings, "user", {"users": users, "valid_users": valid_users}, int(least), rng)
    canonical = ratings.entry("user")
    entry = canonical[role[ratings.user[canonical]] != TRAIN]
    user = ratings.user[entry]
    rank = (
        times_of(ratings, "new_user_split(by='time')")[entry]
        if by == "time"
        else rng.permutation(len(entry))
    )
    order = np.lexsort((rank, user))  # equal times: by item row
    entry, user = entry[order], user[order]
    count = ratings.count("user")[user]
    n_given = (
        np.full(len(user), given)
        if isinstance(given, int)
        else np.clip(np.rint(given * count), 1, count - 1)
    )
    part = np.zeros(len(ratings), np.int8)
    part[entry] = np.where(place_in_group(user) < n_given, GIVEN, role[user])
    return cut_by(
        ratings,
        part,
        "new users",
        seed,
        {
            "users": users,
            "given": given,
            "min_ratings": min_ratings,
            "valid_users": valid_users,
            "by": by,
        },
    )


def new_item_split(
    ratings: Ratings,
    *,
    items: Share = 0.1,
    min_ratings: int = 1,
    valid_items: Share = 0.0,
    seed: int = 0,
) -> Split:
    """Keep items out of train altogether: all ratings of some items are test, those of others valid.

    `items` and `valid_items` are shares of the items with at least `min_ratings` ratings, or counts (an int). Someone who has
    rated held-out items only has no rating in train; `split.table()` counts them as `cold_users`.

    Raises: SettingError for an impossible share or count, DataError if too few items have enough ratings, or train would be
    empty.
    """
    rng = np.random.default_rng(seed)
    role = _choose(
        ratings, "item", {"items": items, "valid_items": valid_items}, max(min_ratings, 1), rng
    )
    return cut_by(
        ratings,
        role[ratings.item],
        "new items",
        seed,
        {"items": items, "min_ratings": min_ratings, "valid_items": valid_items},
    )


def _choose(
    ratings: Ratings, side: Side, wanted: dict[str, Share], least: int, rng: np.random.Generator
) -> Int8[np.ndarray, " rows"]:
    """The part that the ratings to predict of each user or item go to; TRAIN for those that are not held out."""
    able = rng.permutation(np.flatnonzero(ratings.count(side) >= least))
    role, taken = np.zeros(len(ratings.count(side)), np.int8), 0
    for (name, amount), code in zip(wanted.items(), (TEST, VALID), strict=True):
        if isinstance(amount, float) or amount < 1:
            check_shares(**{name: amount})
        n = round(amount * len(able)) if isinstance(amount, float) else amount
        if n < 0 or (amount and not n) or taken + n > len(able):
            raise DataError(
                f"{name}={amount} asks for {n} {side}s besides {taken}, but {len(able)} {side}s have the "
                f"{least} ratings or more that this needs; ask for fewer, or lower min_ratings"
                f"{' or given' if side == 'user' else ''}."
            )
        role[able[taken : taken + n]] = code
        taken += n
    return role
