"""Shares of ratings, users or items, and the order in which they are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int, Int64

from recollect.arguments import expect_number, expect_whole
from recollect.data.ratings import Ratings
from recollect.errors import SettingError

Share = float | int  # between 0 and 1; where a count is allowed too, an int of 1 or more is one


def check_shares(**shares: Share) -> None:
    """Refuse shares outside (0, 1); a share whose name begins with "valid" may be 0.

    Raises:
        SettingError: naming the share.
    """
    for name, share in shares.items():
        expect_number(name, share, "a share of the ratings, such as 0.1")
        may_be_zero = name.startswith("valid")
        if not 0 <= share < 1 or (share == 0 and not may_be_zero):
            or_zero = ", or 0 for none" if may_be_zero else ""
            raise SettingError(
                f"{name}={share} is not a share; give a number above 0 and below 1, such as "
                f"0.1{or_zero}."
            )


def check_seed(seed: Any) -> None:
    """Refuse a seed that is no whole number of 0 or more.

    Raises:
        SettingError: saying so.
    """
    expect_whole("seed", seed, at_least=0, what="where the random draw starts")


def shuffled(ratings: Ratings, seed: int) -> Int64[np.ndarray, " ratings"]:
    """The indices of the ratings in random order."""
    check_seed(seed)
    random = np.random.default_rng(seed)
    # The draw starts from the order by user and item: the order in the file does not matter.
    ordered = ratings.entry("user")
    return random.permutation(ordered)


def place_in_group(group: Int[np.ndarray, " entries"]) -> Int64[np.ndarray, " entries"]:
    """0, 1, 2, … within each run of equal numbers."""
    place = np.arange(len(group))
    differs = group[1:] != group[:-1]
    # Cut, as without entries there is no first one that begins a group.
    begins_group = np.concatenate([[True], differs])[: len(group)]
    start = np.where(begins_group, place, 0)
    start_of_group = np.maximum.accumulate(start)

    return place - start_of_group
