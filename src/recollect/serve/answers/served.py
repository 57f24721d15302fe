"""A loaded model, its row numbers beside the store's, and what is computed of it once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Int64

from recollect.data.vocab import UNKNOWN
from recollect.lists.fields import ItemFields
from recollect.lists.selection import Selection
from recollect.model import Model
from recollect.ranking import everyones_best
from recollect.serve.answers.catalogue import Items
from recollect.serve.answers.wanted import Wanted
from recollect.serve.store.records import Version

Value = TypeVar("Value")
SELECTIONS = 256  # kept at most, the last used
MOST_FLAGS = 50_000_000  # of items that they have in all


class Served:
    """A version of the model as one process has it. Several threads use it at once.

    Args:
        version: what the store says of it.
        model: fitted; nothing of it is changed here.
    """

    def __init__(self, version: Version, model: Model) -> None:
        self.version = version
        self.model = model
        self.upto_seq = version.upto_seq
        self.known_items = model.known_items()
        self._lock = threading.RLock()
        self._of_items: tuple[int, Int64[np.ndarray, " rows"], Int64[np.ndarray, " columns"]] = (
            -2,
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
        )
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._most_kept = min(SELECTIONS, max(8, MOST_FLAGS // max(1, len(self.known_items))))

    @cached_property
    def user_rows(self) -> dict[str, int]:
        """The model's row number of each user that it has learned from."""
        given = self.model.given_
        has_ratings = given.count("user") > 0
        ids = given.users.ids.to_list()

        return {ids[row]: int(row) for row in np.flatnonzero(has_ratings)}

    @cached_property
    def everyones_best(self) -> Float32[np.ndarray, " n_items"]:
        """By what items are ranked for someone of whom nothing is known."""
        return everyones_best(self.model.given_)

    @cached_property
    def defaults(self) -> Float32[np.ndarray, " n_items"]:
        """What is predicted for someone of whom nothing is known, within the scale."""
        items = np.arange(self.model.given_.n_items)
        nobody = np.full(len(items), UNKNOWN)
        return self.model.within_scale(self.model.predict_cold(nobody, items))

    def columns(self, items: Items) -> Int64[np.ndarray, " rows"]:
        """The model's row number of each row of the store's items; -1: it does not know the id."""
        return self._places(items)[1]

    def store_rows(self, items: Items) -> Int64[np.ndarray, " columns"]:
        """The store's row number of each of the model's items; -1: the store does not know it."""
        return self._places(items)[2]

    def _places(
        self, items: Items
    ) -> tuple[int, Int64[np.ndarray, " rows"], Int64[np.ndarray, " columns"]]:
        places = self._of_items
        if places[0] == items.number:
            return places

        vocab = self.model.given_.items
        rows = np.array(sorted(items.row_of.values()), np.int64)
        ids = pl.Series([items.ids[row] for row in rows], dtype=pl.String)
        column = vocab.rows(ids).astype(np.int64)
        of_rows = np.full(len(items.ids), UNKNOWN, np.int64)
        of_rows[rows] = column
        of_columns = np.full(len(vocab), UNKNOWN, np.int64)
        of_columns[column[column >= 0]] = rows[column >= 0]
        places = (items.number, of_rows, of_columns)
        self._of_items = places

        return places

    def selection(self, wanted: Wanted, items: Items) -> Selection:
        """How a list is chosen, kept for requests that want the same.

        Raises:
            SettingError: as `Selection`.
            DataError: as `Selection`.
        """
        fields = self.keep(
            ("fields", items.number), lambda: ItemFields(self.model.given_, items.table)
        )
        key = ("selection", wanted.key, items.number)

        return self.keep(key, lambda: Selection(self.model, wanted.wishes(), fields))

    def keep(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """What was computed for a key, or is now; the last used are kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]

        value = compute()

        with self._lock:
            self._kept[key] = value
            while len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)

        return value

    def listed_columns(self, items: Items, now: int) -> Bool[np.ndarray, " columns"]:
        """Which of the model's items are in the store and may be listed now."""
        rows = self.store_rows(items)
        may = items.may_be_listed(now)
        if not len(may):
            return np.zeros(len(rows), bool)

        return (rows >= 0) & may[rows]
