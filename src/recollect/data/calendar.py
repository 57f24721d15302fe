"""Days on which users rated. A day is a number, in UTC since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int, Int64

from recollect.data.ratings import Ratings

SECONDS = 86_400  # of a day


@dataclass(frozen=True, eq=False)
class Days:
    """The days of each user's ratings.

    A slot is a user on a day with ratings; a user's slots lie together, in order. One more slot,
    the last, stands for all other days of everyone.
    """

    start: Int64[np.ndarray, " users_and_one"]  # the first slot of each user
    user: Int64[np.ndarray, " some_slots"]
    day: Int64[np.ndarray, " some_slots"]
    count: Int64[np.ndarray, " some_slots"]  # ratings by the user on the day
    mean: Float64[np.ndarray, " users"]  # the mean day of a user's ratings
    first: int  # day of all ratings
    last: int

    @classmethod
    def of(cls, ratings: Ratings) -> Days:
        """The days of these ratings, which have times."""
        assert ratings.time is not None
        n_users = ratings.n_users
        day = ratings.time // SECONDS
        first = int(day.min())
        last = int(day.max())
        n_days = last - first + 1
        # One number stands for a user and a day, and orders by user, then by day.
        key_of_rating = ratings.user.astype(np.int64) * n_days + (day - first)
        key, count = np.unique(key_of_rating, return_counts=True)
        slot_user, slot_day = np.divmod(key, n_days)
        slots_of_user = np.bincount(slot_user, minlength=n_users)
        total = np.bincount(ratings.user, weights=day, minlength=n_users)
        at_least_one = np.maximum(ratings.count("user"), 1)

        return cls(
            start=np.concatenate([[0], np.cumsum(slots_of_user)]),
            user=slot_user,
            day=slot_day + first,
            count=count.astype(np.int64),
            mean=total / at_least_one,
            first=first,
            last=last,
        )

    def __len__(self) -> int:
        """The number of slots, without the last."""
        return len(self.day)

    @property
    def n_days(self) -> int:
        """Days from the first to the last, with or without ratings."""
        return self.last - self.first + 1

    @cached_property
    def _key(self) -> Int64[np.ndarray, " some_slots"]:
        since_first = self.day - self.first
        first_of_user = self.user * self.n_days
        return first_of_user + since_first

    def slot(
        self, user: Int[np.ndarray, " pairs"], day: Int[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        """The slot of each user and day; the last slot for a day without ratings by the user."""
        clipped = np.clip(day, self.first, self.last)
        key = np.asarray(user, np.int64) * self.n_days + clipped - self.first
        place = np.searchsorted(self._key, key)
        slot = np.minimum(place, len(self) - 1)
        # A day outside was clipped to one that may have ratings: compare the days, too.
        same_key = self._key[slot] == key
        same_day = self.day[slot] == day

        return np.where(same_key & same_day, slot, len(self))

    def latest(self, user: Int[np.ndarray, " users"]) -> Int64[np.ndarray, " users"]:
        """The last day of each user's ratings; for a user without ratings, the last day of all."""
        start = self.start[user]
        end = self.start[np.asarray(user) + 1]
        has_ratings = end > start
        last_day = self.day[end - 1]

        return np.where(has_ratings, last_day, self.last)

    def deviation(
        self, user: Int[np.ndarray, " pairs"], day: Int[np.ndarray, " pairs"], *, power: float
    ) -> Float32[np.ndarray, " pairs"]:
        """dev_u(t) = sign(t − t_u) |t − t_u|^power, t_u being the mean day of the user's ratings.

        Args:
            user: row numbers of users.
            day: a day for each.
            power: β.
        """
        difference = day - self.mean[user]
        size = np.abs(difference) ** power
        deviation = np.sign(difference) * size

        return deviation.astype(np.float32)

    def bin(self, day: Int[np.ndarray, " pairs"], *, n: int) -> Int64[np.ndarray, " pairs"]:
        """Which of n equally long parts of the time each day lies in.

        Days before the first and after the last lie in the first and the last part.
        """
        since_first = np.asarray(day, np.int64) - self.first
        part = since_first * n // self.n_days
        return np.clip(part, 0, n - 1)

    def n_ratings(self, slot: Int[np.ndarray, " pairs"]) -> Int64[np.ndarray, " pairs"]:
        """How many ratings the user gave on the day of each slot; 1 in the last slot, for the
        rating to be predicted.
        """
        count = np.append(self.count, 1)
        return count[slot]
