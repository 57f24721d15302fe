"""Ratings: who rated what, how high, and when."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Int, Int32, Int64
from scipy.sparse import csr_array

from recollect.data.vocab import UNKNOWN, Vocab, as_text
from recollect.errors import DataError

Side = Literal["user", "item"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Sparse rows: row j holds the cells start[j] … start[j + 1], each a column and a value, columns ascending.

    What is not listed is unknown, never zero: a listed value may well be 0.
    """

    start: Int64[np.ndarray, " rows_and_one"]
    column: Int32[np.ndarray, " cells"]
    value: Float32[np.ndarray, " cells"]
    n_columns: int

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def counts(self) -> Int64[np.ndarray, " rows"]:
        """How many cells each row has."""
        return np.diff(self.start)

    def take(self, rows: Int[np.ndarray, " some"]) -> Rows:
        """These rows, in this order; a row number of -1 gives an empty row."""
        rows = np.asarray(rows, dtype=np.int64)
        known = rows >= 0
        counts = np.where(known, self.counts[rows] if len(self) else 0, 0)
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        first = np.where(known, self.start[rows], 0)
        cells = np.arange(start[-1]) + np.repeat(first - start[:-1], counts)
        return Rows(start, self.column[cells], self.value[cells], self.n_columns)

    def only_columns(self, keep: Bool[np.ndarray, " columns"]) -> Rows:
        """The same rows without the cells of other columns."""
        if keep.all():
            return self
        cell = keep[self.column]
        start = np.concatenate([[0], np.cumsum(cell)])[self.start]
        return Rows(start.astype(np.int64), self.column[cell], self.value[cell], self.n_columns)

    @cached_property
    def row(self) -> Int32[np.ndarray, " cells"]:
        """The row number of each cell."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.counts)

    @classmethod
    def group(cls, row: Int[np.ndarray, " cells"], column: Int[np.ndarray, " cells"],
              value: Float32[np.ndarray, " cells"] | None = None, *,
              n_rows: int, n_columns: int) -> tuple[Rows, Int64[np.ndarray, " cells"]]:
        """Rows from loose cells, and the order that sorts the cells by row, then column (equal ones keep theirs)."""
        by_column, _ = _counted(column, n_columns)
        order, start = _counted(row[by_column], n_rows)
        order = by_column[order]
        value = np.ones(len(row), np.float32) if value is None else value
        return cls(start, column[order].astype(np.int32), value[order], n_columns), order


def _counted(key: Int[np.ndarray, " cells"], n: int) -> tuple[Int64[np.ndarray, " cells"], Int64[np.ndarray, " n_and_one"]]:
    """The stable order that sorts keys of 0 to n - 1, and where each key starts: a counting sort, which is what SciPy does to
    transpose a matrix with one cell per row."""
    cells = csr_array((np.empty(len(key), np.int8), key, np.arange(len(key) + 1)), shape=(len(key), n)).tocsc()
    return cells.indices.astype(np.int64), cells.indptr.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Ratings:
    """A column per fact, an entry per rating; always users × items.

    `user` and `item` are row numbers in `users` and `items`; `time` is in seconds since 1970, or None; `scale` is the
    lowest and the highest rating that can be given. `catalogue` is what is known about the items beyond their ids
    (columns item_id, title, genres), or None. A pair stands at most once.

    Raises: DataError if the columns differ in length, a row number has no id, a value is not finite or lies outside
    the scale, or a pair stands twice.
    """

    user: Int32[np.ndarray, " ratings"]
    item: Int32[np.ndarray, " ratings"]
    value: Float32[np.ndarray, " ratings"]
    users: Vocab
    items: Vocab
    time: Int64[np.ndarray, " ratings"] | None = None
    scale: tuple[float, float] = (1.0, 5.0)
    catalogue: pl.DataFrame | None = field(default=None, repr=False)
    name: str = "ratings"
    notes: tuple[str, ...] = ()  # what reading did beyond reading, a sentence each
    checked: bool = field(default=False, repr=False)  # set by `where`, whose parts need no second check

    def __post_init__(self) -> None:
        if not self.checked:
            _check(self)

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        return (f"Ratings({self.name}: {len(self):,} ratings, {self.n_users:,} users × {self.n_items:,} items, "
                f"scale {self.scale[0]:g}–{self.scale[1]:g})")

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

    @cached_property
    def mean(self) -> float:
        """Mean rating; the middle of the scale where there is none."""
        return float(self.value.mean(dtype=np.float64)) if len(self) else sum(self.scale) / 2

    @cached_property
    def _by_user(self) -> tuple[Rows, Int64[np.ndarray, " ratings"]]:
        return Rows.group(self.user, self.item, self.value, n_rows=self.n_users, n_columns=self.n_items)

    @cached_property
    def _by_item(self) -> tuple[Rows, Int64[np.ndarray, " ratings"]]:
        return Rows.group(self.item, self.user, self.value, n_rows=self.n_items, n_columns=self.n_users)

    def rows(self, side: Side) -> Rows:
        """A sparse row of items per user ("user"), or a sparse row of users per item ("item")."""
        return self.by_user if side == "user" else self.by_item

    @property
    def by_user(self) -> Rows:
        """A row per user, a column per item."""
        return self._by_user[0]

    @property
    def by_item(self) -> Rows:
        """A row per item, a column per user."""
        return self._by_item[0]

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

    @property
    def pair(self) -> Int64[np.ndarray, " ratings"]:
        """One number per rating that names its user and item."""
        return self.user.astype(np.int64) * self.n_items + self.item

    def where(self, mask: np.ndarray, *, name: str | None = None) -> Ratings:
        """The ratings that the mask (or the list of entries) chooses; same vocabularies and so the same shape."""
        return replace(self, user=self.user[mask], item=self.item[mask], value=self.value[mask],
                       time=None if self.time is None else self.time[mask], name=name or self.name, checked=True)

    def union(self, other: Ratings) -> Ratings:
        """The ratings of both parts of a split.

        Raises: DataError if their vocabularies differ or they share a pair.
        """
        if self.users != other.users or self.items != other.items:
            raise DataError(f"{self!r} and {other!r} have different vocabularies; join parts of one split only.")
        both_timed = self.time is not None and other.time is not None
        return replace(
            self, user=np.concatenate([self.user, other.user]), item=np.concatenate([self.item, other.item]),
            value=np.concatenate([self.value, other.value]), checked=False,
            time=np.concatenate([self.time, other.time]) if both_timed else None,
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the ratings, whatever their order."""
        seen = hashlib.sha256(repr((self.n_users, self.n_items, tuple(map(float, self.scale)))).encode())
        order = self.entry("user")
        for column in (self.user, self.item, self.value, self.time):
            seen.update(b"none" if column is None else np.ascontiguousarray(column[order]).tobytes())
        for vocab in (self.users, self.items):
            seen.update("\x1f".join(vocab.ids).encode())
        return seen.hexdigest()[:16]

    def frame(self) -> pl.DataFrame:
        """The canonical table: user_id, item_id, rating and, if known, timestamp."""
        table = {"user_id": self.users.at(self.user), "item_id": self.items.at(self.item), "rating": self.value}
        return pl.DataFrame(table if self.time is None else {**table, "timestamp": self.time})

    def titles(self, item_ids: Iterable[object] | pl.Series) -> list[str | None]:
        """The titles of the items; None where none is known."""
        return titles(self.catalogue, item_ids)


def titles(catalogue: pl.DataFrame | None, item_ids: Iterable[object] | pl.Series) -> list[str | None]:
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
            raise DataError(f"{what} row numbers run from {row.min()} to {row.max()}, but there are {len(vocab)} "
                            f"{what} ids (rows 0 to {len(vocab) - 1}).")
    if not np.isfinite(r.value).all():
        bad = np.flatnonzero(~np.isfinite(r.value))
        user, item = r.users.at(r.user[bad[:1]])[0], r.items.at(r.item[bad[:1]])[0]
        raise DataError(f"{len(bad)} ratings are NaN or infinite, the first by user {user!r} of item {item!r}; remove "
                        "them, or leave out the row: an absent pair is unknown.")
    low, high = r.scale
    if r.value.min() < np.float32(low) or r.value.max() > np.float32(high):
        raise DataError(f"Ratings run from {r.value.min():g} to {r.value.max():g}, outside the stated scale {low:g} to "
                        f"{high:g}; state the scale that the ratings have.")
    pair = np.sort(r.pair)
    twice = int((pair[1:] == pair[:-1]).sum())
    if twice:
        raise DataError(f"{twice} pairs stand more than once; `recollect.read` and `from_frame` keep the last of each.")
