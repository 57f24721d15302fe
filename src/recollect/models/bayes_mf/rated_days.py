"""Days with ratings: a rating belongs to one of them, or to any other day."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Int64

from recollect.data.calendar import SECONDS
from recollect.data.ratings import AnyRatings


def rated_days(ratings: AnyRatings) -> Int64[np.ndarray, " days"]:
    """The days on which there are ratings, counted from 1970; none without times."""
    if ratings.time is None:
        return np.empty(0, np.int64)

    day = ratings.time // SECONDS
    return np.unique(day)


def day_rows(
    days: Int64[np.ndarray, " days"], times: Int[np.ndarray, " ratings"] | None, n: int
) -> Int64[np.ndarray, " ratings"]:
    """Which of the days each rating belongs to; len(days) for any other day.

    Args:
        days: ascending, counted from 1970.
        times: when each rating is given, in seconds since 1970; None: unknown.
        n: how many ratings there are.
    """
    if times is None or not len(days):
        return np.full(n, len(days))

    day = times // SECONDS
    row = np.searchsorted(days, day)
    # A day after the last one has the row len(days), which does not exist.
    existing_row = np.minimum(row, len(days) - 1)
    is_rated = days[existing_row] == day

    return np.where(is_rated, row, len(days))


def last_day_rows(
    user: Int[np.ndarray, " ratings"],
    day_row: Int64[np.ndarray, " ratings"],
    *,
    n_users: int,
    unknown: int,
) -> Int64[np.ndarray, " users"]:
    """The last day of each user.

    Args:
        user: row numbers of users, one for each rating.
        day_row: the day of each rating, as `day_rows` gives it.
        n_users: number of users.
        unknown: what a user without ratings gets.
    """
    last = np.full(n_users, -1)
    # Days ascend, so the last one has the largest row.
    np.maximum.at(last, user, day_row)

    return np.where(last < 0, unknown, last)
