"""Columns of times become seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from recollect.data.parsing.values import Locate
from recollect.errors import DataError

FIRST = 0  # seconds: the first of 1970
LAST = 4_102_444_800  # seconds: the first of 2100
DAY = 86_400  # seconds
# The units of numbers by their size: from so many on, how many of it make a second, the name.
UNITS = (
    (0.0, 1, "seconds"),
    (1e11, 1000, "milliseconds"),
    (1e14, 1_000_000, "microseconds"),
    (1e17, 1_000_000_000, "nanoseconds"),
)
SAMPLE = 10_000  # times from which the unit is found
YEARS = (1950, 2100)
DATES = (1970_01_01, 2099_12_31)  # written YYYYMMDD
SERIALS = (32_874, 54_789)  # spreadsheets' days since 1899-12-30: those of 1990 to 2049
SERIAL_OF_1970 = 25_569
ISO_FORMATS = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
# Other ways to write a moment and a day that have one meaning.
MOMENT_FORMATS = (
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%Y/%m/%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%.f %z",
)
DAY_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y")
EXPECTED = "expected seconds since 1970 or an ISO date, from 1970 to 2099"


def seconds(column: pl.Series) -> Float64[np.ndarray, " rows"]:
    """Dates in seconds since 1970, numbers in their own unit; NaN where unreadable."""
    time, _ = _parsed(column)
    return time


def _parsed(column: pl.Series) -> tuple[Float64[np.ndarray, " rows"], bool]:
    """As `seconds`, and whether there are dates, which have no other unit."""
    dtype = column.dtype
    if dtype in (pl.Date, pl.Datetime):
        return column.dt.epoch("s").cast(pl.Float64).to_numpy(), True

    if isinstance(dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)

    is_text = column.dtype == pl.String
    if not (is_text or dtype.is_numeric() or dtype == pl.Null):
        return np.full(len(column), np.nan), False

    number = column.cast(pl.Float64, strict=False)
    has_dates = False
    if is_text and number.null_count():
        text = column.str.strip_chars()
        from_number = text.cast(pl.Float64, strict=False)
        from_text = _from_iso(text)
        has_dates = from_text.null_count() < len(from_text)
        number = pl.select(pl.coalesce(from_number, from_text)).to_series()

    time = number.to_numpy()

    return np.where(np.isfinite(time), time, np.nan), has_dates


def _from_iso(text: pl.Series) -> pl.Series:
    """Seconds since 1970 of written moments, UTC unless they have an offset; null for other text.

    They are those of ISO 8601, and others that have one meaning.
    """
    written = text.str.replace(r"^(\d{4}[-/]\d{1,2}[-/]\d{1,2}) ", "${1}T")
    found = pl.Series([None], dtype=pl.Float64).new_from_index(0, len(text))

    for form in (*ISO_FORMATS, *DAY_FORMATS, *MOMENT_FORMATS):
        if not found.null_count():
            break

        if form in DAY_FORMATS:
            moment = written.str.to_date(form, strict=False).cast(pl.Datetime("us"))
        else:
            moment = written.str.to_datetime(
                form,
                strict=False,
                time_unit="us",
                time_zone="UTC",
            )

        epoch = moment.dt.epoch("s").cast(pl.Float64)
        found = pl.select(pl.coalesce(found, epoch)).to_series()

    return found


def unit_of(time: Int64[np.ndarray, " rows"]) -> tuple[int, str]:
    """How many of the times' unit make a second, and its name; by the size of a typical time."""
    if not len(time):
        return 1, "seconds"

    sample = time[:: max(1, len(time) // SAMPLE)]
    typical = float(np.median(np.abs(sample)))
    _, per_second, name = UNITS[_unit_numbers(np.array([typical]))[0]]

    return per_second, name


def _unit_numbers(time: Float64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
    """The place in UNITS of each time, by its size."""
    bounds = [least for least, _, _ in UNITS[1:]]
    return np.searchsorted(bounds, time, side="left")


def _is_possible(time: Float64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
    """Whether times, each in the unit of its size, lie from 1970 to 2099."""
    per_second = np.array([per_second for _, per_second, _ in UNITS])
    in_seconds = time / per_second[_unit_numbers(time)]
    return (in_seconds >= FIRST) & (in_seconds < LAST)  # NaN is refused, too


@dataclass(frozen=True)
class _Seen:
    """The first time in a unit, for a message."""

    value: float
    where: str
    count: int


class Times:
    """A column of times, block by block; finds their unit when all are seen.

    Numbers are seconds, milliseconds, microseconds or nanoseconds by their size. If all fit, they
    are years, days written YYYYMMDD, or the days of a spreadsheet.
    """

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}  # by the place in UNITS
        self._has_dates = False
        self._n_zero = 0
        self._low = np.inf
        self._high = -np.inf
        self._may_be = {"years": True, "dates": True, "serials": True}

    def add(self, column: pl.Series, locate: Locate) -> Float64[np.ndarray, " rows"]:
        """The times of a block: dates in seconds, numbers in their own unit.

        Args:
            column: the block's times.
            locate: says where a row stands.

        Raises:
            DataError: at the first that cannot be read, or lies outside 1970 to 2099.
        """
        time, has_dates = _parsed(column)
        low, high = (time.min(), time.max()) if len(time) else (FIRST, FIRST)
        # Most columns are in seconds throughout; NaN makes the comparison false.
        if not (low >= FIRST and high < LAST):
            is_possible = _is_possible(time)
            if not is_possible.all():
                row = int(is_possible.argmin())
                raise DataError(_fault(column, row, time[row], locate))

        self._has_dates |= has_dates
        self._low = min(self._low, low)
        self._high = max(self._high, high)
        self._note_units(time, locate)
        self._narrow(time)

        return time

    def _note_units(self, time: Float64[np.ndarray, " rows"], locate: Locate) -> None:
        # 0 is the same moment in every unit.
        is_nonzero = time != 0
        n_nonzero = int(is_nonzero.sum())
        self._n_zero += len(time) - n_nonzero
        if not n_nonzero:
            return

        if time.max() < UNITS[1][0]:
            self._count_unit(0, is_nonzero, time, locate)
            return

        unit = _unit_numbers(time)
        for number in np.unique(unit[is_nonzero]):
            self._count_unit(int(number), is_nonzero & (unit == number), time, locate)

    def _count_unit(
        self,
        number: int,
        is_in_unit: Bool[np.ndarray, " rows"],
        time: Float64[np.ndarray, " rows"],
        locate: Locate,
    ) -> None:
        """Count the times of a block that are in the unit of this number; keep the first of all."""
        count = int(is_in_unit.sum())
        earlier = self._seen.get(number)
        if earlier is None:
            row = int(is_in_unit.argmax())
            self._seen[number] = _Seen(float(time[row]), locate(row), count)
        else:
            self._seen[number] = replace(earlier, count=earlier.count + count)

    def _narrow(self, time: Float64[np.ndarray, " rows"]) -> None:
        """Rule out what the numbers of a block cannot be."""
        tests = {"years": _are_years, "dates": _are_dates, "serials": _are_serials}
        for kind, test in tests.items():
            self._may_be[kind] = self._may_be[kind] and not self._has_dates and test(time)

    def check(self) -> None:
        """Refuse times of several units.

        Raises:
            DataError: naming the line of the first one in the rarer unit.
        """
        if len(self._seen) < 2:
            return

        # Of two that are equally rare, the one that came later.
        newest_first = list(self._seen.items())[::-1]
        by_count = sorted(newest_first, key=lambda entry: entry[1].count)
        number, rare = by_count[0]
        usual, others = by_count[-1]
        raise DataError(
            f"{rare.where}: the time is {rare.value:.0f}, which is in {UNITS[number][2]}, and "
            f"{others.count:,} others are in {UNITS[usual][2]}; expected one unit"
        )

    def to_seconds(self, time: Float64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
        """Times of a block as whole seconds since 1970, in the unit of all."""
        if self._may_be["years"] and self._seen:
            years = time.astype(np.int64) - 1970
            return years.astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)

        if self._may_be["dates"] and self._seen:
            return _seconds_of_dates(time)

        if self._may_be["serials"] and self._seen:
            return np.rint((time - SERIAL_OF_1970) * DAY).astype(np.int64)

        per_second = UNITS[max(self._seen, default=0)][1]

        return np.floor(time / per_second if per_second > 1 else time).astype(np.int64)

    @property
    def notes(self) -> list[str]:
        """What the times were, if they were no seconds, or hardly can be."""
        if not self._seen:
            return []

        if self._may_be["years"]:
            return ["Times were years and are now the first second of each."]

        if self._may_be["dates"]:
            return ["Times were days written YYYYMMDD and are now in seconds."]

        if self._may_be["serials"]:
            return ["Times were a spreadsheet's days since 1899-12-30 and are now in seconds."]

        _, per_second, name = UNITS[max(self._seen)]
        notes = []
        if per_second > 1:
            notes.append(f"Times were in {name} and are now in seconds.")

        if self._high < DAY:
            notes.append(
                "All times lie within a day of 1970-01-01; if they are not seconds, their order "
                "may be right and their distances are not."
            )
        elif self._n_zero:
            notes.append(f"{self._n_zero:,} times are 0, which is the first second of 1970.")

        return notes


def _are_years(time: Float64[np.ndarray, " rows"]) -> bool:
    return bool(((time >= YEARS[0]) & (time < YEARS[1]) & (time == np.floor(time))).all())


def _are_serials(time: Float64[np.ndarray, " rows"]) -> bool:
    return bool(((time >= SERIALS[0]) & (time < SERIALS[1])).all())


def _are_dates(time: Float64[np.ndarray, " rows"]) -> bool:
    if not ((time >= DATES[0]) & (time <= DATES[1]) & (time == np.floor(time))).all():
        return False

    number = time.astype(np.int64)
    month = number // 100 % 100
    day = number % 100

    return bool(((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())


def _seconds_of_dates(time: Float64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
    number = time.astype(np.int64)
    months = (number // 10_000 - 1970) * 12 + number // 100 % 100 - 1
    first_of_month = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return (first_of_month + number % 100 - 1) * DAY


def _fault(column: pl.Series, row: int, time: float, locate: Locate) -> str:
    """What is wrong with a time."""
    entry = column[row]
    dtype = column.dtype
    if dtype.is_temporal() and dtype not in (pl.Date, pl.Datetime):
        return f"{locate(row)}: the time is {entry!r}, a {dtype}; {EXPECTED}"

    if np.isnan(time):
        shown = "missing" if entry is None or entry == "" else repr(entry)
        return f"{locate(row)}: the time is {shown[:80]}; {EXPECTED}"

    return (
        f"{locate(row)}: the time is {str(entry)[:80]}, which is none from 1970 to 2099; {EXPECTED}"
    )
