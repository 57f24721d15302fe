"""Ratings: who rated what, how high, and when.

AnyRatings           what models need of ratings, in memory or on disk
├── Ratings          in memory
└── StoredRatings    on disk (on_disk/stored_ratings.py)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int32, Int64
from typing_extensions import override

from recollect.data.catalogue import titles
from recollect.data.column_checks import check_columns
from recollect.data.fingerprint import fingerprint
from recollect.data.kinds import Kinds, kinds_of
from recollect.data.sparse_rows import AnyRows, Rows
from recollect.data.text.corpus import Corpus
from recollect.data.vocab import Vocab
from recollect.errors import DataError

Side = Literal["user", "item"]


class AnyRatings(ABC):
    """Ratings, in memory or on disk: what models need of them. Always users × items.

    `implicit` ratings are events, whose value is a count; of an absent pair nothing else is known.
    """

    in_memory: ClassVar[bool]
    implicit: bool = False
    users: Vocab
    items: Vocab
    scale: tuple[float, float]
    time: Int64[np.ndarray, " ratings"] | None
    catalogue: pl.DataFrame | None
    text: Corpus | None = None
    disliked: Rows | None = None
    name: str
    notes: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    def __repr__(self) -> str:
        low, high = self.scale
        if self.implicit:
            size = f"{len(self):,} pairs"
            kind = "events"
        else:
            size = f"{len(self):,} ratings"
            kind = f"scale {low:g}–{high:g}"

        shape = f"{self.n_users:,} users × {self.n_items:,} items"

        return f"{type(self).__name__}({self.name}: {size}, {shape}, {kind})"

    @property
    def n_users(self) -> int:
        """Users in the vocabulary, with or without ratings."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Items in the vocabulary, with or without ratings."""
        return len(self.items)

    @property
    def density(self) -> float:
        """Share of the users × items that is rated."""
        n_pairs = self.n_users * self.n_items
        return len(self) / max(1, n_pairs)

    @property
    def by_user(self) -> AnyRows:
        """A row per user, a column per item."""
        return self.rows("user")

    @property
    def by_item(self) -> AnyRows:
        """A row per item, a column per user."""
        return self.rows("item")

    @cached_property
    def kinds(self) -> Kinds:
        """Which kind each item is of, by the column `kind` of the catalogue."""
        return kinds_of(self.items, self.catalogue)

    def titles(self, item_ids: Iterable[object] | pl.Series) -> list[str | None]:
        """The title of each item; None if it is unknown."""
        return titles(self.catalogue, item_ids)

    @property
    @abstractmethod
    def mean(self) -> float:
        """Mean rating; the middle of the scale if there is none."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """Variance of the ratings."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """16 hexadecimal digits that depend on the ratings, not on their order or place.

        Ratings on disk have the fingerprint that they would have in memory without times.
        """

    @abstractmethod
    def rows(self, side: Side) -> AnyRows:
        """A sparse row of items per user ("user"), or a sparse row of users per item ("item")."""

    @abstractmethod
    def count(self, side: Side) -> Int64[np.ndarray, " rows"]:
        """Number of ratings per user ("user") or per item ("item")."""

    @abstractmethod
    def total(self, side: Side) -> Float64[np.ndarray, " rows"]:
        """Sum of the ratings per user ("user") or per item ("item")."""

    @abstractmethod
    def values(self) -> Iterator[Float32[np.ndarray, " some"]]:
        """All ratings, in blocks."""

    @abstractmethod
    def shared(self, other: Ratings) -> int:
        """How many (user, item) pairs both contain; the vocabularies must be the same."""

    @abstractmethod
    def union(self, other: Ratings) -> Ratings:
        """The ratings of both parts of a split.

        Raises:
            DataError: if their vocabularies differ, they share a pair, or these are not in memory.
        """


@dataclass(
    frozen=True,
    eq=False,
    repr=False,
)
class Ratings(AnyRatings):
    """Ratings in memory: a column per fact, an entry per rating; always users × items.

    A pair occurs at most once. Events (`implicit`: views, purchases) have a count above 0 as their
    value; their scale is 0 to the highest count.

    Args:
        user: row number in `users` of each rating.
        item: row number in `items` of each rating.
        value: the rating, or the count of an event.
        users: the ids of users.
        items: the ids of items.
        time: seconds since 1970, or None.
        scale: the lowest and the highest possible rating.
        implicit: whether the values are counts of events.
        catalogue: facts about items (columns item_id, title, genres, kind), or None.
        text: a document for each item (`with_texts`), or None.
        disliked: of events that were ratings, a row for each user: the items that they have rated
            lower. Models do not learn from them, and lists leave them out as seen. None: unknown.
        name: for messages and tables.
        notes: what was done beyond reading, a sentence each.
        checked: skips the checks; for parts and copies of ratings that passed them.

    Raises:
        DataError: if the columns differ in length, a row number has no id, a value is not finite or
            outside the scale, a pair occurs twice, or there is not one document for each item.
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
    disliked: Rows | None = field(default=None, repr=False)
    name: str = "ratings"
    notes: tuple[str, ...] = ()
    checked: bool = field(default=False, repr=False)
    in_memory: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.text is not None and len(self.text) != len(self.items):
            raise DataError(
                f"The texts have {len(self.text):,} documents and there are {len(self.items):,} "
                "items; expected one for each, an empty one where there is none, as with_texts "
                "makes them."
            )

        if not self.checked:
            check_columns(self)

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    @override
    def mean(self) -> float:
        if not len(self):
            return sum(self.scale) / 2

        mean = self.value.mean(dtype=np.float64)

        return float(mean)

    @property
    @override
    def variance(self) -> float:
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

    @override
    def rows(self, side: Side) -> Rows:
        rows, _ = self._by_user if side == "user" else self._by_item
        return rows

    @property
    @override
    def by_user(self) -> Rows:
        return self.rows("user")

    @property
    @override
    def by_item(self) -> Rows:
        return self.rows("item")

    def entry(self, side: Side) -> Int64[np.ndarray, " ratings"]:
        """The index of the rating in each cell of `rows(side)`."""
        _, entry = self._by_user if side == "user" else self._by_item
        return entry

    @override
    def count(self, side: Side) -> Int64[np.ndarray, " rows"]:
        return self._count_by_user if side == "user" else self._count_by_item

    @cached_property
    def _count_by_user(self) -> Int64[np.ndarray, " n_users"]:
        count = np.bincount(self.user, minlength=self.n_users)
        return count.astype(np.int64)

    @cached_property
    def _count_by_item(self) -> Int64[np.ndarray, " n_items"]:
        count = np.bincount(self.item, minlength=self.n_items)
        return count.astype(np.int64)

    @override
    def total(self, side: Side) -> Float64[np.ndarray, " rows"]:
        if side == "user":
            row = self.user
            n_rows = self.n_users
        else:
            row = self.item
            n_rows = self.n_items

        return np.bincount(row, weights=self.value, minlength=n_rows)

    @override
    def values(self) -> Iterator[Float32[np.ndarray, " some"]]:
        yield self.value

    @override
    def shared(self, other: Ratings) -> int:
        pairs = np.intersect1d(self.pair, other.pair, assume_unique=True)
        return len(pairs)

    @property
    def pair(self) -> Int64[np.ndarray, " ratings"]:
        """One number per rating that stands for its user and item."""
        # In 64 bits, as users × items of large data is above 2³¹.
        pair = self.user.astype(np.int64)
        pair *= self.n_items
        pair += self.item
        return pair

    def where(self, mask: np.ndarray, *, name: str | None = None) -> Ratings:
        """The ratings that a mask or a list of indices selects, with the same vocabularies.

        `name` is that of the part; None: that of the whole.
        """
        return replace(
            self,
            user=self.user[mask],
            item=self.item[mask],
            value=self.value[mask],
            time=None if self.time is None else self.time[mask],
            name=name or self.name,
            checked=True,
        )

    @override
    def union(self, other: Ratings) -> Ratings:
        if self.users != other.users or self.items != other.items:
            raise DataError(
                f"{self!r} and {other!r} have different vocabularies; join parts of one split only."
            )

        if self.implicit != other.implicit:
            raise DataError(f"{self!r} and {other!r} are ratings and events; join two of a kind.")

        time = None
        if self.time is not None and other.time is not None:
            time = np.concatenate([self.time, other.time])

        # Parts of one split differ only in the highest count of events.
        low = min(self.scale[0], other.scale[0])
        high = max(self.scale[1], other.scale[1])

        return replace(
            self,
            user=np.concatenate([self.user, other.user]),
            item=np.concatenate([self.item, other.item]),
            value=np.concatenate([self.value, other.value]),
            time=time,
            scale=(low, high),
            checked=False,
        )

    def events(self, *, from_: int | float | None = None, remember: bool = True) -> Ratings:
        """The ratings of `from_` and more as events that count 1.

        Args:
            from_: the lowest rating that is an event; None: every one is.
            remember: keep the lower ones as `disliked`: nothing is learned from them, and no list
                has them. Papers' protocols forget them.

        Raises:
            DataError: if there are none.
        """
        threshold = "" if from_ is None else f" from {from_:g}"
        is_event = np.ones(len(self), bool) if from_ is None else self.value >= np.float32(from_)
        if not is_event.any():
            raise DataError(
                f"There is no rating{threshold} on in {self!r}, so there would be no event; take a "
                "lower threshold."
            )

        part = self.where(is_event, name=self.name + threshold)
        which = f", those{threshold} on," if threshold else ""
        note = f"{len(part):,} of {len(self):,} ratings{which} are events."

        return replace(
            part,
            value=np.ones(len(part), np.float32),
            scale=(0.0, 1.0),
            implicit=True,
            disliked=None if is_event.all() or not remember else self.where(~is_event).by_user,
            notes=(*self.notes, note),
        )

    @cached_property
    @override
    def fingerprint(self) -> str:
        order = self.entry("user")
        columns: list[list[np.ndarray] | None] = []

        for column in (self.user, self.item, self.value, self.time):
            if column is None:
                columns.append(None)
            else:
                columns.append([column[order]])

        return fingerprint(self.users, self.items, self.scale, columns, text=self.text)

    def frame(self) -> pl.DataFrame:
        """A table of user_id, item_id, rating (of events: count) and, if known, timestamp."""
        table = {
            "user_id": self.users.at(self.user),
            "item_id": self.items.at(self.item),
            "count" if self.implicit else "rating": self.value,
        }

        if self.time is not None:
            table["timestamp"] = self.time

        return pl.DataFrame(table)
