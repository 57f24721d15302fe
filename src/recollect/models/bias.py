"""Bias: the mean, plus what is particular to the user and to the item. The model that every other must beat.

Source: Koren, Bell. "Advances in Collaborative Filtering." Recommender Systems Handbook, 2011, section 3.2.1.
Differs: the offsets are solved in turn until they settle (the ridge problem's own solution), instead of one pass over
items and then users.
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
from recollect.errors import DataError, SettingError
from recollect.memory_estimate import Memory, Shape, of_pairs
from recollect.model import PairModel
from recollect.run import Run
from recollect.training.history import History


class Offsets(nn.Module):
    """mu + b_user + b_item."""

    def __init__(self, n_users: int, n_items: int) -> None:
        super().__init__()
        self.mu = nn.Buffer(torch.zeros((), dtype=torch.float64))
        self.b_user = nn.Buffer(torch.zeros(n_users, dtype=torch.float64))
        self.b_item = nn.Buffer(torch.zeros(n_items, dtype=torch.float64))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """The rating of each pair."""
        return (self.mu + self.b_user[user] + self.b_item[item]).float()


@dataclass(kw_only=True, eq=False)
class Bias(PairModel):
    """mu + b_u + b_i; the offsets minimize Σ (r − mu − b_u − b_i)² + reg_user Σ b_u² + reg_item Σ b_i²."""

    reg_user: float = 5.0  # lambda_3: as many ratings' worth of doubt about a user; chosen on validation, MovieLens 1M
    reg_item: float = 2.5  # lambda_2: the same for an item
    epochs: int = 20  # turns at most; it stops when nothing moves by more than 1e-6

    def check(self) -> None:
        """Refuse negative doubts and no turns."""
        if self.epochs < 1:
            raise SettingError(f"epochs must be 1 or more, found {self.epochs}.")
        if min(self.reg_user, self.reg_item) < 0:
            raise SettingError(
                f"reg_user and reg_item are 0 or more, found {self.reg_user} and {self.reg_item}."
            )

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """Offsets of zero."""
        return Offsets(n_users, n_items)

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model; the offsets and what is left over of each rating are in 64 bits."""
        return of_pairs(shape, parameters=16 * (shape.n_users + shape.n_items), bytes_per_rating=40)

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Solve for users and items in turn."""
        assert isinstance(train, Ratings)  # fit refuses others: it does not stream
        mu = train.mean
        b_user, b_item = np.zeros(train.n_users), np.zeros(train.n_items)
        rest = train.value.astype(np.float64) - mu
        for _ in range(self.epochs):
            before = b_item
            b_item = shrunken_mean(
                train.item, rest - b_user[train.user], train.n_items, self.reg_item
            )
            b_user = shrunken_mean(
                train.user, rest - b_item[train.item], train.n_users, self.reg_user
            )
            if np.abs(b_item - before).max() < 1e-6:
                break
        self.net_.load_state_dict(
            {
                "mu": torch.tensor(mu, dtype=torch.float64),
                "b_user": torch.from_numpy(b_user),
                "b_item": torch.from_numpy(b_item),
            }
        )
        return History()

    def is_cold(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        given: AnyRatings | None = None,
    ) -> Bool[np.ndarray, " pairs"]:
        """See Model. An item that nobody rated is no reason: there is still the user's offset."""
        known = np.flatnonzero(self.known_items())[0]
        return super().is_cold(user, np.where(np.asarray(item) < 0, -1, known), given=given)

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        mu, b_user, b_item = (
            x.cpu().numpy() for x in (self.net_.mu, self.net_.b_user, self.net_.b_item)
        )
        return (mu + b_user[user, None] + b_item[None, :]).astype(np.float32)

    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """See Model. Their offset is the shrunken mean of what their ratings leave over."""
        mu, b_item = (x.cpu().numpy() for x in (self.net_.mu, self.net_.b_item))
        rest = rows.value - mu - b_item[rows.column]
        b_user = shrunken_mean(rows.row, rest, len(rows), self.reg_user)
        return (mu + b_user[:, None] + b_item[None, :]).astype(np.float32)

    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """See Model.

        Raises: DataError always: an offset has no direction.
        """
        raise DataError(
            "Bias knows one number per user and item and so no likeness; fit a model with vectors, such as "
            "autorec."
        )


def shrunken_mean(
    group: np.ndarray, value: np.ndarray, n_groups: int, reg: float
) -> Float64[np.ndarray, " groups"]:
    """The mean of each group, drawn towards 0 as by `reg` further values of 0; 0 for an empty group."""
    sums = np.bincount(group, weights=value, minlength=n_groups)
    return sums / np.maximum(np.bincount(group, minlength=n_groups) + reg, 1e-12)


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {}
