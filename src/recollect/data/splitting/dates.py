"""Moments, days and the times of ratings, for the splits that go by time. All dates are UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from jaxtyping import Int64

from recollect.data.ratings import Ratings
from recollect.errors import DataError, SettingError
from recollect.system.door import words

Date = (
    str | int
)  # "2005-12-01", "2005-12-01T12:00" (UTC unless it names a zone), or seconds since 1970


def times_of(ratings: Ratings, caller: str) -> Int64[np.ndarray, " ratings"]:
    """The time of each rating, in seconds since 1970.

    Raises:
        DataError: if the ratings have no times; it names the `caller` that needs them.
    """
    if ratings.time is None:
        column = words('time="when"', "--time-column when")
        instead = words("random_split", "--how random")
        raise DataError(
            f"{words(caller, 'A split by time')} needs to know when each rating was given, but "
            f"{ratings.name!r} has no times; name their column ({column}), or split at random "
            f"({instead})."
        )

    return ratings.time


def as_seconds(date: Date, *, end_of_day: bool = False) -> int:
    """A date in seconds since 1970; with `end_of_day` a day later.

    Raises:
        SettingError: if it is not a date.
    """
    if isinstance(date, int):
        return date

    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        raise SettingError(
            f"{date!r} is not a date; write it like 2005-12-01 (or 2005-12-01T12:00), or in "
            "seconds since 1970."
        ) from None

    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)

    if end_of_day:
        moment += timedelta(days=1)

    return int(moment.timestamp())


def period(ratings: Ratings) -> str:
    """The first and the last day with ratings, as a clause for messages."""
    time = times_of(ratings, "a split by time")
    if not len(time):
        return "there are no ratings"

    first = datetime.fromtimestamp(int(time.min()), UTC)
    last = datetime.fromtimestamp(int(time.max()), UTC)

    return f"the ratings run from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
