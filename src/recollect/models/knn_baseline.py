"""KNNBaseline: what someone gave to similar items, beyond what the offsets explain.

    b_ui  = mu + b_u + b_i,                e_ui = r_ui − b_ui
    ρ_ij  = Σ e_ui e_uj / √(Σ e_ui² Σ e_uj²)       over the n_ij users who rated both
    s_ij  = n_ij / (n_ij + shrinkage) · ρ_ij
    r̂_ui  = b_ui + Σ s_ij e_uj / (reg + Σ s_ij)    over the k items j that u rated, nearest to i

Source: Koren. "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering." ACM TKDD
    4(1), 2010, section 2.2 (equations 2 to 4).
Differs: only items with a positive s_ij count, and of each item the `pool` nearest are kept;
    `reg` draws the mean of few or distant neighbors towards the baseline, as Bell and Koren (ICDM
    2007) do with interpolation weights. A user's offset is that of their row, new users' alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int, Int32, Int64
from torch import nn
from torch.nn import functional
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.families.users_as_rows import UsersAsRows
from recollect.families.vectors import written_out
from recollect.kernels.rating_neighbors import correlate, deviations
from recollect.memory_estimate import Memory, Shape, of_pairs
from recollect.online.change import Change
from recollect.online.networks import sharing, with_rows
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.training.history import History
from recollect.training.offsets import REG_ITEM, REG_USER, RidgeOffsets
from recollect.unseen import usable_rows_of


class RatingNeighbors(nn.Module):
    """The network: offsets in 64 bits, and of each item its nearest items, the nearest first."""

    def __init__(self, n_users: int, n_items: int, most: int) -> None:
        super().__init__()
        self.mu = nn.Buffer(torch.zeros((), dtype=torch.float64))
        self.b_user = nn.Buffer(torch.zeros(n_users, dtype=torch.float64))
        self.b_item = nn.Buffer(torch.zeros(n_items, dtype=torch.float64))
        self.neighbor = nn.Buffer(torch.full((n_items, most), -1, dtype=torch.int32))  # -1 pads
        self.similarity = nn.Buffer(torch.zeros(n_items, most))

    def set_offsets(self, offsets: RidgeOffsets) -> None:
        """Take mu, b_user and b_item in place of those before."""
        self.mu = nn.Buffer(torch.tensor(offsets.mu, dtype=torch.float64))
        self.b_user = nn.Buffer(torch.from_numpy(offsets.b_user))
        self.b_item = nn.Buffer(torch.from_numpy(offsets.b_item))

    def offsets(self, reg_user: float) -> RidgeOffsets:
        """mu, b_user and b_item, with the λ of later users."""
        arrays = (self.b_user.cpu().numpy(), self.b_item.cpu().numpy())
        return RidgeOffsets(float(self.mu), *arrays, reg_user)


@dataclass(kw_only=True, eq=False)
class KNNBaseline(UsersAsRows):
    """The k items nearest to an item among those that a user has rated, beyond the offsets."""

    refit: bool = True
    neighbors: int = setting(20, at_least=1)  # k
    shrinkage: float = setting(100.0, at_least=0)  # lambda_2: of a correlation, in shared users
    # What is added to the similarities of a mean; 0: the mean of a single neighbor counts fully
    reg: float = setting(0.2, at_least=0)
    pool: int = setting(500, at_least=1)  # of each item, how many of the nearest are kept
    reg_user: float = setting(REG_USER, at_least=0)  # lambda of a user's offset
    reg_item: float = setting(REG_ITEM, at_least=0)  # lambda of an item's offset

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        most = min(self.pool, shape.n_items)
        of_offsets = 16 * (shape.n_users + shape.n_items)
        return of_pairs(
            shape,
            parameters=of_offsets + 2 * 8 * most * shape.n_items,
            bytes_per_rating=64,
        )

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        return RatingNeighbors(n_users, n_items, min(self.pool, n_items))

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        assert isinstance(train, Ratings)
        net: RatingNeighbors = self.net_
        offsets = RidgeOffsets.fit(train, reg_user=self.reg_user, reg_item=self.reg_item)
        neighbor, similarity = correlate(
            beyond_offsets(train.by_item, offsets.b_item, offsets.b_user, offsets.mu),
            beyond_offsets(train.by_user, offsets.b_user, offsets.b_item, offsets.mu),
            shrinkage=self.shrinkage,
            most=net.neighbor.shape[1],
        )
        net.set_offsets(offsets)
        net.neighbor.copy_(torch.from_numpy(neighbor))
        net.similarity.copy_(torch.from_numpy(similarity))

        return History()

    @property
    @override
    def updatable(self) -> Updatable:
        return Updatable(
            learns="the rows of users, from which predictions are computed, and the offsets of "
            "users and items with new ratings",
            waits="the neighbors of items; a new item has none and gets its offset alone",
        )

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        net = sharing(self.net_)
        n_items = change.after.n_items
        n_new = n_items - len(net.neighbor)
        net.similarity = nn.Buffer(with_rows(net.similarity, n_items))
        net.neighbor = nn.Buffer(functional.pad(net.neighbor, (0, 0, 0, n_new), value=-1))
        touched = {"users": change.touched("user"), "items": change.touched("item")}
        offsets = before.cold_offsets()
        net.set_offsets(offsets.solved_again(change.after, **touched, reg_item=self.reg_item))

        return net

    @override
    def cold_offsets(self) -> RidgeOffsets:
        return self.net_.offsets(self.reg_user)

    @override
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        n_people, n_items = len(rows), rows.n_columns
        start = np.arange(n_people + 1) * n_items
        item = np.tile(np.arange(n_items, dtype=np.int32), n_people)

        return self._complete(rows, start, item).reshape(n_people, n_items)

    @override
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        people, person = np.unique(user, return_inverse=True)
        rows = usable_rows_of(self, given, people)
        order = np.argsort(person, kind="stable")
        start = np.searchsorted(person[order], np.arange(len(people) + 1))
        out = np.empty(len(user), np.float32)
        out[order] = self._complete(rows, start, item[order].astype(np.int32))

        return out

    def _complete(
        self,
        rows: Rows,
        start: Int64[np.ndarray, " people_and_one"],
        item: Int32[np.ndarray, " wanted"],
    ) -> Float32[np.ndarray, " wanted"]:
        """Raw predictions of wanted items.

        Args:
            rows: the ratings of each person.
            start: the first wanted item of each person.
            item: the wanted items, person by person.
        """
        offsets = self.cold_offsets()
        b_people = offsets.of_new_users(rows)
        beyond = deviations(
            beyond_offsets(rows, b_people, offsets.b_item, offsets.mu),
            (start, item),
            self.net_.neighbor.cpu().numpy(),
            self.net_.similarity.cpu().numpy(),
            k=self.neighbors,
            reg=self.reg,
        )
        of_people = np.repeat(b_people, np.diff(start))
        predicted = offsets.mu + of_people + offsets.b_item[item] + beyond

        return predicted.astype(np.float32)

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The rows of what the offsets leave of users' or items' ratings, 0 where there is none.

        Raises:
            SizeError: if all of them, written out, would take more than 2 GB.
        """
        given = self.given_
        assert isinstance(given, Ratings)
        offsets = self.cold_offsets()
        own, other = offsets.b_user, offsets.b_item
        if side == "item":
            own, other = other, own

        rest = beyond_offsets(given.rows(side), own, other, offsets.mu)

        return written_out(rest, side, "ratings")


def beyond_offsets(
    rows: Rows,
    of_rows: Float64[np.ndarray, " rows"],
    of_columns: Float64[np.ndarray, " columns"],
    mu: float,
) -> Rows:
    """The rows less mu and the offsets of row and column.

    Args:
        rows: of ratings.
        of_rows: the offset of each row.
        of_columns: the offset of each column.
        mu: the mean.
    """
    explained = mu + of_rows[rows.row] + of_columns[rows.column]
    return replace(rows, value=(rows.value - explained).astype(np.float32))


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {"neighbors": 10, "shrinkage": 2.0, "pool": 20}
