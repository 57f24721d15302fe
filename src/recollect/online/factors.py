"""Rows of factors after a change: ridge regressions on the factors of the other side.

A user with a new rating is solved for at once. An item with many ratings hardly moves by one more,
and solving costs as much as it has ratings: it is solved for when their number has passed a power
of `GROWTH`, so that an event costs O(k²) on average. Below `1 / (GROWTH − 1)` ratings every one
counts.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor, nn

from recollect.data.ratings import Ratings, Side
from recollect.kernels import Block
from recollect.nn import Factors
from recollect.online.change import Change
from recollect.online.networks import sharing, with_rows
from recollect.training.als import solve_factors

GROWTH = 1.05

AnyFactors = TypeVar("AnyFactors", bound=Factors)


def is_due(
    before: Int[np.ndarray, " rows"], after: Int[np.ndarray, " rows"]
) -> Bool[np.ndarray, " rows"]:
    """Whether rows with so many ratings before and after a change are to be solved for.

    Args:
        before: number of ratings before.
        after: number of ratings after.
    """
    return _power(before) != _power(after)


def _power(count: Int[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
    """The power of GROWTH that a count has reached; each count its own while they are small."""
    few = round(1 / (GROWTH - 1))
    count = np.asarray(count, np.int64)
    ratio = np.maximum(count, few) / few
    steps = np.floor(np.log(ratio) / np.log(GROWTH)).astype(np.int64)

    return np.where(count < few, count - few, steps)


def due_items(change: Change) -> Int64[np.ndarray, " items"]:
    """The touched items that are to be solved for."""
    items = change.touched("item")
    count = change.after.count("item")[items]
    return items[is_due(change.count_before("item")[items], count)]


def grown(net: AnyFactors, change: Change) -> AnyFactors:
    """A copy of a network of factors with rows for all users and items after a change.

    Those of users and items that had no rating are 0, whatever they were drawn as.
    """
    copied = sharing(net)
    copied.user = nn.Buffer(with_rows(net.user, change.after.n_users))
    copied.item = nn.Buffer(with_rows(net.item, change.after.n_items))
    copied.user[torch.from_numpy(change.new("user"))] = 0
    copied.item[torch.from_numpy(change.new("item"))] = 0

    return copied


@torch.no_grad()
def solve_rows(
    net: Factors,
    ratings: Ratings,
    side: Side,
    rows: Int64[np.ndarray, " rows"],
    *,
    reg: Float[Tensor, " all_rows"],
    absent_weight: float = 0.0,
    prior_mean: Float[Tensor, "all_rows k"] | None = None,
) -> None:
    """Write the factors of some rows into a network: ridge regressions on those of the other side.

    Args:
        net: a network whose rows may be written into.
        ratings: all ratings.
        side: whose rows.
        rows: their numbers.
        reg: λ of every row of this side.
        absent_weight: weight of every pair without a rating, whose value is taken to be 0.
        prior_mean: what each row of this side is drawn towards; None: 0.
    """
    if not len(rows):
        return

    factors = net.user if side == "user" else net.item
    index = torch.as_tensor(rows, device=factors.device)
    factors[index] = solve_factors(
        net,
        Block.of(ratings.rows(side).take(rows), factors.device),
        "item" if side == "user" else "user",
        reg=reg.to(factors.device)[index],
        absent_weight=absent_weight,
        prior_mean=None if prior_mean is None else prior_mean[index],
    )
