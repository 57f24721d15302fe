"""The items of the store in memory, read again as far as they have changed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Int64

from recollect.data.vocab import as_text
from recollect.serve.store import items
from recollect.serve.store.database import Row, Session

ALWAYS = np.iinfo(np.int64).max
NO_ROW = -1
OWN_NAMES = ("item_id", "title", "text", "seen")  # names that a further field cannot have


@dataclass(frozen=True, eq=False)
class Items:
    """The catalogue as it was at one moment. Row numbers are those of the store.

    Args:
        number: the store's counter of changes.
        ids: by row; "" where there is none.
        titles: by row; None: unknown.
        texts: by row; None: none.
        fields: by row, anything else that is known.
        available: by row, whether an item may be listed at all.
        starts: by row, seconds since 1970 from which on it may.
        ends: by row, seconds since 1970 from which on it may not.
        row_of: of each id.
    """

    number: int
    ids: list[str]
    titles: list[str | None]
    texts: list[str | None]
    fields: list[dict[str, Any]]
    available: Bool[np.ndarray, " rows"]
    starts: Int64[np.ndarray, " rows"]
    ends: Int64[np.ndarray, " rows"]
    row_of: dict[str, int]

    def may_be_listed(self, now: int) -> Bool[np.ndarray, " rows"]:
        """Which items may be listed at a time, in seconds since 1970."""
        return self.available & (self.starts <= now) & (now < self.ends)

    def rows(self, ids: list[str]) -> Int64[np.ndarray, " ids"]:
        """Row numbers of ids; NO_ROW of unknown ones."""
        return np.array([self.row_of.get(id_, NO_ROW) for id_ in ids], np.int64)

    @cached_property
    def table(self) -> pl.DataFrame:
        """A row for each item: item_id, title and the other fields."""
        rows = sorted(self.row_of.values())
        names = sorted({name for row in rows for name in self.fields[row]})
        columns = {
            "item_id": pl.Series([self.ids[row] for row in rows], dtype=pl.String),
            "title": pl.Series([self.titles[row] for row in rows], dtype=pl.String),
        }
        for name in names:
            columns[name] = _column([self.fields[row].get(name) for row in rows])

        return pl.DataFrame(columns)


def _column(values: list[Any]) -> pl.Series:
    """The values of a field: numbers if all are, lists of text if any is a list, or else text."""
    stated = [value for value in values if value is not None]
    if any(isinstance(value, list) for value in stated):
        listed = [
            value if isinstance(value, list) or value is None else [value] for value in values
        ]
        as_lists = [None if value is None else as_text(value).to_list() for value in listed]
        return pl.Series(as_lists, dtype=pl.List(pl.String))

    is_number = [isinstance(value, int | float) and not isinstance(value, bool) for value in stated]
    if stated and all(is_number):
        return pl.Series(values, dtype=pl.Float64, strict=False)

    texts = [None if value is None else _text(value) for value in values]

    return pl.Series(texts, dtype=pl.String)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Catalogue:
    """The items of a store, as of the last time they were asked for.

    A person is read first and the items after them: then all that the person has rated is there.
    """

    def __init__(self) -> None:
        none = np.zeros(0, np.int64)
        self._items = Items(-1, [], [], [], [], none.astype(bool), none, none, {})
        self._lock = threading.Lock()

    def now(self, session: Session) -> Items:
        """The items as they are in the store at this moment.

        Args:
            session: to read with.
        """
        number = items.n_changes(session)
        if number == self._items.number:
            return self._items

        with self._lock:
            # Another thread may have been here first.
            if number > self._items.number:
                changed = items.changed_since(session, self._items.number)
                self._items = _with_changes(self._items, number, changed)

            return self._items


def _with_changes(before: Items, number: int, changed: list[Row]) -> Items:
    """The items with some of them read again; the earlier ones are not touched."""
    n_rows = max([len(before.ids), *(row[0] + 1 for row in changed)])
    n_new = n_rows - len(before.ids)
    ids = before.ids + [""] * n_new
    titles = before.titles + [None] * n_new
    texts = before.texts + [None] * n_new
    fields = before.fields + [{}] * n_new
    available = np.append(before.available, np.zeros(n_new, bool))
    starts = np.append(before.starts, np.zeros(n_new, np.int64))
    ends = np.append(before.ends, np.full(n_new, ALWAYS))
    row_of = dict(before.row_of)

    for row in changed:
        item = items.item_of(row)
        place = row[0]
        ids[place] = item.id
        titles[place] = item.title
        texts[place] = item.text
        fields[place] = item.fields
        available[place] = item.available
        starts[place] = 0 if item.starts is None else item.starts
        ends[place] = ALWAYS if item.ends is None else item.ends
        row_of[item.id] = place

    return Items(number, ids, titles, texts, fields, available, starts, ends, row_of)
