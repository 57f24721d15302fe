"""A block of a table becomes numbers: its ids, its ratings and its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int32, Int64

from recollect.data.parsing.times import Times
from recollect.data.parsing.values import (
    Locate,
    Scale,
    counts_in,
    has_decimal_commas,
    ratings_in,
    stated_scale,
)
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError

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
    """A column of ids: the distinct ones, and the row number of each entry."""

    vocab: Vocab
    row: Int32[np.ndarray, " rows"]


@dataclass(frozen=True, eq=False)
class Block:
    """A block of a table in numbers.

    Args:
        user: the users; their vocabulary is that of the block.
        item: the items; their vocabulary is that of the block.
        value: ratings, or counts of events.
        time: as `Times.add` gives it, in the unit of the table; None if there is none.
    """

    user: Ids
    item: Ids
    value: Float32[np.ndarray, " rows"]
    time: Float64[np.ndarray, " rows"] | None


class BlockParser:
    """Turns the blocks of one table into numbers; refuses the first entry that cannot be used.

    Args:
        scale: the lowest and the highest possible rating; None: not checked.
        time_is_required: whether an unreadable time is an error; else the times are left out, with
            a note.
        implicit: the rows are events, whose value is a count.

    Raises:
        SettingError: for an impossible scale.
    """

    def __init__(
        self,
        scale: Sequence[int | float] | None,
        *,
        time_is_required: bool,
        implicit: bool = False,
    ) -> None:
        self.scale = stated_scale(scale, implicit=implicit)
        self.implicit = implicit
        self.time_is_required = time_is_required
        self._times = Times()
        self._time_fault: str | None = None  # why the times were left out
        self._has_decimal_commas = False

    def parse(self, frame: pl.DataFrame, locate: Locate) -> Block:
        """The numbers of a block with columns user, item, rating and, if there is one, time.

        Args:
            frame: the block, not empty; the rating may be missing if it holds events.
            locate: says where a row stands, for messages.

        Raises:
            DataError: at the first entry that cannot be used.
        """
        _check_flat(frame, locate)
        user = _encode(frame["user"], "user", locate)
        item = _encode(frame["item"], "item", locate)
        value = self._values(frame, locate)
        if self.scale is not None:
            _check_scale(frame, value, self.scale, locate)

        return Block(user, item, value, self._time_of(frame, locate))

    def seconds_of(self, time: Float64[np.ndarray, " some"]) -> Int64[np.ndarray, " some"]:
        """Times of a block as whole seconds since 1970, after `has_times`."""
        return self._times.to_seconds(time)

    def has_times(self) -> bool:
        """Whether the times of all blocks can be used.

        Raises:
            DataError: if they are of several units, and times are required.
        """
        if self._time_fault is None:
            try:
                self._times.check()
            except DataError as problem:
                self._leave_out_times(problem)

        return self._time_fault is None

    @property
    def notes(self) -> list[str]:
        """What was replaced or left out, when all blocks are parsed."""
        notes = []
        if self._has_decimal_commas:
            notes.append("Ratings have a decimal comma: 2,5 was read as 2.5.")

        if self._time_fault is not None:
            return [*notes, f"Times were left out. {self._time_fault}."]

        return [*notes, *self._times.notes]

    def _values(self, frame: pl.DataFrame, locate: Locate) -> Float32[np.ndarray, " rows"]:
        if "rating" not in frame.columns:
            return np.ones(len(frame), np.float32)

        column = frame["rating"]
        value = counts_in(column, locate) if self.implicit else ratings_in(column, locate)
        self._has_decimal_commas = self._has_decimal_commas or has_decimal_commas(column)

        return value

    def _time_of(self, frame: pl.DataFrame, locate: Locate) -> Float64[np.ndarray, " rows"] | None:
        if "time" not in frame.columns or self._time_fault is not None:
            return None

        try:
            return self._times.add(frame["time"], locate)
        except DataError as problem:
            self._leave_out_times(problem)
            return None

    def _leave_out_times(self, problem: DataError) -> None:
        if self.time_is_required:
            raise DataError(
                f"{problem}. Correct it, or leave out the column of times."
            ) from problem

        self._time_fault = str(problem)


def _check_flat(frame: pl.DataFrame, locate: Locate) -> None:
    for role, dtype in frame.schema.items():
        if dtype.is_nested():
            [entry] = frame[role].head(1).to_list()
            raise DataError(
                f"{locate(0)}: the {role} is {entry!r}; expected one value, not a {dtype}."
            )


def _check_scale(
    frame: pl.DataFrame, value: Float32[np.ndarray, " rows"], scale: Scale, locate: Locate
) -> None:
    low, high = scale
    is_inside = (value >= np.float32(low)) & (value <= np.float32(high))
    if not is_inside.all():
        row = int(np.argmin(is_inside))
        raise DataError(
            f"{locate(row)}: user {frame['user'][row]!r} rates item {frame['item'][row]!r} with "
            f"{value[row]:g}, outside the stated scale {low:g} to {high:g}. Correct "
            "the rating, or state the scale that the ratings have."
        )


def _encode(column: pl.Series, role: str, locate: Locate) -> Ids:
    """The ids of a block's column.

    Raises:
        DataError: if one is missing or blank, or if they are of a kind that is no id.
    """
    vocab, row = Vocab.encode(id_column(column, role, locate))
    blank = np.flatnonzero(vocab.ids.str.contains(r"^\s*$").to_numpy())
    is_missing = np.isin(row, [UNKNOWN, *blank])
    if is_missing.any():
        first = int(is_missing.argmax())
        raise DataError(
            f"{locate(first)}: the {role} id is missing; every rating needs one. Correct or remove "
            f"the row. ({int(is_missing.sum())} such rows nearby.)"
        )

    return Ids(vocab, row)


def id_column(column: pl.Series, role: str, locate: Locate) -> pl.Series:
    """A column of ids as numbers or text.

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


def join_ids(parts: Sequence[Ids]) -> Ids:
    """The ids of all blocks under one vocabulary.

    Blanks around ids are removed; so is ".0" if every id is a whole number.
    """
    ids = [part.vocab.ids.str.strip_chars() for part in parts]
    if all(block.str.contains(r"^-?[0-9]+(\.0+)?$").all() for block in ids):
        ids = [block.str.replace(r"\.0+$", "") for block in ids]

    vocab, row = Vocab.encode(pl.concat(ids))
    rows = []
    start = 0  # of a block's ids among all

    for block, part in zip(ids, parts, strict=True):
        stop = start + len(block)
        row_of_block = row[start:stop]
        rows.append(row_of_block[part.row])
        start = stop

    return Ids(vocab, np.concatenate(rows))


def notes_on_ids(vocab: Vocab, role: str) -> list[str]:
    """Notes on ids that may be something else: words for nothing, rounded numbers, lost letters.

    Args:
        vocab: the ids.
        role: "user" or "item".
    """
    notes = []

    for pattern, what in SUSPICIOUS_IDS:
        suspicious = vocab.ids.filter(vocab.ids.str.contains(pattern))
        if len(suspicious):
            notes.append(f"{len(suspicious):,} {role} ids, such as {suspicious[0]!r}, {what}.")

    return notes
