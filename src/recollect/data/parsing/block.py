"""A block of a table becomes numbers: its ids, its ratings and its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int32, Int64

from recollect.data.parsing.ids import IdNumbers
from recollect.data.parsing.times import Times
from recollect.data.parsing.values import (
    Locate,
    Scale,
    counts_in,
    has_decimal_commas,
    ratings_in,
    stated_scale,
)
from recollect.errors import DataError


@dataclass(frozen=True, eq=False)
class Block:
    """A block of a table in numbers.

    Args:
        user: the number of each user, as `BlockParser.users` has them.
        item: the number of each item, as `BlockParser.items` has them.
        value: ratings, or counts of events.
        time: as `Times.add` gives it, in the unit of the table; None if there is none.
    """

    user: Int32[np.ndarray, " rows"]
    item: Int32[np.ndarray, " rows"]
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
        self.users = IdNumbers("user")
        self.items = IdNumbers("item")
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
        user = self.users.add(frame["user"], locate)
        item = self.items.add(frame["item"], locate)
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
