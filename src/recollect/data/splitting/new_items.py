"""New-item split: some items have no rating in train."""

from __future__ import annotations

import numpy as np

from recollect.arguments import expect_ratings
from recollect.data.ratings import Ratings
from recollect.data.splitting.held_out import choose_held_out
from recollect.data.splitting.shares import Share, check_seed
from recollect.data.splitting.split import Split, split_by_part


def new_item_split(
    ratings: Ratings,
    *,
    items: Share = 0.1,
    min_ratings: int = 1,
    valid_items: Share = 0.0,
    seed: int = 0,
) -> Split:
    """Keep items out of train: all ratings of some items are test, those of others valid.

    A user who has rated held-out items only has no rating in train; `split.table()` counts these as
    `cold_users`.

    Args:
        ratings: the whole.
        items: items of test: a share of those with at least `min_ratings` ratings, or a count (an
            int).
        min_ratings: the fewest ratings of an item that may be held out.
        valid_items: items of valid, like `items`.
        seed: of the draw.

    Raises:
        SettingError: for an impossible share or count.
        DataError: if too few items have enough ratings, or train would be empty.
    """
    expect_ratings("ratings", ratings, Ratings)
    check_seed(seed)
    item_part = choose_held_out(
        ratings,
        "item",
        test=("items", items),
        valid=("valid_items", valid_items),
        min_ratings=max(min_ratings, 1),
        rng=np.random.default_rng(seed),
    )
    settings = {"items": items, "min_ratings": min_ratings, "valid_items": valid_items}
    return split_by_part(
        ratings,
        item_part[ratings.item],
        how="new items",
        seed=seed,
        settings=settings,
    )
