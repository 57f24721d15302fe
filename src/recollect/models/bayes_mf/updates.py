"""BayesMF after a change of its ratings: vectors of touched rows in every draw, given all others.

They are posterior means given that draw of everything else, and no draws themselves: intervals of
their ratings are somewhat too narrow until the next fit. A day that is new has the
vector of any day without ratings.
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
from recollect.models.bayes_mf.moments import Days, Moments
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
    waits="the vectors of all others and of moments, the priors and the noise; intervals of what "
    "was updated are somewhat too narrow until then",
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

    moments = model.moments()
    net = grown(model.net_, change, moments)
    model.net_ = net
    learn(net, change, moments, model.solved)

    return net


def grown(net: Samples, change: Change, moments: Moments) -> Samples:
    """A copy of the draws with rows for all users, items and moments after a change.

    Args:
        net: the draws.
        change: of the ratings.
        moments: those after the change.
    """
    copied = sharing(net)
    copied.user = nn.Buffer(with_rows(net.user, change.after.n_users, dim=1))
    copied.item = nn.Buffer(with_rows(net.item, change.after.n_items, dim=1))
    copied.item[:, torch.from_numpy(change.new("item"))] = 0
    if net.bag_vectors.shape[1]:
        copied.bag_vectors = nn.Buffer(with_rows(net.bag_vectors, change.after.n_items, dim=1))

    if isinstance(moments, Days):
        known = Days(net.moment_numbers.cpu().numpy())
        # A day that the draws lack has their last vector, that of any other day.
        of_days = known.rows(np.zeros(len(moments), np.int64), moments.days * SECONDS)
        source = np.append(of_days, len(known))
        copied.moment = nn.Buffer(net.moment[:, torch.from_numpy(source)])
        numbers = torch.from_numpy(moments.numbers)
        copied.moment_numbers = nn.Buffer(numbers.to(net.moment_numbers.device))

    return copied


@torch.no_grad()
def learn(net: Samples, change: Change, moments: Moments, solve: Solve) -> None:
    """Write the vectors of the users and items of a change into the draws.

    Args:
        net: the draws, with rows for all.
        change: of the ratings.
        moments: those after the change.
        solve: the vectors in a draw.
    """
    after = change.after
    moment = np.full(len(after), len(moments))
    if after.time is not None:
        moment = moments.rows(after.user, after.time)

    users = change.touched("user")
    items = due_items(change)
    is_known = change.count_before("item") > 0

    turns: tuple[tuple[Side, np.ndarray], ...] = (("user", users), ("item", items), ("user", users))

    for side, rows in turns:
        sides = net if side == "user" else ItemsGivenUsers(net, is_known)
        _solve_rows(sides, after, side, rows, moment, solve, n_drawn=int(net.n_drawn))

    latest = torch.from_numpy(moments.latest(after))
    net.last_moment = nn.Buffer(latest.to(net.last_moment.device))


def _solve_rows(
    sides: Samples | ItemsGivenUsers,
    ratings: Ratings,
    side: Side,
    rows: Int64[np.ndarray, " rows"],
    moment: Int64[np.ndarray, " ratings"],
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
        moment: a row of `sides.moment` for each rating.
        solve: the vectors in a draw.
        n_drawn: draws.
    """
    if not len(rows):
        return

    every = ratings.rows(side)
    cells = every.take(rows)
    place = np.concatenate([np.arange(every.start[row], every.start[row + 1]) for row in rows])
    of_cells = moment[ratings.entry(side)[place]]
    index = torch.from_numpy(rows)

    for s in range(n_drawn):
        vectors = solve(FoldIn(sides, cells, s, of_cells), cells)
        sides.user[s, index] = torch.from_numpy(vectors).to(sides.user)
