"""Columns of ratings or counts become numbers; the scale of ratings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from jaxtyping import Float32

from recollect.errors import DataError, SettingError

Locate = Callable[[int], str]  # where a row stands, for messages: 7 → "Line 8 of ratings.csv"
Scale = tuple[float, float]  # the lowest and the highest possible rating


def ratings_in(column: pl.Series, locate: Locate) -> Float32[np.ndarray, " rows"]:
    """A column as ratings; `locate` says where a row stands.

    Raises:
        DataError: at the first entry that is missing, not a number, NaN or infinite.
    """
    number = column.cast(pl.Float32, strict=False)
    if column.dtype == pl.String and number.null_count():
        number = column.str.strip_chars().cast(pl.Float32, strict=False)

    value = number.to_numpy()
    is_bad = ~np.isfinite(value)
    if is_bad.any():
        row = int(is_bad.argmax())
        entry = column[row]
        problem = "missing" if entry is None or entry == "" else repr(entry)
        raise DataError(
            f"{locate(row)}: the rating is {problem}; expected a finite number. Correct it or "
            "remove the row: a pair that is absent counts as unknown. "
            f"({int(is_bad.sum())} such ratings nearby.)"
        )

    return value


def counts_in(column: pl.Series, locate: Locate) -> Float32[np.ndarray, " rows"]:
    """A column as counts of events; `locate` says where a row stands.

    Raises:
        DataError: like `ratings_in`, and at the first count that is not above 0.
    """
    count = ratings_in(column, locate)
    is_bad = count <= 0
    if is_bad.any():
        row = int(is_bad.argmax())
        raise DataError(
            f"{locate(row)}: the count is {count[row]:g}; expected a number above 0. Remove the "
            "row: a pair without an event is absent."
        )

    return count


def stated_scale(scale: Sequence[int | float] | None, *, implicit: bool = False) -> Scale | None:
    """The scale that the caller states, as floats; None if there is none.

    Raises:
        SettingError: if it is not a lowest and a higher, finite number, or the values are counts
            (`implicit`).
    """
    if scale is None:
        return None

    if implicit:
        raise SettingError(
            f"scale={tuple(scale)} is that of ratings, and events have none; leave it out."
        )

    if len(scale) != 2 or not np.isfinite(scale).all() or not scale[0] < scale[1]:
        raise SettingError(
            f"scale={tuple(scale)}: expected the lowest and the highest rating, such as (1, 5)."
        )

    return float(scale[0]), float(scale[1])


def infer_scale(value: Float32[np.ndarray, " ratings"]) -> Scale:
    """The lowest and the highest possible rating, guessed from the ratings.

    The first of these that contains all of them: 1 to 5 in whole steps; 0.5 to 5 in half steps; 1
    to 10 in whole steps; 0 to 100 in whole steps, if some are above 50; else the lowest and the
    highest of the ratings.

    Raises:
        DataError: if none of the four fits and all ratings are equal.
    """
    low, high = float(value.min()), float(value.max())
    is_whole = bool((value == np.rint(value)).all())
    doubled = value * 2
    is_half = bool((doubled == np.rint(doubled)).all())
    usual = {
        (1.0, 5.0): is_whole,
        (0.5, 5.0): is_whole or is_half,
        (1.0, 10.0): is_whole,
        (0.0, 100.0): is_whole and high > 50,
    }

    for (lowest, highest), has_steps in usual.items():
        if has_steps and lowest <= low and high <= highest:
            return lowest, highest

    if low == high:
        raise DataError(
            f"All {len(value):,} ratings are {low:g}, so their scale cannot be seen; state it: "
            "scale=(lowest, highest)."
        )

    return low, high
