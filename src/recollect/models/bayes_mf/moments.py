"""The moment of a rating: its day, or the time since the user's first rating of that day.

A day is the same for all users: it is about what changes with time. Elapsed minutes, in steps of
√2, tell how far into a sitting a rating is: people begin with the items that they know best, and
their ratings move as they go on. The first rating is the first that the model learns from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int, Int64
from typing_extensions import override

from recollect.data.calendar import SECONDS
from recollect.data.ratings import AnyRatings, Ratings

KINDS = ("day", "elapsed")
N_STEPS = 22  # of elapsed time; the last begins after 24 hours, and nobody is in it
MINUTE = 60


class Moments(ABC):
    """Row numbers of the moments of ratings; `len` is that of a moment without ratings."""

    @property
    @abstractmethod
    def numbers(self) -> Int64[np.ndarray, " moments"]:
        """What each row stands for, ascending."""

    @abstractmethod
    def rows(
        self, user: Int[np.ndarray, " pairs"], times: Int[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        """The row of each pair.

        Args:
            user: row numbers of users.
            times: when each is rated, in seconds since 1970.
        """

    @abstractmethod
    def latest(self, ratings: Ratings) -> Int64[np.ndarray, " users"]:
        """The row of each user's newest rating.

        Args:
            ratings: those that the model learns from.
        """

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, eq=False)
class Days(Moments):
    """Days with ratings.

    Args:
        days: counted from 1970, ascending; none where a model has no moments.
    """

    days: Int64[np.ndarray, " days"]

    @classmethod
    def none(cls) -> Days:
        """No day at all."""
        return cls(np.empty(0, np.int64))

    @classmethod
    def of(cls, ratings: AnyRatings) -> Days:
        """The days on which there are ratings; none without times."""
        if ratings.time is None:
            return cls.none()

        return cls(np.unique(ratings.time // SECONDS))

    @property
    @override
    def numbers(self) -> Int64[np.ndarray, " moments"]:
        return self.days

    @override
    def rows(
        self, user: Int[np.ndarray, " pairs"], times: Int[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        n_days = len(self.days)
        if not n_days:
            return np.zeros(len(times), np.int64)

        day = times // SECONDS
        row = np.searchsorted(self.days, day)
        # A day after the last one has the row n_days, which does not exist.
        is_rated = self.days[np.minimum(row, n_days - 1)] == day

        return np.where(is_rated, row, n_days)

    @override
    def latest(self, ratings: Ratings) -> Int64[np.ndarray, " users"]:
        last = np.full(ratings.n_users, -1)
        if ratings.time is not None and len(self.days):
            # Days ascend, so the last one has the largest row.
            np.maximum.at(last, ratings.user, self.rows(ratings.user, ratings.time))

        return np.where(last < 0, len(self.days), last)


@dataclass(frozen=True, eq=False)
class Elapsed(Moments):
    """The time since a user's first rating of the day.

    Args:
        ratings: with times; those that the model learns from.
    """

    ratings: Ratings

    @property
    @override
    def numbers(self) -> Int64[np.ndarray, " moments"]:
        return np.arange(N_STEPS)

    @cached_property
    def _first(self) -> tuple[Int64[np.ndarray, " user_days"], Int64[np.ndarray, " user_days"]]:
        """A number for each user and day with ratings, ascending, and when the first was given."""
        times = self.ratings.time
        assert times is not None
        key = self._key(self.ratings.user, times)
        order = np.lexsort((times, key))
        user_days, place = np.unique(key[order], return_index=True)

        return user_days, times[order][place]

    @cached_property
    def _days(self) -> tuple[int, int]:
        """The first day with ratings, and how many days there are up to the last."""
        times = self.ratings.time
        assert times is not None
        first = int(times.min(initial=0)) // SECONDS
        return first, int(times.max(initial=0)) // SECONDS - first + 1

    def _key(
        self, user: Int[np.ndarray, " pairs"], times: Int[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        """A number for each pair's user and day."""
        first, n_days = self._days
        # One more day at either end stands for all that lie outside, where nobody has a rating.
        day = np.clip(times // SECONDS - first, -1, n_days) + 1
        return np.asarray(user, np.int64) * (n_days + 2) + day

    @override
    def rows(
        self, user: Int[np.ndarray, " pairs"], times: Int[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        user_days, first = self._first
        if not len(user_days):
            return np.zeros(len(times), np.int64)

        key = self._key(user, times)
        row = np.minimum(np.searchsorted(user_days, key), len(user_days) - 1)
        # Whoever has no rating on that day begins with this one.
        seconds = np.where(user_days[row] == key, times - first[row], 0)

        return step_of(seconds)

    @override
    def latest(self, ratings: Ratings) -> Int64[np.ndarray, " users"]:
        assert ratings.time is not None
        newest = np.full(ratings.n_users, np.iinfo(np.int64).min)
        np.maximum.at(newest, ratings.user, ratings.time)
        with_ratings = np.flatnonzero(ratings.count("user"))
        row = np.full(ratings.n_users, N_STEPS)
        row[with_ratings] = self.rows(with_ratings, newest[with_ratings])

        return row


def step_of(seconds: Int[np.ndarray, " pairs"]) -> Int64[np.ndarray, " pairs"]:
    """The row of a rating so long after the first of the day: ⌊2 log₂(minutes + 1)⌋."""
    minutes = np.maximum(seconds, 0) / MINUTE
    steps = np.floor(2 * np.log2(minutes + 1) + 1e-9)
    return np.minimum(steps, N_STEPS - 1).astype(np.int64)


def moments_of(ratings: AnyRatings, kind: str | None) -> Moments:
    """The moments of ratings.

    Args:
        ratings: those that the model learns from.
        kind: one of KINDS; None: elapsed time, if times are finer than days.
    """
    if kind is None:
        is_finer = ratings.time is not None and (ratings.time % SECONDS != 0).any()
        kind = "elapsed" if is_finer else "day"

    if kind == "day":
        return Days.of(ratings)

    assert isinstance(ratings, Ratings)

    return Elapsed(ratings)
