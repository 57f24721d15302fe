"""Fresh items: those that came last or, where no times are known, those with few events.

A model that learns from what people chose shows what is known already, and new items get no chance
to be chosen. `fresh` gives them a share of each list.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from recollect.data.ratings import Ratings
from recollect.errors import DataError
from recollect.model import Model

NEWEST = 0.1  # share of the known items that are fresh, those whose first event is the latest
FEW = 10  # without times: an item is fresh that has fewer events or ratings than this


def fresh_items(model: Model) -> Bool[np.ndarray, " n_items"]:
    """Which items are fresh.

    With times: the tenth of the known items whose first event is the latest, and those that came at
    the same second as the first of them. Without: those with fewer than 10 events. Items that a
    model knows by their text alone have no event and are fresh in both.

    Raises:
        DataError: if no item is, or every one.
    """
    given = model.given_
    known = model.known_items()
    n_events = given.count("item")
    if isinstance(given, Ratings) and given.time is not None:
        fresh = known & _is_new(_first_times(given), NEWEST, known)
        what = f"the newest {NEWEST:.0%} by the time of their first event"
    else:
        fresh = known & (n_events < FEW)
        what = f"those with fewer than {FEW} events, as no times are known"

    n_fresh = int(fresh.sum())
    if 0 < n_fresh < known.sum():
        return fresh

    raise DataError(
        f"{n_fresh:,} of {known.sum():,} items are fresh, {what}; a share of fresh items needs "
        "some that are and some that are not: leave fresh out."
    )


def _first_times(given: Ratings) -> Int64[np.ndarray, " n_items"]:
    """Seconds since 1970 of each item's first event; the largest number if it has none."""
    assert given.time is not None
    first = np.full(given.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, given.item, given.time)
    return first


def _is_new(
    first: Int64[np.ndarray, " n_items"], share: float, known: Bool[np.ndarray, " n_items"]
) -> Bool[np.ndarray, " n_items"]:
    """The share of the known items whose first event is the latest, and those of the same time."""
    n_new = max(1, round(share * int(known.sum())))
    threshold = np.sort(first[known])[-n_new]
    return first >= threshold
