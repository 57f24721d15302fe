"""A block of a table becomes numbers: its ids, its ratings and its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float32, Int32, Int64

from recollect.data.parsing.times import seconds
from recollect.data.parsing.values import Locate, Scale, counts_in, ratings_in, stated_scale
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError


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
        time: in the unit of the table; None if there is none.
    """

    user: Ids
    item: Ids
    value: Float32[np.ndarray, " rows"]
    time: Int64[np.ndarray, " rows"] | None


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
        self.notes: list[str] = []  # one if a time could not be read; then there are no times

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

        return Block(user, item, value, self._times(frame, locate))

    def _values(self, frame: pl.DataFrame, locate: Locate) -> Float32[np.ndarray, " rows"]:
        if not self.implicit:
            return ratings_in(frame["rating"], locate)
        if "rating" in frame.columns:
            return counts_in(frame["rating"], locate)
        return np.ones(len(frame), np.float32)

    def _times(self, frame: pl.DataFrame, locate: Locate) -> Int64[np.ndarray, " rows"] | None:
        if "time" not in frame.columns or self.notes:
            return None

        time = seconds(frame["time"])
        is_bad = np.isnan(time)
        if not is_bad.any():
            return np.floor(time).astype(np.int64)

        row = int(is_bad.argmax())
        problem = (
            f"{locate(row)}: the time is {frame['time'][row]!r}; expected seconds since 1970 or an "
            "ISO date"
        )

        if self.time_is_required:
            raise DataError(f"{problem}. Correct it, or leave out the column of times.")

        self.notes.append(f"Times were left out. {problem}.")

        return None


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
        DataError: if one is missing or blank.
    """
    vocab, row = Vocab.encode(column)
    blank = np.flatnonzero(vocab.ids.str.contains(r"^\s*$").to_numpy())
    is_missing = np.isin(row, [UNKNOWN, *blank])
    if is_missing.any():
        first = int(is_missing.argmax())
        raise DataError(
            f"{locate(first)}: the {role} id is missing; every rating needs one. Correct or remove "
            f"the row. ({int(is_missing.sum())} such rows nearby.)"
        )

    return Ids(vocab, row)


def join_ids(parts: Sequence[Ids]) -> Ids:
    """The ids of all blocks under one vocabulary.

    Blanks around ids are removed; so is ".0" if every id is a whole number.
    """
    ids = [part.vocab.ids.str.strip_chars() for part in parts]
    if all(block.str.contains(r"^-?\d+(\.0+)?$").all() for block in ids):
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
