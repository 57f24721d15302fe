"""Columns of ids become row numbers, a block at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Int32

from recollect.data.parsing.values import Locate
from recollect.data.vocab import Vocab, as_text
from recollect.errors import DataError

BLANK = r"^\s*$"
# What ids may be that are taken as they are: a pattern, and what is said of them.
SUSPICIOUS_IDS = (
    (
        r"^(?i:nan|null|none|n/a|na|<na>|nil|undefined|\\N)$",
        "are a word for a missing value; they are taken as ids",
    ),
    (
        r"^[0-9][.,]?[0-9]*[eE]\+?[0-9]+$",
        "are numbers that a program has rounded; different ids may have become one",
    ),
    ("\ufffd", "have a letter that an earlier program could not read"),
)


@dataclass(frozen=True, eq=False)
class Ids:
    """The distinct ids of a table.

    Args:
        vocab: the ids, sorted.
        row: the row in `vocab` of each number that `IdNumbers` gave.
        n_merged: ids that became one with another as the blanks around them were removed.
        n_shortened: ids whose ".0" was removed.
    """

    vocab: Vocab
    row: Int32[np.ndarray, " numbers"]
    n_merged: int
    n_shortened: int


class IdNumbers:
    """Numbers the ids of a column in the order in which they first occur, block after block.

    Args:
        role: "user" or "item", for messages.
    """

    def __init__(self, role: str) -> None:
        self.role = role
        self._kind = pl.Categorical(pl.Categories.random())
        # Polars keeps the numbers of the ids as long as a column of this kind exists.
        self._empty = pl.Series(dtype=self._kind)
        self._new_ids: list[pl.Series] = []  # of each block, by their numbers
        self._n_ids = 0

    def add(self, column: pl.Series, locate: Locate) -> Int32[np.ndarray, " rows"]:
        """The number of each id of a block.

        Args:
            column: the ids.
            locate: says where a row stands, for messages.

        Raises:
            DataError: if one is missing or blank, or if they are of a kind that is no id.
        """
        text = as_text(id_column(column, self.role, locate))
        number = text.cast(self._kind).to_physical()
        new = pl.DataFrame({"id": text, "number": number}).filter(pl.col("number") >= self._n_ids)
        distinct = new.unique("number").sort("number")
        assert new["number"].is_empty() or distinct["number"][-1] == self._n_ids + len(distinct) - 1
        if text.null_count() or distinct["id"].str.contains(BLANK).any():
            raise self._missing(text, locate)

        self._new_ids.append(distinct["id"])
        self._n_ids += len(distinct)

        return number.to_numpy().astype(np.int32)

    def _missing(self, text: pl.Series, locate: Locate) -> DataError:
        is_missing = text.is_null() | text.str.contains(BLANK).fill_null(False)
        first = is_missing.arg_max()
        assert first is not None  # the block has rows
        return DataError(
            f"{locate(first)}: the {self.role} id is missing; every rating needs one. Correct or "
            f"remove the row. ({is_missing.sum()} such rows nearby.)"
        )

    def ids(self) -> Ids:
        """All ids, sorted, of one block at least.

        Blanks around ids are removed; so is ".0" if every id is a whole number.
        """
        written = pl.concat(self._new_ids)
        ids = written.str.strip_chars()
        n_merged = len(written) - ids.n_unique()
        n_shortened = 0
        if ids.str.contains(r"^-?[0-9]+(\.0+)?$").all():
            with_point = ids.filter(ids.str.contains(".", literal=True))
            n_shortened = with_point.n_unique()
            ids = ids.str.replace(r"\.0+$", "")

        vocab, row = Vocab.encode(ids)

        return Ids(vocab, row, n_merged, n_shortened)


def id_column(column: pl.Series, role: str, locate: Locate) -> pl.Series:
    """A column of ids as numbers or text.

    Args:
        column: the ids, as they were read.
        role: "user" or "item", for messages.
        locate: says where a row stands, for messages.

    Raises:
        DataError: if its entries are neither.
    """
    dtype = column.dtype
    if dtype.is_numeric() or dtype in (pl.String, pl.Null):
        return column

    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)

    if dtype == pl.Binary:
        try:
            return column.cast(pl.String)
        except pl.exceptions.PolarsError:
            dtype = "bytes that are not UTF-8"  # type: ignore[assignment]

    entries = column.drop_nulls().head(1).to_list()
    shown = repr(entries[0])[:80] if entries else "missing"
    raise DataError(
        f"{locate(0)}: the {role} id is {shown}, a {dtype}; expected text or whole numbers. "
        "Convert the column, or name another one."
    )


def notes_on_ids(ids: Ids, role: str) -> list[str]:
    """Notes on ids that were changed, or may be words for nothing, rounded, or lack letters.

    Args:
        ids: of all blocks.
        role: "user" or "item".
    """
    notes = []
    if ids.n_merged:
        notes.append(
            f"{ids.n_merged:,} {role} ids are others with blanks around them, and count as these."
        )

    if ids.n_shortened:
        notes.append(f"{ids.n_shortened:,} {role} ids were written like 1.0 and read as 1.")

    all_ids = ids.vocab.ids

    for pattern, what in SUSPICIOUS_IDS:
        suspicious = all_ids.filter(all_ids.str.contains(pattern))
        if len(suspicious):
            notes.append(f"{len(suspicious):,} {role} ids, such as {suspicious[0]!r}, {what}.")

    return notes
