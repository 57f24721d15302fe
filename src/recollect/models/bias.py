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
from jaxtyping import Float32, Int
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import DataError
from recollect.families.pair_model import PairModel
from recollect.memory_estimate import Memory, Shape, of_pairs
from recollect.model import Capabilities
from recollect.online.change import Change
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.training.history import History
from recollect.training.offsets import EPOCHS, REG_ITEM, REG_USER, RidgeOffsets
from recollect.unseen import default_ratings, flags_of, users_known_to


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

    def set(self, offsets: RidgeOffsets) -> None:
        """Take the mean and the offsets."""
        self.mu.fill_(offsets.mu)
        self.b_user.copy_(torch.from_numpy(offsets.b_user))
        self.b_item.copy_(torch.from_numpy(offsets.b_item))

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
    reg_user: float = setting(REG_USER, at_least=0)
    reg_item: float = setting(REG_ITEM, at_least=0)  # lambda_2: the same for an item
    # At most; it stops when no item's offset moves by more than 1e-6
    epochs: int = setting(EPOCHS, at_least=1)

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
        offsets = RidgeOffsets.fit(
            train, reg_user=self.reg_user, reg_item=self.reg_item, epochs=self.epochs
        )
        self.net_.set(offsets)

        return History()

    @property
    @override
    def updatable(self) -> Updatable:
        return Updatable(
            learns="the offsets of users and items with new ratings, as the minimum over them",
            waits="the mean, and the offsets of all other users and items",
        )

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        after = change.after
        net = Offsets(after.n_users, after.n_items).to(self.net_.mu.device)
        net.set(
            before.cold_offsets().solved_again(
                after,
                users=change.touched("user"),
                items=change.touched("item"),
                reg_item=self.reg_item,
                epochs=self.epochs,
            )
        )

        return net

    @override
    def predict_cold(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        given: AnyRatings | None = None,
    ) -> Float32[np.ndarray, " pairs"]:
        """As `Model`; whatever `cold` is, a known user with an unknown item keeps their offset."""
        given = self.given(given)
        predicted = super().predict_cold(user, item, given=given)
        known = flags_of(users_known_to(self, given), user)
        predicted[known] = default_ratings(self, user[known], item[known], given)

        return predicted

    @override
    def cold_offsets(self) -> RidgeOffsets:
        mu, b_user, b_item = self.net_.arrays()
        return RidgeOffsets(float(mu), b_user, b_item, self.reg_user)

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
        offsets = self.cold_offsets()
        b_user = offsets.of_new_users(rows)

        of_users = b_user[:, None]
        predicted = offsets.mu + of_users + offsets.b_item[None, :]

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


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {}
