"""Bias: the mean, an offset of the user and an offset of the item. Every other model must beat it.

    Σ (r − mu − b_u − b_i)²  +  reg_user Σ b_u²  +  reg_item Σ b_i²  → min

Source: Koren, Bell. "Advances in Collaborative Filtering." Recommender Systems Handbook, 2011,
section 3.2.1.
Differs: the offsets of users and items are solved in turn until they settle, which is the minimum
of the sum above, instead of in one pass over items and then users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import DataError
from recollect.families.pair_model import PairModel
from recollect.memory_estimate import Memory, Shape, of_pairs
from recollect.model import Capabilities
from recollect.run import Run
from recollect.settings import setting
from recollect.training.history import History

SETTLED = 1e-6  # rating points


class Offsets(nn.Module):
    """The network: mu + b_user + b_item, in 64 bits."""

    def __init__(self, n_users: int, n_items: int) -> None:
        super().__init__()
        mu = torch.zeros((), dtype=torch.float64)
        b_user = torch.zeros(n_users, dtype=torch.float64)
        b_item = torch.zeros(n_items, dtype=torch.float64)

        self.mu = nn.Buffer(mu)
        self.b_user = nn.Buffer(b_user)
        self.b_item = nn.Buffer(b_item)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """The rating of each pair."""
        b_user = self.b_user[user]
        b_item = self.b_item[item]
        predicted = self.mu + b_user + b_item
        return predicted.float()

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """mu, b_user and b_item."""
        mu = self.mu.cpu().numpy()
        b_user = self.b_user.cpu().numpy()
        b_item = self.b_item.cpu().numpy()
        return mu, b_user, b_item


@dataclass(kw_only=True, eq=False)
class Bias(PairModel):
    """mu + b_u + b_i; each offset is the mean of what the others leave, drawn towards 0."""

    # lambda_3: weighs as much as this many ratings at the mean; chosen on validation, MovieLens 1M
    reg_user: float = setting(5.0, at_least=0)
    reg_item: float = setting(2.5, at_least=0)  # lambda_2: the same for an item
    # At most; it stops when no item's offset moves by more than 1e-6
    epochs: int = setting(20, at_least=1)

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(similarity=False)

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        return Offsets(n_users, n_items)

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        rows = shape.n_users + shape.n_items
        # An offset is in 64 bits, and exists in the network and in NumPy.
        parameters = 16 * rows
        return of_pairs(shape, parameters=parameters, bytes_per_rating=40)

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        assert isinstance(train, Ratings)  # fit refuses others: it does not stream
        residual = train.value.astype(np.float64) - train.mean
        b_user = np.zeros(train.n_users)
        b_item = np.zeros(train.n_items)

        for _ in range(self.epochs):
            before = b_item
            # Items first, as in the book.
            without_user = residual - b_user[train.user]
            b_item = shrunken_mean(
                train.item, without_user, n_groups=train.n_items, reg=self.reg_item
            )

            without_item = residual - b_item[train.item]
            b_user = shrunken_mean(
                train.user, without_item, n_groups=train.n_users, reg=self.reg_user
            )

            largest_change = np.abs(b_item - before).max()
            if largest_change < SETTLED:
                break

        net: Offsets = self.net_
        net.mu.fill_(train.mean)
        net.b_user.copy_(torch.from_numpy(b_user))
        net.b_item.copy_(torch.from_numpy(b_item))

        return History()

    @override
    def is_cold(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        given: AnyRatings | None = None,
    ) -> Bool[np.ndarray, " pairs"]:
        """As `Model`, but an item without ratings is not cold: the user's offset remains."""
        # Any item with ratings will do in place of a known one; −1 stays the unknown item.
        rated_item = np.flatnonzero(self.known_items())[0]
        is_unknown = np.asarray(item) < 0
        item = np.where(is_unknown, -1, rated_item)
        return super().is_cold(user, item, given=given)

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        mu, b_user, b_item = self.net_.arrays()
        of_users = b_user[user, None]
        scores = mu + of_users + b_item[None, :]
        return scores.astype(np.float32)

    @override
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """Raw predictions for new users, whose offset is the shrunken mean of their residuals."""
        mu, _, b_item = self.net_.arrays()
        of_items = b_item[rows.column]
        residual = rows.value - mu - of_items
        b_user = shrunken_mean(rows.row, residual, n_groups=len(rows), reg=self.reg_user)

        of_users = b_user[:, None]
        predicted = mu + of_users + b_item[None, :]

        return predicted.astype(np.float32)

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """None: one number has no direction.

        Raises:
            DataError: always.
        """
        raise DataError(
            "Bias has one number per user and item, and so no similarity; fit a model with "
            "vectors, such as autorec."
        )


def shrunken_mean(
    group: Int[np.ndarray, " values"], value: np.ndarray, *, n_groups: int, reg: float
) -> Float64[np.ndarray, " groups"]:
    """The mean of each group, drawn towards 0 as if by `reg` further values of 0; 0 for an empty
    group.

    Args:
        group: which group each value belongs to.
        value: the values.
        n_groups: number of groups.
        reg: λ.
    """
    total = np.bincount(group, weights=value, minlength=n_groups)
    count = np.bincount(group, minlength=n_groups)
    # An empty group with reg=0 is 0 / 1e-12, not 0 / 0.
    divisor = np.maximum(count + reg, 1e-12)
    return total / divisor


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {}
