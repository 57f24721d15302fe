"""Kinds of items: songs, tags and words in one row, or products, brands and categories.

They stand in the item table, so that whatever keeps the table keeps them: a column `kind` says what
an item is, and `own_id`, where there is one, by which id people know it within its kind. A song and
a tag may both be called 2020; as items they are songs:2020 and tags:2020.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from jaxtyping import Bool, Int32, Int64

from recollect.data.vocab import Vocab, as_text
from recollect.errors import unknown

KIND = "kind"
OWN_ID = "own_id"
OTHER = "items"  # the kind of items of which none is stated
MARK = ":"  # between kind and own id


def qualified(kind: str, own_ids: Iterable[object] | pl.Series) -> pl.Series:
    """The item ids of a kind's own ids: songs:17."""
    return (kind + MARK + as_text(own_ids)).alias("item_id")


@dataclass(frozen=True, eq=False)
class Kinds:
    """Which kind each item is of.

    Args:
        names: the kinds, in alphabetical order.
        of_item: the index in `names` of each item.
        own_ids: of each item, its id within its kind.
        item_ids: of each item.
    """

    names: tuple[str, ...]
    of_item: Int32[np.ndarray, " n_items"]
    own_ids: pl.Series
    item_ids: pl.Series

    def __len__(self) -> int:
        return len(self.names)

    def number(self, kind: str) -> int:
        """The index of a kind in `names`.

        Raises:
            SettingError: if no item is of that kind.
        """
        if kind not in self.names:
            raise unknown("kind of items", kind, self.names)

        return self.names.index(kind)

    def mask(self, kind: str) -> Bool[np.ndarray, " n_items"]:
        """The items of a kind.

        Raises:
            SettingError: as `number`.
        """
        return self.of_item == self.number(kind)

    @property
    def sizes(self) -> Int64[np.ndarray, " kinds"]:
        """How many items are of each kind."""
        return np.bincount(self.of_item, minlength=len(self.names))

    @cached_property
    def _table(self) -> pl.DataFrame:
        row = np.arange(len(self.of_item), dtype=np.int32)
        return pl.DataFrame({KIND: self.of_item, "id": self.own_ids, "row": row})

    def rows(self, kind: str, own_ids: Iterable[object] | pl.Series) -> Int32[np.ndarray, " ids"]:
        """The row numbers of items by their ids within a kind; -1 for those that are unknown.

        Args:
            kind: one of `names`.
            own_ids: as people know them.

        Raises:
            SettingError: as `number`.
        """
        wanted = as_text(own_ids).to_frame("id")
        own = self._table.filter(pl.col(KIND) == self.number(kind))
        joined = wanted.join(own, on="id", how="left", maintain_order="left")

        return joined["row"].fill_null(-1).to_numpy().astype(np.int32)


def kinds_of(items: Vocab, catalogue: pl.DataFrame | None) -> Kinds:
    """The kinds that an item table states; without any, all items are of one kind, "items".

    Args:
        items: the ids of items.
        catalogue: facts about items, or None.
    """
    if catalogue is None or KIND not in catalogue.columns:
        return Kinds((OTHER,), np.zeros(len(items), np.int32), items.ids, items.ids)

    fields = [KIND, OWN_ID] if OWN_ID in catalogue.columns else [KIND]
    facts = catalogue.select("item_id", pl.col(fields).cast(pl.String)).unique(
        "item_id", keep="first"
    )
    ids = items.ids.alias("item_id").to_frame()
    joined = ids.join(facts, on="item_id", how="left", maintain_order="left")
    own = pl.coalesce(OWN_ID, "item_id") if OWN_ID in fields else pl.col("item_id")
    names, of_item = Vocab.encode(joined[KIND].fill_null(OTHER))

    return Kinds(
        tuple(names.ids),
        of_item,
        joined.select(own.alias("id")).to_series(),
        items.ids,
    )
