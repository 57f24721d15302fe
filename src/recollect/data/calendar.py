"""Days on which users rated: their number, in UTC since 1970, and how far each lies from the middle of the user's days."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int, Int64

from recollect.data.ratings import Ratings

SECONDS = 86_400


@dataclass(frozen=True, eq=False)
class Days:
    """A slot for every user and day with ratings, a user's together and in order; and one more, the last, for all other days."""

    start: Int64[np.ndarray, " users_and_one"]  # the first slot of each user
    user: Int64[np.ndarray, " some_slots"]
    day: Int64[np.ndarray, " some_slots"]
    count: Int64[np.ndarray, " some_slots"]  # ratings by the user on the day
    middle: Float64[np.ndarray, " users"]  # the mean day of a user's ratings
    first: int  # day of all ratings
    last: int

    @classmethod
    def of(cls, ratings: Ratings) -> Days:
        """The days of these ratings, which have times."""
        assert ratings.time is not None
        day, n_users = ratings.time // SECONDS, ratings.n_users
        first, last = int(day.min()), int(day.max())
        key, count = np.unique(
            ratings.user.astype(np.int64) * (last - first + 1) + (day - first), return_counts=True
        )
        user, at = np.divmod(key, last - first + 1)
        middle = np.bincount(ratings.user, weights=day, minlength=n_users) / np.maximum(
            ratings.count("user"), 1
        )
        start = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))])
        return cls(start, user, at + first, count.astype(np.int64), middle, first, last)

    def __len__(self) -> int:
        """Slots, without the last."""
        return len(self.day)

    @cached_property
    def _key(self) -> Int64[np.ndarray, " some_slots"]:
        return self.user * (self.last - self.first + 1) + (self.day - self.first)

    def slot(
        self, user: Int[np.ndarray, " pairs"], day: Int[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        """The slot of each user and day; the last one for a day without ratings of theirs."""
        key = (
            np.asarray(user, np.int64) * (self.last - self.first + 1)
            + np.clip(day, self.first, self.last)
            - self.first
        )
        found = np.minimum(np.searchsorted(self._key, key), len(self) - 1)
        return np.where((self._key[found] == key) & (self.day[found] == day), found, len(self))

    def latest(self, user: Int[np.ndarray, " some"]) -> Int64[np.ndarray, " some"]:
        """The last day of each user; of someone without ratings, of all."""
        start, end = self.start[user], self.start[np.asarray(user) + 1]
        return np.where(end > start, self.day[end - 1], self.last)

    def drift(
        self, user: Int[np.ndarray, " pairs"], day: Int[np.ndarray, " pairs"], *, power: float
    ) -> Float32[np.ndarray, " pairs"]:
        """How far a day is from the middle of the user's, in days to this power; negative before it."""
        far = day - self.middle[user]
        return (np.sign(far) * np.abs(far) ** power).astype(np.float32)

    def bin(self, day: Int[np.ndarray, " pairs"], *, n: int) -> Int64[np.ndarray, " pairs"]:
        """Which of n equally long parts of the time the day lies in; the first or the last for a day outside."""
        return np.clip(
            (np.asarray(day, np.int64) - self.first) * n // (self.last - self.first + 1), 0, n - 1
        )

    def often(self, slot: Int[np.ndarray, " pairs"]) -> Int64[np.ndarray, " pairs"]:
        """How many ratings the user gave on the day; 1, the one that is asked for, on a day without any."""
        return np.append(self.count, 1)[slot]
