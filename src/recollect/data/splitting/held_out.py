"""The choice of the users or items that are kept out of train altogether."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int8

from recollect.data.ratings import Ratings, Side
from recollect.data.splitting.shares import Share, check_shares
from recollect.data.splitting.split import TEST, TRAIN, VALID
from recollect.errors import DataError


def choose_held_out(
    ratings: Ratings,
    side: Side,
    *,
    test: tuple[str, Share],
    valid: tuple[str, Share],
    min_ratings: int,
    rng: np.random.Generator,
) -> Int8[np.ndarray, " rows"]:
    """The part of each user or item: TEST or VALID if it is held out, else TRAIN.

    Args:
        ratings: the whole.
        side: "user" or "item".
        test: name and value of the setting for test: a share of those with enough ratings, or a
            count.
        valid: the same for validation.
        min_ratings: the fewest ratings of a user or item that may be held out.
        rng: draws them.

    Raises:
        SettingError: for an impossible share.
        DataError: if too few users or items have enough ratings.
    """
    count = ratings.count(side)
    eligible = rng.permutation(np.flatnonzero(count >= min_ratings))
    part = np.full(len(count), TRAIN, np.int8)
    n_taken = 0

    for code, (name, amount) in ((TEST, test), (VALID, valid)):
        n = _n_rows(name, amount, len(eligible))
        if n < 0 or (amount and not n) or n_taken + n > len(eligible):
            hint = " or given" if side == "user" else ""
            raise DataError(
                f"{name}={amount} asks for {n} {side}s besides {n_taken}, but {len(eligible)} "
                f"{side}s have the "
                f"{min_ratings} ratings or more that this needs; ask for fewer, or lower "
                f"min_ratings{hint}."
            )

        part[eligible[n_taken : n_taken + n]] = code
        n_taken += n

    return part


def _n_rows(name: str, amount: Share, n_eligible: int) -> int:
    """The number of users or items: a share (a float) of the eligible, or a count (an int)."""
    if isinstance(amount, float):
        check_shares(**{name: amount})
        return round(amount * n_eligible)

    if amount < 1:
        check_shares(**{name: amount})

    return amount
