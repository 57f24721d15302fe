"""Columns of times become seconds since 1970."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

# Above this many seconds a time must be in a finer unit; how many of it make a second.
UNITS = (
    (1e17, 1_000_000_000, "nanoseconds"),
    (1e14, 1_000_000, "microseconds"),
    (1e11, 1000, "milliseconds"),
)
SAMPLE = 10_000  # times from which the unit is found
ISO_FORMATS = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")


def seconds(column: pl.Series) -> Float64[np.ndarray, " rows"]:
    """Dates in seconds since 1970, numbers in their own unit; NaN where unreadable."""
    if column.dtype.is_temporal():
        return column.dt.epoch("s").cast(pl.Float64).to_numpy()

    number = column.cast(pl.Float64, strict=False)
    if column.dtype == pl.String and number.null_count():
        text = column.str.strip_chars()
        from_number = text.cast(pl.Float64, strict=False)
        number = pl.select(pl.coalesce(from_number, _from_iso(text))).to_series()

    time = number.to_numpy()

    return np.where(np.isfinite(time), time, np.nan)


def _from_iso(text: pl.Series) -> pl.Series:
    """Seconds since 1970 of ISO 8601 dates, UTC unless they have an offset; null for other text."""
    text = text.str.replace(" ", "T", literal=True)
    candidates = []

    for form in ISO_FORMATS:
        moment = text.str.to_datetime(
            form,
            strict=False,
            time_unit="us",
            time_zone="UTC",
        )
        candidates.append(moment.dt.epoch("s"))

    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    candidates.append(day.dt.epoch("s"))

    return pl.select(pl.coalesce(*candidates).cast(pl.Float64)).to_series()


def unit_of(time: Int64[np.ndarray, " rows"]) -> tuple[int, str]:
    """How many of the times' unit make a second, and its name; by the size of a typical time."""
    if not len(time):
        return 1, "seconds"

    sample = time[:: max(1, len(time) // SAMPLE)]
    typical = float(np.median(np.abs(sample)))

    for least, per_second, name in UNITS:
        if typical > least:
            return per_second, name

    return 1, "seconds"
