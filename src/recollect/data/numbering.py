"""Ratings under the row numbers of others that they go with."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Int32

from recollect.data.builder import RatingTable
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.vocab import UNKNOWN, Vocab


def numbered_like(ratings: Ratings, like: AnyRatings) -> Ratings:
    """The ratings with the users and items of `like`, then those that it does not have.

    Ids that `like` writes in another way ("1" for "1.0") are the same; of a pair that becomes one
    by that, the last rating counts.
    """
    users, row_of_user = extended(like.users, ratings.users)
    items, row_of_item = extended(like.items, ratings.items)
    table = RatingTable(
        row_of_user[ratings.user],
        row_of_item[ratings.item],
        ratings.value,
        ratings.time,
        users,
        items,
    )
    if ratings.implicit:
        return table.events(ratings.name, ratings.notes)

    return table.ratings(ratings.name, ratings.notes, ratings.scale)


def extended(known: Vocab, new: Vocab) -> tuple[Vocab, Int32[np.ndarray, " new"]]:
    """The known ids followed by new ones, and the row in them of each id of `new`.

    Args:
        known: the ids whose rows stay.
        new: ids, of which those that are not known get the next rows.
    """
    row = known.rows(new.ids)
    is_unknown = row == UNKNOWN
    unknown = new.ids.filter(pl.Series(is_unknown))
    row[is_unknown] = np.arange(len(unknown), dtype=np.int32) + len(known)
    if not len(unknown):
        return known, row

    return Vocab(pl.concat([known.ids, unknown])), row
