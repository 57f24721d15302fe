"""Columns of ratings or counts become numbers; the scale of ratings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from jaxtyping import Float32

from recollect.errors import DataError, SettingError
from recollect.system.door import words

Locate = Callable[[int], str]  # where a row stands, for messages: 7 → "Line 8 of ratings.csv"
Scale = tuple[float, float]  # the lowest and the highest possible rating
# Up to two digits follow a decimal comma; three may be thousands.
DECIMAL_COMMA = r"^\s*([+-]?[0-9]*),([0-9]{1,2})\s*$"


def ratings_in(column: pl.Series, locate: Locate) -> Float32[np.ndarray, " rows"]:
    """A column as ratings; `locate` says where a row stands.

    A decimal comma ("2,5") is a point; with three digits after it, it could mark thousands, and is
    refused.

    Raises:
        DataError: at the first entry that is missing, not a number, NaN or infinite, or too small
            or large for 32 bits; or if the column holds dates, durations, or true and false.
    """
    number = _numbers(column, locate)
    value = number.to_numpy()
    is_bad = ~np.isfinite(value)
    if column.dtype.is_float() or column.dtype == pl.String:
        # A number that is not 0 but too small for 32 bits becomes 0.
        zero = np.flatnonzero(value == 0)
        written = _decimal_points(column.gather(zero)).cast(pl.Float64, strict=False)
        is_bad[zero] |= written.to_numpy() != 0

    if is_bad.any():
        row = int(is_bad.argmax())
        raise DataError(
            f"{locate(row)}: the rating is {_shown(column[row])}; expected a finite number. "
            "Correct it or remove the row: a pair that is absent counts as unknown. "
            f"({int(is_bad.sum())} such ratings nearby.)"
        )

    return value


def exact_ratings_in(column: pl.Series, locate: Locate) -> pl.Series:
    """As `ratings_in`, as 64-bit floats."""
    ratings_in(column, locate)
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    return _decimal_points(column).cast(pl.Float64)


def _numbers(column: pl.Series, locate: Locate) -> pl.Series:
    """A column as 32-bit floats; null where an entry is no number.

    Raises:
        DataError: if its entries are of a kind that is no number.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    elif not (dtype.is_numeric() or dtype in (pl.String, pl.Null)):
        entry = column.drop_nulls().head(1).to_list()
        raise DataError(
            f"{locate(0)}: the rating is {_shown(entry[0] if entry else None)}, a {dtype}; "
            "expected numbers. Convert the column, or name another one."
        )

    number = column.cast(pl.Float32, strict=False)
    if column.dtype == pl.String and number.null_count():
        number = _decimal_points(column).cast(pl.Float32, strict=False)

    return number


def has_decimal_commas(column: pl.Series) -> bool:
    """Whether ratings are written with a decimal comma."""
    if column.dtype != pl.String:
        return False

    # Looking for a comma is much faster than the pattern, and most columns have none.
    has_comma = column.str.contains(",", literal=True)

    return bool(has_comma.any()) and bool(column.str.contains(DECIMAL_COMMA).any())


def _decimal_points(column: pl.Series) -> pl.Series:
    """Text without blanks around it, and with a point for a decimal comma."""
    if column.dtype != pl.String:
        return column

    text = column.str.strip_chars()

    return text.str.replace(DECIMAL_COMMA, "${1}.${2}")


def _shown(entry: object) -> str:
    """An entry for a message."""
    if entry is None or entry == "":
        return "missing"
    shown = repr(entry)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"


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
            f"{words('scale=(lowest, highest)', '--scale LOWEST,HIGHEST')}."
        )

    return low, high
