"""Popularity: every item's share of the users. Every other ranking must beat it.

With `half_life` h an event counts less the older it is: 2^(−(T − t) / h) at time t, where T is the
time of the newest one; a user counts as their newest event.

Source: Cremonesi, Koren, Turrin. "Performance of Recommender Algorithms on Top-N Recommendation
Tasks." RecSys 2010, section 3.1 ("TopPop").
Differs: the paper has no `half_life`, which is off by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.calendar import SECONDS
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import DataError
from recollect.families.pair_model import PairModel
from recollect.model import Capabilities
from recollect.online.change import Change
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.training.history import History


class Shares(nn.Module):
    """The network: a number per item."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.share = nn.Buffer(torch.zeros(n_items))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """The share of each item, whoever the user is."""
        return self.share[item]


@dataclass(kw_only=True, eq=False)
class Popularity(PairModel):
    """The share of the users who have an event with the item, 0 to 1."""

    # Days in which an event comes to count half; None: all events count alike
    half_life: float | None = setting(None, above=0)

    @property
    @override
    def capabilities(self) -> Capabilities:
        needs = {"events"} if self.half_life is None else {"events", "time"}
        return Capabilities(output="scores", needs=frozenset(needs), similarity=False)

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        return Shares(n_items)

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        self.net_.share.copy_(torch.from_numpy(self._shares(train)))
        return History()

    def _shares(self, events: AnyRatings) -> Float32[np.ndarray, " n_items"]:
        """The share of each item."""
        if self.half_life is not None:
            return self._decayed_shares(events, self.half_life)

        # Users whose events are all in other parts of a split do not count.
        n_users = max(1, np.count_nonzero(events.count("user")))
        share: np.ndarray = events.count("item") / n_users
        return share.astype(np.float32)

    def _decayed_shares(
        self, events: AnyRatings, half_life: float
    ) -> Float32[np.ndarray, " n_items"]:
        assert isinstance(events, Ratings)
        assert events.time is not None
        age = (events.time.max(initial=0) - events.time) / SECONDS
        weight = np.exp2(-age / half_life)
        of_items = np.bincount(events.item, weights=weight, minlength=events.n_items)
        of_users = np.zeros(events.n_users)
        np.maximum.at(of_users, events.user, weight)
        share: np.ndarray = of_items / max(of_users.sum(), 1e-12)

        return share.astype(np.float32)

    @property
    @override
    def updatable(self) -> Updatable:
        return Updatable(learns="the shares of all items", waits="", exact=True, retracts=True)

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        net = Shares(change.after.n_items)
        net.share.copy_(torch.from_numpy(self._shares(change.after)))
        return net.to(self.net_.share.device)

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        return self._scores_of_anyone(len(user))

    @override
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        return self._scores_of_anyone(len(rows))

    def _scores_of_anyone(self, n_users: int) -> Float32[np.ndarray, "users n_items"]:
        net: Shares = self.net_
        share = net.share.cpu().numpy()
        return np.tile(share, (n_users, 1))

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """None: one number has no direction.

        Raises:
            DataError: always.
        """
        raise DataError(
            "Popularity has one number per item, and so no similarity; fit a model with vectors, "
            "such as deeprec."
        )


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {}
