"""What goes into the store and comes out of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int64

RATING = "rating"  # the kind of an event that sets a rating
RETRACT = "retract"  # takes a rating back
IMPORT = "import"  # stands in the log for the rows of an import
FORGOTTEN = "forgotten"  # what is left in the log of a forgotten user
OURS = (RETRACT, IMPORT, FORGOTTEN)  # kinds that no client may send

Outcome = Literal["accepted", "duplicate", "unchanged", "refused"]


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


@dataclass(frozen=True, kw_only=True)
class Event:
    """What a user did with an item.

    Args:
        id: the client's, unique for ever: an event that is sent again changes nothing.
        user: id of the user.
        item: id of the item.
        kind: "rating", or any word for what happened.
        value: the rating, or the count of an event; None: an event counts 1.
        time: seconds since 1970; None: now.
        recommendation: the id of the list that led to it; None: none is known.
    """

    id: str
    user: str
    item: str
    kind: str
    value: float | None = None
    time: int | None = None
    recommendation: str | None = None


@dataclass(frozen=True)
class Answer:
    """What became of an event.

    Args:
        outcome: "accepted"; "duplicate", if the id was there; "unchanged", of a rating that was the
            same before; "refused".
        seq: its place in the log; of a duplicate that of the first; None of others.
        reason: why it was refused, or what the caller may want to know.
        rated: whether the user's rating of the item is another one now.
    """

    outcome: Outcome
    seq: int | None = None
    reason: str | None = None
    rated: bool = False


@dataclass(frozen=True)
class Kind:
    """What the store's ratings are.

    Args:
        low: the lowest possible rating; of events 0.
        high: the highest; of events 0, and means nothing.
        implicit: whether they are counts of events.
        name: of the data.
    """

    low: float
    high: float
    implicit: bool
    name: str


@dataclass(frozen=True)
class Person:
    """A user as the store knows them now.

    Args:
        id: of the user; None: someone without an id.
        row: the row number in the store; None: not in the store.
        changed: seq of the last event; 0: none.
        items: row numbers of rated items, in the store.
        values: the ratings.
    """

    id: str | None
    row: int | None
    changed: int
    items: Int64[np.ndarray, " ratings"]
    values: Float64[np.ndarray, " ratings"]


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item of the catalogue.

    Args:
        id: of the item.
        title: None: unknown.
        text: what is written about it; None: nothing.
        fields: anything else that is known, by name.
        available: whether it may be listed.
        starts: seconds since 1970 from which on it may be listed; None: always.
        ends: seconds since 1970 from which on it may not; None: never.
    """

    id: str
    title: str | None = None
    text: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    available: bool = True
    starts: int | None = None
    ends: int | None = None


@dataclass(frozen=True, kw_only=True)
class ShownList:
    """A list that was answered.

    Args:
        id: of the list.
        user_row: whose it is; None: of someone without an id.
        version: of the model that made it.
        experiment: that the user takes part in; None: none.
        arm: which arm; None: none.
        query: the wishes, as JSON: what a further page needs.
        n: how many items it has; the others of `items` are of earlier pages.
        items: row numbers of items, those of earlier pages first.
        made: seconds since 1970.
    """

    id: str
    user_row: int | None
    version: int
    experiment: str | None
    arm: str | None
    query: str
    n: int
    items: Int64[np.ndarray, " items"]
    made: int


@dataclass(frozen=True, kw_only=True)
class Version:
    """A fitted model that the service knows.

    Args:
        version: its number.
        folder: where it lies.
        digest: of its files.
        kind: the model's name.
        made: seconds since 1970.
        upto_seq: the last event that it has learned from.
        figures: what was measured of it.
        state: "kept", "set aside" by the gate, or "removed".
    """

    version: int
    folder: str
    digest: str
    kind: str
    made: int
    upto_seq: int
    figures: dict[str, Any]
    state: str
