"""Planted ratings item by item, a few million at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from recollect.data.sources.planted import drawing
from recollect.data.sources.planted.truth import Truth, draw_truth
from recollect.data.sparse_rows import pieces
from recollect.errors import SettingError


@dataclass(frozen=True, eq=False)
class Block:
    """All planted ratings of the items `first` … `first + len(counts) - 1`, item by item."""

    first: int
    counts: Int64[np.ndarray, " items"]  # ratings of each item
    user: Int64[np.ndarray, " ratings"]
    value: Float32[np.ndarray, " ratings"]


def planted_by_item(
    n_users: int,
    n_items: int,
    n_ratings: int,
    *,
    rank: int = 2,
    noise: int | float = 0.8,
    seed: int = 0,
    popularity: int | float = 1.2,
    activity: int | float = 1.0,
) -> Iterator[Block]:
    """Planted ratings, 1 to 5 in whole steps, item by item and a few million at a time.

    Memory grows with users and items only. Users are drawn for items: each item has a rating, a
    user may have none.

    Args:
        n_users: how many users.
        n_items: how many items.
        n_ratings: how many ratings.
        rank: the number of factors.
        noise: standard deviation around the truth.
        seed: of all draws.
        popularity: the exponent with which items' ratings fall from the first to the last.
        activity: the same of the draws of users.

    Raises:
        SettingError: if there are more ratings than pairs or fewer than items.
    """
    _check_size(n_users, n_items, n_ratings)

    random = np.random.default_rng(seed)
    truth = draw_truth(
        n_users,
        n_items,
        rank=rank,
        noise=float(noise),
        scale=(1.0, 5.0),
        step=1.0,
        random=random,
    )
    counts = drawing.draw_counts(
        n_items,
        n_users,
        n_ratings,
        exponent=float(popularity),
        random=random,
    )
    weight = random.permutation(drawing.long_tail(n_users, float(activity)))

    return _blocks(counts, weight, truth, random)


def _blocks(
    counts: Int64[np.ndarray, " n_items"],
    weight: Float64[np.ndarray, " n_users"],
    truth: Truth,
    random: np.random.Generator,
) -> Iterator[Block]:
    """The ratings of a few items at a time; drawn when a block is wanted, to bound memory."""
    for part in pieces(counts, rows=len(counts), cells=drawing.BLOCK):
        counts_of_part = counts[part]
        user = drawing.draw_columns(counts_of_part, weight, random)
        user = user.astype(np.int64)
        items = np.arange(part.start, part.stop)
        item = np.repeat(items, counts_of_part)
        value = truth.draw(user, item, random)
        yield Block(part.start, counts_of_part, user, value)


def _check_size(n_users: int, n_items: int, n_ratings: int) -> None:
    n_pairs = n_users * n_items
    if not (n_users > 0 and 0 < n_items <= n_ratings <= n_pairs):
        raise SettingError(
            f"{n_ratings:,} ratings of {n_items:,} items by {n_users:,} users cannot be made; "
            f"expected {n_items:,}, one an item, to users × items = {n_pairs:,}."
        )
