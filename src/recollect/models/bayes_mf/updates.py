"""BayesMF after a change of its ratings: vectors of touched rows in every draw, given all others.

They are posterior means given that draw of everything else, and no draws themselves: intervals of
their ratings are somewhat too narrow until the next fit. A day that is new has the vector of any
day without ratings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import nn

from recollect.data.calendar import SECONDS
from recollect.data.ratings import Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import NotUpdatableError
from recollect.models.bayes_mf.fold_in import FoldIn, ItemsGivenUsers
from recollect.models.bayes_mf.rated_days import day_rows, last_day_rows, rated_days
from recollect.models.bayes_mf.samples import Samples
from recollect.online.change import Change
from recollect.online.factors import due_items
from recollect.online.networks import sharing, with_rows
from recollect.online.result import Updatable

# The vectors in a draw, from the people's fold-in and their rows.
Solve = Callable[[FoldIn, Rows], Float32[np.ndarray, "rows width"]]


UPDATABLE = Updatable(
    learns="the vectors of users with new ratings and of items whose ratings have grown by 5%, in "
    "every draw",
    waits="the vectors of all others and of days, the priors and the noise; intervals of what was "
    "updated are somewhat too narrow until then",
)


def learned(model: Any, change: Change) -> Samples:
    """The draws of a BayesMF after a change.

    Args:
        model: with the new ratings and the draws before.
        change: of the ratings.

    Raises:
        NotUpdatableError: if there is a rating between the values that cut points were learned for.
    """
    if not np.array_equal(model.rating_categories(), model.net_.categories.cpu().numpy()):
        raise NotUpdatableError(
            "With the further ratings there are values that the fit did not have, and BayesMF has "
            "cut points between those that it had; fit it again with the further ratings."
        )

    net = grown(model.net_, change, rated_days(change.after))
    model.net_ = net
    learn(net, change, model.solved)

    return net


def grown(net: Samples, change: Change, days: Int64[np.ndarray, " days"]) -> Samples:
    """A copy of the draws with rows for all users, items and days after a change.

    Args:
        net: the draws.
        change: of the ratings.
        days: those with ratings after the change, counted from 1970, ascending.
    """
    copied = sharing(net)
    copied.user = nn.Buffer(with_rows(net.user, change.after.n_users, dim=1))
    copied.item = nn.Buffer(with_rows(net.item, change.after.n_items, dim=1))
    copied.item[:, torch.from_numpy(change.new("item"))] = 0
    if net.bag_vectors.shape[1]:
        copied.bag_vectors = nn.Buffer(with_rows(net.bag_vectors, change.after.n_items, dim=1))

    known = net.days.cpu().numpy()
    # A day that the draws lack has their last vector, that of any other day.
    source = np.append(day_rows(known, days * SECONDS, len(days)), len(known))
    copied.day = nn.Buffer(net.day[:, torch.from_numpy(source)])
    copied.days = nn.Buffer(torch.from_numpy(days).to(net.days.device))

    return copied


@torch.no_grad()
def learn(net: Samples, change: Change, solve: Solve) -> None:
    """Write the vectors of the users and items of a change into the draws.

    Args:
        net: the draws, with rows for all.
        change: of the ratings.
        solve: the vectors in a draw.
    """
    after = change.after
    day = day_rows(net.days.cpu().numpy(), after.time, len(after))
    users = change.touched("user")
    items = due_items(change)
    is_known = change.count_before("item") > 0

    turns: tuple[tuple[Side, np.ndarray], ...] = (("user", users), ("item", items), ("user", users))

    for side, rows in turns:
        sides = net if side == "user" else ItemsGivenUsers(net, is_known)
        _solve_rows(sides, after, side, rows, day, solve, n_drawn=int(net.n_drawn))

    last = last_day_rows(after.user, day, n_users=after.n_users, unknown=len(net.days))
    net.last_day = nn.Buffer(torch.from_numpy(last).to(net.days.device))


def _solve_rows(
    sides: Samples | ItemsGivenUsers,
    ratings: Ratings,
    side: Side,
    rows: Int64[np.ndarray, " rows"],
    day: Int64[np.ndarray, " ratings"],
    solve: Solve,
    *,
    n_drawn: int,
) -> None:
    """Write the vectors of some rows, whose side `sides` calls "user", into every draw.

    Args:
        sides: the draws, with the sides exchanged for items.
        ratings: all ratings.
        side: whose rows.
        rows: their numbers.
        day: a row of `sides.day` for each rating.
        solve: the vectors in a draw.
        n_drawn: draws.
    """
    if not len(rows):
        return

    every = ratings.rows(side)
    cells = every.take(rows)
    place = np.concatenate([np.arange(every.start[row], every.start[row + 1]) for row in rows])
    of_cells = day[ratings.entry(side)[place]]
    index = torch.from_numpy(rows)

    for s in range(n_drawn):
        vectors = solve(FoldIn(sides, cells, s, of_cells), cells)
        sides.user[s, index] = torch.from_numpy(vectors).to(sides.user)
