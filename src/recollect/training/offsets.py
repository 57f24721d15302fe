"""Offsets: the mean of the ratings, an offset of each user and an offset of each item.

    Σ (r − mu − b_u − b_i)²  +  reg_user Σ b_u²  +  reg_item Σ b_i²  → min

The bias model is these offsets; every other model falls back on them where it knows only the user
or only the item.

Source: Koren, Bell. "Advances in Collaborative Filtering." Recommender Systems Handbook, 2011,
section 3.2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows, pieces

REG_USER = 5.0  # weighs as much as this many ratings at the mean; chosen on MovieLens 1M
REG_ITEM = 2.5
EPOCHS = 20  # at most
SETTLED = 1e-6  # rating points: an item's offset that moves by less has settled
BLOCK_CELLS = 1 << 22  # ratings whose residuals are in memory at once

# User, item and value of some ratings.
Cells = tuple[
    Int[np.ndarray, " ratings"], Int[np.ndarray, " ratings"], Float32[np.ndarray, " ratings"]
]


@dataclass(frozen=True)
class RidgeOffsets:
    """A rating is mu + b_user + b_item.

    Args:
        mu: mean of the training ratings.
        b_user: offset of each user; 0 without training ratings.
        b_item: offset of each item; 0 without training ratings.
        reg_user: λ of a user's offset, for users who come later.
    """

    mu: float
    b_user: Float64[np.ndarray, " n_users"]
    b_item: Float64[np.ndarray, " n_items"]
    reg_user: float = REG_USER

    @classmethod
    def fit(
        cls,
        train: AnyRatings,
        *,
        reg_user: float = REG_USER,
        reg_item: float = REG_ITEM,
        epochs: int = EPOCHS,
    ) -> RidgeOffsets:
        """The offsets that minimize the sum above; users and items are solved in turn.

        Ratings on disk are read twice in an epoch.

        Args:
            train: the ratings, in memory or on disk.
            reg_user: λ of the users' offsets.
            reg_item: λ of the items' offsets.
            epochs: at most; it stops when no item's offset moves by more than SETTLED.
        """
        mu = train.mean
        b_user = np.zeros(train.n_users)
        b_item = np.zeros(train.n_items)

        for _ in range(epochs):
            before = b_item
            # Items first, as in the book.
            b_item = _solve(train, "item", mu, b_user, reg_item)
            b_user = _solve(train, "user", mu, b_item, reg_user)
            largest_change = np.abs(b_item - before).max(initial=0.0)
            if largest_change < SETTLED:
                break

        return cls(mu, b_user, b_item, reg_user)

    def solved_again(
        self,
        ratings: Ratings,
        *,
        users: Int[np.ndarray, " some"],
        items: Int[np.ndarray, " others"],
        reg_item: float = REG_ITEM,
        epochs: int = EPOCHS,
    ) -> RidgeOffsets:
        """The offsets with those of some users and items anew: the minimum of the sum over them,
        where mu and all other offsets stay.

        Args:
            ratings: all ratings; users and items beyond those of these offsets begin at 0.
            users: row numbers of users.
            items: row numbers of items.
            reg_item: λ of the items' offsets.
            epochs: at most, as in `fit`.
        """
        b_user = np.zeros(ratings.n_users)
        b_item = np.zeros(ratings.n_items)
        b_user[: len(self.b_user)] = self.b_user
        b_item[: len(self.b_item)] = self.b_item
        of_users = ratings.by_user.take(users)
        of_items = ratings.by_item.take(items)

        for _ in range(epochs):
            before = b_item[items]
            b_item[items] = _residual_means(of_items, self.mu, b_user, reg=reg_item)
            b_user[users] = _residual_means(of_users, self.mu, b_item, reg=self.reg_user)
            if np.abs(b_item[items] - before).max(initial=0.0) < SETTLED:
                break

        return RidgeOffsets(self.mu, b_user, b_item, self.reg_user)

    def of_new_users(self, rows: Rows) -> Float64[np.ndarray, " people"]:
        """The offset of each new user: the shrunken mean of what the items do not explain.

        Args:
            rows: a row of item ratings for each of them.
        """
        return _residual_means(rows, self.mu, self.b_item, reg=self.reg_user)


def _residual_means(
    rows: Rows, mu: float, other: Float64[np.ndarray, " columns"], *, reg: float
) -> Float64[np.ndarray, " rows"]:
    """The offset of each row: the shrunken mean of what the columns do not explain.

    Args:
        rows: sparse rows of ratings.
        mu: the mean rating.
        other: the offset of each column.
        reg: λ.
    """
    residual = rows.value.astype(np.float64) - mu - other[rows.column]
    total = np.bincount(rows.row, weights=residual, minlength=len(rows))
    # Of no ratings at all, bincount gives integers.
    return shrunken_mean(total.astype(np.float64), rows.counts, reg=reg)


def _solve(
    train: AnyRatings, side: Side, mu: float, other: Float64[np.ndarray, " others"], reg: float
) -> Float64[np.ndarray, " rows"]:
    """The offsets of one side, given those of the other.

    Args:
        train: the ratings.
        side: whose offsets are solved for.
        mu: the mean rating.
        other: the offsets of the other side.
        reg: λ of the offsets.
    """
    count = train.count(side)
    total = np.zeros(len(count))

    for user, item, value in _cells(train):
        row, column = (item, user) if side == "item" else (user, item)
        residual = value.astype(np.float64) - mu
        unexplained = residual - other[column]
        total += np.bincount(row, weights=unexplained, minlength=len(count))

    return shrunken_mean(total, count, reg=reg)


def _cells(ratings: AnyRatings) -> Iterator[Cells]:
    """All ratings, a block of them at a time."""
    if isinstance(ratings, Ratings):
        for first in range(0, len(ratings), BLOCK_CELLS):
            part = slice(first, first + BLOCK_CELLS)
            yield ratings.user[part], ratings.item[part], ratings.value[part]
        return

    by_user = ratings.by_user

    for part in pieces(by_user.counts, rows=BLOCK_CELLS, cells=BLOCK_CELLS):
        rows = by_user.take(np.arange(part.start, part.stop))
        yield rows.row + part.start, rows.column, rows.value


def shrunken_mean(
    total: Float64[np.ndarray, " groups"], count: Int[np.ndarray, " groups"], *, reg: float
) -> Float64[np.ndarray, " groups"]:
    """The mean of each group, drawn towards 0 as if by `reg` further values of 0.

    Args:
        total: sum of each group's values.
        count: how many values each group has; 0: its mean is 0.
        reg: λ.
    """
    # An empty group with reg=0 is 0 / 1e-12, not 0 / 0.
    divisor = np.maximum(count + reg, 1e-12)
    return total / divisor
