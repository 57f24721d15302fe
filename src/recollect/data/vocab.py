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
    """Distinct ids in a fixed order; the row number of an id is its place in it.

    Ids are text: 42, 42.0 and "42" are the same id, because one file has it as a number and the
    next one as text.

    Raises:
        DataError: if an id is missing (null, NaN) or occurs twice.
    """

    def __init__(self, ids: Iterable[object] | pl.Series = ()) -> None:
        self._ids = as_text(ids).alias("id")
        if self._ids.null_count():
            raise DataError(
                f"{self._ids.null_count()} of {len(self._ids)} ids are missing; every id must have "
                "a value."
            )

        if self._ids.n_unique() != len(self._ids):
            repeated = self._ids.filter(self._ids.is_duplicated()).unique().sort().head(3)
            raise DataError(
                f"Ids must be distinct, but these stand more than once: {repeated.to_list()}."
            )

    def __len__(self) -> int:
        return len(self._ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocab):
            return False

        return self._ids.equals(other._ids)

    def __hash__(self) -> int:
        # A few ids are enough to tell vocabularies apart; equality compares all.
        first = tuple(self._ids.head(8))
        return hash((len(self), first))

    def __repr__(self) -> str:
        first = ", ".join(self._ids.head(3))
        ellipsis = ", …" if len(self) > 3 else ""
        return f"Vocab({len(self)} ids: {first}{ellipsis})"

    def __contains__(self, value: object) -> bool:
        [row] = self.rows([value])
        return bool(row != UNKNOWN)

    @property
    def ids(self) -> pl.Series:
        """All ids, in row order."""
        return self._ids

    @cached_property
    def _table(self) -> pl.DataFrame:
        row = np.arange(len(self), dtype=np.int32)
        return pl.DataFrame({"id": self._ids, "row": row})

    def rows(self, ids: Iterable[object] | pl.Series) -> Int32[np.ndarray, " ids"]:
        """Row numbers of the ids; UNKNOWN (-1) for ids that are not in the vocabulary.

        An id that is not, is looked for without blanks around it, then without a final ".0", which
        programs write behind whole numbers.
        """
        wanted = as_text(ids)
        row = self._exact_rows(wanted)
        is_unknown = row == UNKNOWN
        if is_unknown.any():
            stripped = wanted.filter(pl.Series(is_unknown)).str.strip_chars()
            found = self._exact_rows(stripped)
            without_point = stripped.str.replace(r"^(-?[0-9]+)\.0+$", "$1")
            row[is_unknown] = np.where(
                found == UNKNOWN,
                self._exact_rows(without_point),
                found,
            )

        return row

    def _exact_rows(self, ids: pl.Series) -> Int32[np.ndarray, " ids"]:
        joined = pl.DataFrame({"id": ids}).join(
            self._table,
            on="id",
            how="left",
            maintain_order="left",
        )
        return joined["row"].fill_null(UNKNOWN).to_numpy().astype(np.int32)

    def canonical(self, ids: Iterable[object] | pl.Series) -> pl.Series:
        """The ids as the vocabulary writes them; those that it does not have, unchanged."""
        given = as_text(ids)
        known = self.at(self.rows(given))
        return pl.select(pl.coalesce(known, given)).to_series().alias("id")

    def at(self, rows: Int[np.ndarray, " rows"] | Sequence[int]) -> pl.Series:
        """The ids of the row numbers; null where the row number is UNKNOWN."""
        rows = np.asarray(rows, dtype=np.int64)
        if not len(self):
            return pl.Series("id", [None] * len(rows), dtype=pl.String)

        is_known = rows >= 0
        # A negative index would count from the end: any row in its place, then null.
        index = pl.Series(np.where(is_known, rows, 0))
        ids = self._ids.gather(index.cast(pl.UInt32))
        nulls = pl.Series([None], dtype=pl.String).new_from_index(0, len(rows))

        return ids.zip_with(pl.Series(is_known), nulls)

    @classmethod
    def encode(cls, column: pl.Series) -> tuple[Vocab, Int32[np.ndarray, " rows"]]:
        """The vocabulary of a column and the row number of each entry; UNKNOWN for a missing id.

        Ids are sorted, whole numbers by size and text by code point. So the same ratings in another
        order, or with their numbers written as text, get the same row numbers.
        """
        if not column.dtype.is_integer():
            column = as_text(column)

        distinct = _sorted(column.drop_nulls().unique())
        table = pl.DataFrame({"id": distinct, "row": np.arange(len(distinct), dtype=np.int32)})
        entries = pl.DataFrame({"id": column})
        row = entries.join(
            table,
            on="id",
            how="left",
            maintain_order="left",
        )["row"]

        return cls(distinct), row.fill_null(UNKNOWN).to_numpy().astype(np.int32, copy=False)


def _sorted(ids: pl.Series) -> pl.Series:
    """Distinct ids, sorted: whole numbers by size, other text by code point.

    Text is sorted as numbers only if every id is written as a number is ("7", not "07").
    """
    # Up to 18 digits, which fit 64 bits.
    if ids.dtype == pl.String and ids.str.contains(r"^(0|-?[1-9][0-9]{0,17})$").all():
        by_size = ids.cast(pl.Int64).arg_sort()
        return ids.gather(by_size)

    return ids.sort()


def as_text(ids: Iterable[object] | pl.Series) -> pl.Series:
    """Ids as text; whole floats lose their ".0"; a missing id stays missing."""
    if isinstance(ids, pl.Series):
        column = ids
    elif isinstance(ids, np.ndarray) and ids.dtype != object:
        column = pl.Series(ids)
    else:
        column = pl.Series([_text_of(id_) for id_ in ids], dtype=pl.String)

    if column.dtype.is_float():
        column = _float_column_as_text(column)

    return column.cast(pl.String).alias("id")


def _float_column_as_text(column: pl.Series) -> pl.Series:
    column = column.fill_nan(None)
    # A number that does not fit, such as 1e300, becomes null and stays a float.
    whole = column.cast(pl.Int64, strict=False)
    is_whole = whole.cast(column.dtype) == column
    text_of_whole = whole.cast(pl.String)
    text_of_float = column.cast(pl.String)
    text = pl.when(is_whole).then(text_of_whole).otherwise(text_of_float)

    return pl.select(text).to_series()


def _text_of(value: object) -> str | None:
    """One id as text; None if it is missing."""
    if value is None:
        return None

    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return None

        if float(value).is_integer():
            return str(int(value))

    return str(value)


def check_rows(what: str, row: Int32[np.ndarray, " rows"], vocab: Vocab) -> None:
    """Refuse row numbers that are not in the vocabulary.

    Args:
        what: the ids, "user" or "item", for the message.
        row: the row numbers, at least one.
        vocab: the vocabulary.

    Raises:
        DataError: if one has no id.
    """
    lowest = row.min()
    highest = row.max()
    if lowest <= UNKNOWN or highest >= len(vocab):
        raise DataError(
            f"{what} row numbers run from {lowest} to {highest}, but there are {len(vocab)} "
            f"{what} ids (rows 0 to {len(vocab) - 1})."
        )
