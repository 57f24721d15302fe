"""A change of the ratings that a model has learned from: what was added, replaced or taken away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Int, Int64

from recollect.data.in_unit import in_unit
from recollect.data.rating_unit import RatingUnit
from recollect.data.ratings import Ratings, Side


@dataclass(frozen=True, eq=False)
class Change:
    """Ratings before and after, and the pairs in which they differ.

    Row numbers before stay what they were; new users and items have the next ones.

    Args:
        before: the ratings that the model has learned from.
        after: the same with the change.
        user: the user of each pair that changed, as `after` numbers them.
        item: its item.
        dropped: how many of the given ratings were left out, by the reason.
        notes: what was done to the given ratings, a sentence each.
    """

    before: Ratings
    after: Ratings
    user: Int[np.ndarray, " pairs"]
    item: Int[np.ndarray, " pairs"]
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def _touched(self) -> dict[Side, Int64[np.ndarray, " rows"]]:
        return {
            "user": np.unique(self.user).astype(np.int64),
            "item": np.unique(self.item).astype(np.int64),
        }

    def touched(self, side: Side) -> Int64[np.ndarray, " rows"]:
        """The users or items of the pairs, ascending."""
        return self._touched[side]

    def count_before(self, side: Side) -> Int64[np.ndarray, " rows"]:
        """Number of ratings before, per row of `after`; 0 for new rows."""
        count = self.before.count(side)
        n_after = self.after.n_users if side == "user" else self.after.n_items
        return np.concatenate([count, np.zeros(n_after - len(count), np.int64)])

    def new(self, side: Side) -> Int64[np.ndarray, " rows"]:
        """The touched users or items that had no rating before."""
        rows = self.touched(side)
        return rows[self.count_before(side)[rows] == 0]

    def known(self, side: Side) -> Int64[np.ndarray, " rows"]:
        """The touched users or items that had a rating before."""
        rows = self.touched(side)
        return rows[self.count_before(side)[rows] > 0]

    def in_unit(self, unit: RatingUnit) -> Change:
        """The same change of ratings in the unit of a model."""
        if unit.is_identity:
            return self

        return replace(self, before=in_unit(self.before, unit), after=in_unit(self.after, unit))
