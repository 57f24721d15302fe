"""What columns of ratings must be: equally long, known, finite, on the scale, each pair once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from recollect.data.vocab import check_rows
from recollect.errors import DataError

if TYPE_CHECKING:
    from recollect.data.ratings import Ratings


def check_columns(ratings: Ratings) -> None:
    """Refuse columns that are no ratings.

    Raises:
        DataError: as `Ratings`.
    """
    _check_lengths(ratings)
    if len(ratings):
        check_rows("user", ratings.user, ratings.users)
        check_rows("item", ratings.item, ratings.items)
        _check_values(ratings)
        _check_pairs(ratings)


def _check_lengths(ratings: Ratings) -> None:
    columns = {"user": ratings.user, "item": ratings.item, "value": ratings.value}
    lengths = {name: len(column) for name, column in columns.items()}
    if ratings.time is not None:
        lengths["time"] = len(ratings.time)

    if len(set(lengths.values())) > 1:
        raise DataError(f"The columns of a ratings table must be equally long, found {lengths}.")


def _check_values(ratings: Ratings) -> None:
    is_bad = ~np.isfinite(ratings.value)
    if is_bad.any():
        raise DataError(
            f"{is_bad.sum()} ratings are NaN or infinite, the first "
            f"{_pair_in_words(ratings, is_bad)}; "
            "remove them, or leave out the row: an absent pair is unknown."
        )

    low, high = ratings.scale
    lowest, highest = ratings.value.min(), ratings.value.max()
    if lowest < np.float32(low) or highest > np.float32(high):
        raise DataError(
            f"Ratings run from {lowest:g} to {highest:g}, outside the stated scale {low:g} to "
            f"{high:g}; state the scale that the ratings have."
        )

    if ratings.implicit and lowest <= 0:
        is_bad = ratings.value <= 0
        raise DataError(
            f"{is_bad.sum()} counts of events are not above 0, the first "
            f"{_pair_in_words(ratings, is_bad)}; leave the rows out: a pair without an event is "
            "absent."
        )


def _check_pairs(ratings: Ratings) -> None:
    pair = ratings.pair
    pair.sort()
    n_repeated = int((pair[1:] == pair[:-1]).sum())
    if n_repeated:
        raise DataError(
            f"{n_repeated} pairs stand more than once; `recollect.read` and `from_frame` keep "
            "the last of each."
        )


def _pair_in_words(ratings: Ratings, mask: Bool[np.ndarray, " ratings"]) -> str:
    """The user and the item of the first rating that the mask selects, for messages."""
    first = int(mask.argmax())
    user = int(ratings.user[first])
    item = int(ratings.item[first])
    [user_id] = ratings.users.at([user])
    [item_id] = ratings.items.at([item])
    return f"by user {user_id!r} of item {item_id!r}"
