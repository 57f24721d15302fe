"""UsersAsRows: a user is the row of what they gave, and nothing else is kept of them.

New ratings or events, and new users, count at once, without learning. A concrete model writes
`fold_in`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64
from typing_extensions import override

from recollect.data.ratings import AnyRatings
from recollect.model import Model
from recollect.unseen import predict_new_users, usable_rows_of


@dataclass(kw_only=True, eq=False)
class UsersAsRows(Model):
    """A model that answers for known users as for new ones: from their row."""

    @override
    def needs_fold_in(self, user: Int[np.ndarray, " users"]) -> Bool[np.ndarray, " users"]:
        # A new user is a row like any other.
        return np.zeros(len(user), bool)

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        return self.fold_in(usable_rows_of(self, given, user))

    @override
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        return predict_new_users(self, user, item, given)
