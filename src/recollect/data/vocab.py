"""Vocab: the outside world's ids and our row numbers, 0, 1, 2, …"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import polars as pl
from jaxtyping import Int, Int32

from recollect.errors import DataError

UNKNOWN = -1  # the row number of an id that is not in the vocabulary


class Vocab:
    """Distinct ids, in a fixed order; the row number of an id is its place.

    An id is text: 42, 42.0 and "42" are the same id, because the same id comes as a number from one file and as text
    from the next.

    Raises: DataError if an id is missing (null, NaN) or stands twice.
    """

    def __init__(self, ids: Iterable[object] | pl.Series = ()) -> None:
        self._ids = as_text(ids).alias("id")
        if self._ids.null_count():
            raise DataError(
                f"{self._ids.null_count()} of {len(self._ids)} ids are missing; every id must have a "
                "value."
            )
        if self._ids.n_unique() != len(self._ids):
            twice = self._ids.filter(self._ids.is_duplicated()).unique().sort().head(3).to_list()
            raise DataError(f"Ids must be distinct, but these stand more than once: {twice}.")

    def __len__(self) -> int:
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocab) and self._ids.equals(other._ids)

    def __hash__(self) -> int:
        return hash((len(self), tuple(self._ids.head(8))))

    def __repr__(self) -> str:
        return f"Vocab({len(self)} ids: {', '.join(self._ids.head(3))}{', …' if len(self) > 3 else ''})"

    def __contains__(self, value: object) -> bool:
        return bool(self.rows([value])[0] != UNKNOWN)

    @property
    def ids(self) -> pl.Series:
        """All ids, in row order."""
        return self._ids

    @cached_property
    def _table(self) -> pl.DataFrame:
        return pl.DataFrame({"id": self._ids, "row": np.arange(len(self), dtype=np.int32)})

    def rows(self, ids: Iterable[object] | pl.Series) -> Int32[np.ndarray, " ids"]:
        """Row numbers of the ids; UNKNOWN (-1) where an id is not in the vocabulary."""
        asked = pl.DataFrame({"id": as_text(ids)})
        found = asked.join(self._table, on="id", how="left", maintain_order="left")
        return found["row"].fill_null(UNKNOWN).to_numpy().astype(np.int32)

    def at(self, rows: Int[np.ndarray, " rows"] | Sequence[int]) -> pl.Series:
        """The ids of the row numbers; null where the row number is UNKNOWN."""
        rows = np.asarray(rows, dtype=np.int64)
        ids = (
            self._ids.gather(pl.Series(np.where(rows < 0, 0, rows)).cast(pl.UInt32))
            if len(self)
            else None
        )
        if ids is None:
            return pl.Series("id", [None] * len(rows), dtype=pl.String)
        return ids.zip_with(
            pl.Series(rows >= 0), pl.Series([None], dtype=pl.String).new_from_index(0, len(rows))
        )

    @classmethod
    def encode(cls, column: pl.Series) -> tuple[Vocab, Int32[np.ndarray, " rows"]]:
        """The vocabulary of a column and the row number of each entry.

        Ids are ordered (whole numbers by size, text by code point), so that the same ratings in another order, or with
        their numbers written as text, get the same row numbers. A missing id gets UNKNOWN.
        """
        if not column.dtype.is_integer():
            column = as_text(column)
        distinct = _in_order(column.drop_nulls().unique())
        table = pl.DataFrame({"id": distinct, "row": np.arange(len(distinct), dtype=np.int32)})
        found = pl.DataFrame({"id": column}).join(
            table, on="id", how="left", maintain_order="left"
        )["row"]
        return cls(distinct), found.fill_null(UNKNOWN).to_numpy().astype(np.int32, copy=False)


def _in_order(ids: pl.Series) -> pl.Series:
    """Distinct ids, whole numbers by size (as text only if each is written as its number), other text by code point."""
    if ids.dtype == pl.String and ids.str.contains(r"^(0|-?[1-9]\d{0,17})$").all():
        return ids.gather(ids.cast(pl.Int64).arg_sort())
    return ids.sort()


def as_text(ids: Iterable[object] | pl.Series) -> pl.Series:
    """Ids as text; whole floats lose their ".0"; missing stays missing."""
    if isinstance(ids, pl.Series):
        column = ids
    elif isinstance(ids, np.ndarray):
        column = pl.Series(ids if ids.dtype != object else [_plain(x) for x in ids])
    else:
        column = pl.Series([_plain(x) for x in ids], dtype=pl.String)
    if column.dtype.is_float():
        column = column.fill_nan(None)
        whole = column.cast(pl.Int64, strict=False)
        is_whole = whole.cast(column.dtype) == column
        text = pl.select(
            pl.when(is_whole).then(whole.cast(pl.String)).otherwise(column.cast(pl.String))
        ).to_series()
        return text.alias("id")
    return column.cast(pl.String).alias("id")


def _plain(value: object) -> str | None:
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
