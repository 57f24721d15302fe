"""A validation part for a fit whose test ratings are elsewhere, or not needed."""

from __future__ import annotations

from recollect.arguments import expect_ratings
from recollect.data.ratings import Ratings
from recollect.data.splitting.shares import Share, check_shares, shuffled


def hold_out_validation(
    ratings: Ratings, *, valid: Share = 0.05, seed: int = 0
) -> tuple[Ratings, Ratings | None]:
    """Training and validation ratings, drawn at random; `random_split` draws a test part as well.

    Args:
        ratings: the whole.
        valid: share of validation ratings, at least one of them; 0: none.
        seed: of the draw.

    Raises:
        SettingError: for an impossible share.
    """
    expect_ratings("ratings", ratings, Ratings)
    check_shares(valid=valid)
    if not valid:
        return ratings, None

    order = shuffled(ratings, seed)
    n_valid = max(1, round(valid * len(order)))
    train = ratings.where(order[n_valid:], name=f"{ratings.name} train")

    return train, ratings.where(order[:n_valid], name=f"{ratings.name} valid")
