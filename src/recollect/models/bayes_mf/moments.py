"""The moment of a rating: its day, or its place in the user's day.

A day is the same for all users: it is about what changes with time. A place is how many ratings the
user gave earlier on that day, in steps of √2: people begin with the items that they know best, and
their ratings move as a sitting goes on. Places are counted among the ratings that a model learns
from, which a rating to be predicted is put among by its time.
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

KINDS = ("day", "place")
N_PLACES = 22  # the last is that of 1,448 earlier ratings and more


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
        """The row of each user's newest rating, or of the next one on the same day.

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
    def of(cls, ratings: AnyRatings) -> Days:
        """The days on which there are ratings; none without times."""
        if ratings.time is None:
            return cls(np.empty(0, np.int64))

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
class Places(Moments):
    """Places in the days of users.

    Args:
        ratings: with times; those that the model learns from.
    """

    ratings: Ratings

    @property
    @override
    def numbers(self) -> Int64[np.ndarray, " moments"]:
        return np.arange(N_PLACES)

    @cached_property
    def _keys(self) -> Int64[np.ndarray, " ratings"]:
        """User, day and second of the day of each rating as one number, ascending."""
        assert self.ratings.time is not None
        return np.sort(self._key(self.ratings.user, self.ratings.time))

    @cached_property
    def _first_day(self) -> int:
        assert self.ratings.time is not None
        return int(self.ratings.time.min(initial=0)) // SECONDS

    @cached_property
    def _n_days(self) -> int:
        assert self.ratings.time is not None
        return int(self.ratings.time.max(initial=0)) // SECONDS - self._first_day + 3

    def _key(
        self, user: Int[np.ndarray, " pairs"], times: Int[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        # One more day at either end stands for all that lie outside, where nobody has a rating.
        day = np.clip(times // SECONDS - self._first_day + 1, 0, self._n_days - 1)
        return (np.asarray(user, np.int64) * self._n_days + day) * SECONDS + times % SECONDS

    @override
    def rows(
        self, user: Int[np.ndarray, " pairs"], times: Int[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        key = self._key(user, times)
        begin = key - times % SECONDS
        earlier = np.searchsorted(self._keys, key) - np.searchsorted(self._keys, begin)

        return row_of_place(earlier)

    @override
    def latest(self, ratings: Ratings) -> Int64[np.ndarray, " users"]:
        assert ratings.time is not None
        newest = np.full(ratings.n_users, np.iinfo(np.int64).min)
        np.maximum.at(newest, ratings.user, ratings.time)
        has_ratings = ratings.count("user") > 0
        row = np.full(ratings.n_users, N_PLACES)
        # A moment later, so that the newest rating itself is an earlier one.
        end_of_day = newest[has_ratings] // SECONDS * SECONDS + SECONDS - 1
        after = np.minimum(newest[has_ratings] + 1, end_of_day)
        row[has_ratings] = self.rows(np.flatnonzero(has_ratings), after)

        return row


def row_of_place(earlier: Int[np.ndarray, " pairs"]) -> Int64[np.ndarray, " pairs"]:
    """The row of a rating before which the user has given so many on that day: ⌊2 log₂(n + 1)⌋."""
    steps = np.floor(2 * np.log2(np.asarray(earlier) + 1.0) + 1e-9)
    return np.minimum(steps, N_PLACES - 1).astype(np.int64)


def is_finer_than_days(ratings: AnyRatings) -> bool:
    """Whether times tell the order of a user's ratings within a day."""
    return ratings.time is not None and bool((ratings.time % SECONDS != 0).any())
