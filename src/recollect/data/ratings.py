"""Ratings: who rated what, how high, and when.

AnyRatings           what models need of ratings, wherever the cells are
├── Ratings          in memory
└── StoredRatings    on disk, in `stored`
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int32, Int64

from recollect.data.sparse_rows import AnyRows, Rows
from recollect.data.text.corpus import Corpus
from recollect.data.vocab import UNKNOWN, Vocab, as_text
from recollect.errors import DataError

Side = Literal["user", "item"]


class AnyRatings(ABC):
    """Ratings, in memory or on disk: what models need of them. Always users × items."""

    in_memory: ClassVar[bool]
    implicit: bool = False  # events: a value is how often, and nothing is known of the absent but that they are absent
    users: Vocab
    items: Vocab
    scale: tuple[float, float]
    time: Int64[np.ndarray, " ratings"] | None
    catalogue: pl.DataFrame | None
    text: Corpus | None = None
    name: str
    notes: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    def __repr__(self) -> str:
        last = "events" if self.implicit else f"scale {self.scale[0]:g}–{self.scale[1]:g}"
        return (
            f"{type(self).__name__}({self.name}: {len(self):,} {'pairs' if self.implicit else 'ratings'}, "
            f"{self.n_users:,} users × {self.n_items:,} items, {last})"
        )

    @property
    def n_users(self) -> int:
        """Users in the vocabulary, with or without ratings here."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Items in the vocabulary, with or without ratings here."""
        return len(self.items)

    @property
    def density(self) -> float:
        """Share of the users × items that is rated."""
        return len(self) / max(1, self.n_users * self.n_items)

    @property
    def by_user(self) -> AnyRows:
        """A row per user, a column per item."""
        return self.rows("user")

    @property
    def by_item(self) -> AnyRows:
        """A row per item, a column per user."""
        return self.rows("item")

    def titles(self, item_ids: Iterable[object] | pl.Series) -> list[str | None]:
        """The titles of the items; None where none is known."""
        return titles(self.catalogue, item_ids)

    @property
    @abstractmethod
    def mean(self) -> float:
        """Mean rating; the middle of the scale where there is none."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """Variance of the ratings."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the ratings, whatever their order and wherever they are."""

    @abstractmethod
    def rows(self, side: Side) -> AnyRows:
        """A sparse row of items per user ("user"), or a sparse row of users per item ("item")."""

    @abstractmethod
    def count(self, side: Side) -> Int64[np.ndarray, " rows"]:
        """Ratings per user ("user") or per item ("item")."""

    @abstractmethod
    def total(self, side: Side) -> Float64[np.ndarray, " rows"]:
        """The sum of the ratings per user ("user") or per item ("item")."""

    @abstractmethod
    def values(self) -> Iterator[Float32[np.ndarray, " some"]]:
        """The ratings, a part at a time."""

    @abstractmethod
    def shared(self, other: Ratings) -> int:
        """How many of the other's (user, item) pairs stand here; the vocabularies must be the same."""

    @abstractmethod
    def union(self, other: Ratings) -> Ratings:
        """The ratings of both parts of a split.

        Raises: DataError if their vocabularies differ, they share a pair, or these are not in memory.
        """


@dataclass(frozen=True, eq=False, repr=False)
class Ratings(AnyRatings):
    """A column per fact, an entry per rating; always users × items.

    `user` and `item` are row numbers in `users` and `items`; `time` is in seconds since 1970, or None; `scale` is the
    lowest and the highest rating that can be given. `catalogue` is what is known about the items beyond their ids
    (columns item_id, title, genres), or None. `text` are the items' documents, a row for each item (`with_texts`), or None. A
    pair stands at most once.

    Events (`implicit`: views, purchases) have a count above 0 as their value, and 0 to the highest count as their scale.

    Raises: DataError if the columns differ in length, a row number has no id, a value is not finite or lies outside
    the scale, a pair stands twice, or there is not a document for each item.
    """

    user: Int32[np.ndarray, " ratings"]
    item: Int32[np.ndarray, " ratings"]
    value: Float32[np.ndarray, " ratings"]
    users: Vocab
    items: Vocab
    time: Int64[np.ndarray, " ratings"] | None = None
    scale: tuple[float, float] = (1.0, 5.0)
    implicit: bool = False
    catalogue: pl.DataFrame | None = field(default=None, repr=False)
    text: Corpus | None = field(default=None, repr=False)
    name: str = "ratings"
    notes: tuple[str, ...] = ()  # what reading did beyond reading, a sentence each
    checked: bool = field(
        default=False, repr=False
    )  # set by `where`, whose parts need no second check
    in_memory: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.text is not None and len(self.text) != len(self.items):
            raise DataError(
                f"The texts have {len(self.text):,} documents and there are {len(self.items):,} items; expected one "
                "for each, an empty one where there is none, as with_texts makes them."
            )
        if not self.checked:
            _check(self)

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    def mean(self) -> float:
        """Mean rating; the middle of the scale where there is none."""
        return float(self.value.mean(dtype=np.float64)) if len(self) else sum(self.scale) / 2

    @property
    def variance(self) -> float:
        """Variance of the ratings."""
        return float(self.value.var())

    @cached_property
    def _by_user(self) -> tuple[Rows, Int64[np.ndarray, " ratings"]]:
        return Rows.group(
            self.user, self.item, self.value, n_rows=self.n_users, n_columns=self.n_items
        )

    @cached_property
    def _by_item(self) -> tuple[Rows, Int64[np.ndarray, " ratings"]]:
        return Rows.group(
            self.item, self.user, self.value, n_rows=self.n_items, n_columns=self.n_users
        )

    def rows(self, side: Side) -> Rows:
        """A sparse row of items per user ("user"), or a sparse row of users per item ("item")."""
        return (self._by_user if side == "user" else self._by_item)[0]

    @property
    def by_user(self) -> Rows:
        """A row per user, a column per item."""
        return self.rows("user")

    @property
    def by_item(self) -> Rows:
        """A row per item, a column per user."""
        return self.rows("item")

    def entry(self, side: Side) -> Int64[np.ndarray, " ratings"]:
        """Which rating each cell of `rows(side)` is."""
        return (self._by_user if side == "user" else self._by_item)[1]

    def count(self, side: Side) -> Int64[np.ndarray, " rows"]:
        """Ratings per user ("user") or per item ("item")."""
        return self._count_by_user if side == "user" else self._count_by_item

    @cached_property
    def _count_by_user(self) -> Int64[np.ndarray, " n_users"]:
        return np.bincount(self.user, minlength=self.n_users).astype(np.int64)

    @cached_property
    def _count_by_item(self) -> Int64[np.ndarray, " n_items"]:
        return np.bincount(self.item, minlength=self.n_items).astype(np.int64)

    def total(self, side: Side) -> Float64[np.ndarray, " rows"]:
        """The sum of the ratings per user ("user") or per item ("item")."""
        row, n = (self.user, self.n_users) if side == "user" else (self.item, self.n_items)
        return np.bincount(row, weights=self.value, minlength=n)

    def values(self) -> Iterator[Float32[np.ndarray, " some"]]:
        """The ratings, in one part."""
        yield self.value

    def shared(self, other: Ratings) -> int:
        """How many of the other's (user, item) pairs stand here; the vocabularies must be the same."""
        return len(np.intersect1d(self.pair, other.pair, assume_unique=True))

    @property
    def pair(self) -> Int64[np.ndarray, " ratings"]:
        """One number per rating that names its user and item."""
        return self.user.astype(np.int64) * self.n_items + self.item

    def where(self, mask: np.ndarray, *, name: str | None = None) -> Ratings:
        """The ratings that the mask (or the list of entries) chooses; same vocabularies and so the same shape."""
        return replace(
            self,
            user=self.user[mask],
            item=self.item[mask],
            value=self.value[mask],
            time=None if self.time is None else self.time[mask],
            name=name or self.name,
            checked=True,
        )

    def union(self, other: Ratings) -> Ratings:
        """The ratings of both parts of a split.

        Raises: DataError if their vocabularies differ or they share a pair.
        """
        if self.users != other.users or self.items != other.items:
            raise DataError(
                f"{self!r} and {other!r} have different vocabularies; join parts of one split only."
            )
        if self.implicit != other.implicit:
            raise DataError(f"{self!r} and {other!r} are ratings and events; join two of a kind.")
        both_timed = self.time is not None and other.time is not None
        (low, high), (also_low, also_high) = (
            self.scale,
            other.scale,
        )  # they differ only in the highest count of events
        return replace(
            self,
            user=np.concatenate([self.user, other.user]),
            item=np.concatenate([self.item, other.item]),
            value=np.concatenate([self.value, other.value]),
            checked=False,
            scale=(min(low, also_low), max(high, also_high)),
            time=np.concatenate([self.time, other.time]) if both_timed else None,
        )

    def events(self, *, from_: int | float | None = None) -> Ratings:
        """The ratings of `from_` and more as events that count 1, all ratings if it is not stated; same vocabularies.

        Raises: DataError if there are none.
        """
        which = "" if from_ is None else f" from {from_:g}"
        chosen = np.ones(len(self), bool) if from_ is None else self.value >= np.float32(from_)
        if not chosen.any():
            raise DataError(
                f"There is no rating{which} on in {self!r}, so there would be no event; take a lower threshold."
            )
        part = self.where(chosen, name=self.name + which)
        note = f"{len(part):,} of {len(self):,} ratings{f', those{which} on,' if which else ''} are events."
        return replace(
            part,
            value=np.ones(len(part), np.float32),
            scale=(0.0, 1.0),
            implicit=True,
            notes=(*self.notes, note),
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the ratings, whatever their order, and their texts."""
        order = self.entry("user")
        columns = (
            None if column is None else [column[order]]
            for column in (self.user, self.item, self.value, self.time)
        )
        return fingerprint(self.users, self.items, self.scale, columns, text=self.text)

    def frame(self) -> pl.DataFrame:
        """The canonical table: user_id, item_id, rating (of events: count) and, if known, timestamp."""
        table = {
            "user_id": self.users.at(self.user),
            "item_id": self.items.at(self.item),
            "count" if self.implicit else "rating": self.value,
        }
        return pl.DataFrame(table if self.time is None else {**table, "timestamp": self.time})


def fingerprint(
    users: Vocab,
    items: Vocab,
    scale: tuple[float, float],
    columns: Iterable[Iterable[np.ndarray] | None],
    *,
    text: Corpus | None = None,
) -> str:
    """16 hexadecimal digits from the columns user, item, value and time, ordered by user and item, each in any parts."""
    seen = hashlib.sha256(repr((len(users), len(items), tuple(map(float, scale)))).encode())
    for column in columns:
        for part in column if column is not None else ():
            seen.update(np.ascontiguousarray(part).tobytes())
        if column is None:
            seen.update(b"none")
    for vocab in (users, items):
        seen.update("\x1f".join(vocab.ids).encode())
    if text is not None:
        seen.update(text.fingerprint.encode())
    return seen.hexdigest()[:16]


def titles(
    catalogue: pl.DataFrame | None, item_ids: Iterable[object] | pl.Series
) -> list[str | None]:
    """The titles of the items in a catalogue; None where none is known."""
    asked = as_text(item_ids).to_frame("item_id")
    if catalogue is None or "title" not in catalogue.columns:
        return [None] * len(asked)
    known = catalogue.unique("item_id", keep="first")
    return asked.join(known, on="item_id", how="left", maintain_order="left")["title"].to_list()


def _check(r: Ratings) -> None:
    lengths = {"user": len(r.user), "item": len(r.item), "value": len(r.value)}
    if r.time is not None:
        lengths["time"] = len(r.time)
    if len(set(lengths.values())) > 1:
        raise DataError(f"The columns of a ratings table must be equally long, found {lengths}.")
    if not len(r):
        return
    for what, row, vocab in (("user", r.user, r.users), ("item", r.item, r.items)):
        if row.min() <= UNKNOWN or row.max() >= len(vocab):
            raise DataError(
                f"{what} row numbers run from {row.min()} to {row.max()}, but there are {len(vocab)} "
                f"{what} ids (rows 0 to {len(vocab) - 1})."
            )
    if not np.isfinite(r.value).all():
        bad = np.flatnonzero(~np.isfinite(r.value))
        user, item = r.users.at(r.user[bad[:1]])[0], r.items.at(r.item[bad[:1]])[0]
        raise DataError(
            f"{len(bad)} ratings are NaN or infinite, the first by user {user!r} of item {item!r}; remove "
            "them, or leave out the row: an absent pair is unknown."
        )
    low, high = r.scale
    if r.value.min() < np.float32(low) or r.value.max() > np.float32(high):
        raise DataError(
            f"Ratings run from {r.value.min():g} to {r.value.max():g}, outside the stated scale {low:g} to "
            f"{high:g}; state the scale that the ratings have."
        )
    if r.implicit and r.value.min() <= 0:
        bad = np.flatnonzero(r.value <= 0)
        user, item = r.users.at(r.user[bad[:1]])[0], r.items.at(r.item[bad[:1]])[0]
        raise DataError(
            f"{len(bad)} counts of events are not above 0, the first by user {user!r} of item {item!r}; leave the "
            "rows out: a pair without an event is absent."
        )
    pair = np.sort(r.pair)
    twice = int((pair[1:] == pair[:-1]).sum())
    if twice:
        raise DataError(
            f"{twice} pairs stand more than once; `recollect.read` and `from_frame` keep the last of each."
        )
