"""Popularity: every item's share of the users, the same for everyone. The ranking that every other must beat.

Source: Cremonesi, Koren, Turrin. "Performance of Recommender Algorithms on Top-N Recommendation Tasks." RecSys 2010, section 3.1
("TopPop").
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
from recollect.model import Capabilities, PairModel
from recollect.run import Run
from recollect.training.history import History


class Shares(nn.Module):
    """A number per item."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.share = nn.Buffer(torch.zeros(n_items))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """The item's, whoever the user is."""
        return self.share[item]


@dataclass(kw_only=True, eq=False)
class Popularity(PairModel):
    """The share of the users who have an event with the item, 0 to 1. Counts beyond the first are of no account."""

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(output="scores", needs=frozenset({"events"}))

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """Shares of 0."""
        return Shares(n_items)

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Count users."""
        share = train.count("item") / np.count_nonzero(train.count("user"))
        self.net_.load_state_dict({"share": torch.tensor(share, dtype=torch.float32)})
        return History()

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        """See Model."""
        return np.tile(self._share, (len(user), 1))

    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """See Model. What someone has makes no difference."""
        return np.tile(self._share, (len(rows), 1))

    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """See Model.

        Raises: DataError always: a share has no direction.
        """
        raise DataError(
            "Popularity knows one number per item and so no likeness; fit a model with vectors, such as deeprec."
        )

    @property
    def _share(self) -> Float32[np.ndarray, " n_items"]:
        return self.net_.share.cpu().numpy()


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {}
