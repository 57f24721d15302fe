"""Density sweep: trains of growing size, each part of the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from recollect.arguments import expect_ratings
from recollect.data.ratings import Ratings
from recollect.data.splitting.covering import check_cover, cover_first
from recollect.data.splitting.shares import check_shares, shuffled
from recollect.data.splitting.split import TEST, VALID, Split, split_by_part


def density_sweep(
    ratings: Ratings,
    *,
    shares: Sequence[float] = (0.2, 0.4, 0.6, 0.8),
    seed: int = 0,
    covering: bool = True,
) -> dict[float, Split]:
    """A split for each share of train; a smaller train is part of every larger one.

    The remaining ratings are halved into valid and test.

    Args:
        ratings: the whole.
        shares: of train, in all ratings.
        seed: of the draw.
        covering: whether every user and item has a rating in every train.

    Raises:
        SettingError: for an impossible share.
        DataError: if the smallest train cannot cover all users and items, or a part would be empty.

    Source: the density experiment of Kim et al., "Convolutional Matrix Factorization", RecSys 2016.
    """
    expect_ratings("ratings", ratings, Ratings)
    order = shuffled(ratings, seed)
    n_cover = 0
    if covering:
        order, n_cover = cover_first(ratings, order)

    half = _alternating_halves(len(order))
    splits = {}

    for share in shares:
        check_shares(train=share)
        n_train = round(share * len(order))
        check_cover(
            n_cover=n_cover,
            n_train=n_train,
            n_ratings=len(order),
        )
        part = np.zeros(len(order), np.int8)
        part[order[n_train:]] = half[n_train:]
        how = f"density sweep, {share:g}"
        settings = {"share": share, "covering": covering}
        splits[share] = split_by_part(
            ratings,
            part,
            how=how,
            seed=seed,
            settings=settings,
        )

    return splits


def _alternating_halves(n: int) -> Int64[np.ndarray, " n"]:
    """VALID or TEST for each of n ratings, in turns.

    They alternate from the end, so a rating is in the same half whatever the size of train.
    """
    from_end = n - np.arange(n)
    return np.where(from_end % 2 == 0, VALID, TEST)
