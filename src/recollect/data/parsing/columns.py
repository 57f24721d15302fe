"""Which column of a table is the user, the item, the rating and the time, and how each becomes numbers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int64

from recollect.errors import DataError, SettingError

Where = Callable[[int], str]  # what to call a row in a message: "line 7 of ratings.csv"

# Usual names, as `_plain` writes them, the surest first.
USUAL = {
    "user": (
        "userid",
        "user",
        "uid",
        "reviewerid",
        "customerid",
        "memberid",
        "accountid",
        "username",
        "useridx",
    ),
    "item": (
        "itemid",
        "item",
        "iid",
        "movieid",
        "movie",
        "asin",
        "parentasin",
        "productid",
        "bookid",
        "isbn",
        "songid",
        "trackid",
        "artistid",
        "animeid",
        "gameid",
        "recipeid",
        "businessid",
        "jokeid",
        "itemidx",
    ),
    "rating": (
        "rating",
        "ratings",
        "overall",
        "stars",
        "score",
        "rate",
        "userrating",
        "bookrating",
        "value",
        "label",
    ),
    "time": (
        "timestamp",
        "time",
        "ts",
        "unixreviewtime",
        "unixtime",
        "ratingtimestamp",
        "datetime",
        "date",
    ),
}
COUNT = (
    "count",
    "counts",
    "nevents",
    "plays",
    "playcount",
    "listens",
    "weight",
)  # of events, in place of the rating
TEXT = (
    "text",
    "document",
    "reviewtext",
    "review",
    "plot",
    "overview",
    "description",
    "abstract",
    "content",
    "body",
    "synopsis",
    "summary",
)  # of an item, in a table of documents
PLACES = ("user", "item", "rating", "time")  # the order of the columns of a table without a header
EVENT_PLACES = ("user", "item", "time")  # the same, of events
MILLI, MICRO, NANO = 1e11, 1e14, 1e17  # a time above this many seconds must be in a finer unit


def pick(
    columns: Sequence[str],
    asked: dict[str, str | int | None],
    *,
    named: bool,
    implicit: bool = False,
) -> dict[str, int]:
    """The place of each role among the columns: as asked, else by its usual name, else (nothing named) by its order.

    Of events (`implicit`) the rating is how often, and need not be there.

    Raises: DataError if a column that was asked for does not exist, if user, item or rating cannot be found, or if events
    have ratings.
    """
    if implicit:
        _check_events(columns, asked, named=named)
    found = {
        role: place
        for role in PLACES
        if (place := _place(role, columns, asked[role], named=named, implicit=implicit)) is not None
    }
    if implicit and not named and asked["rating"] is not None and asked["time"] is None:
        found.pop("time", None)  # the order of columns holds without a count only
    missing = [role for role in PLACES[: 2 if implicit else 3] if role not in found]
    if missing == ["rating"]:
        raise DataError(
            f"There is no rating column among {_listed(columns)}. If one of them holds ratings, name it: "
            'rating="…". If each line is an event (a view, a click, a purchase), say so: implicit=True, on the '
            "command line --implicit."
        )
    if missing:
        raise DataError(
            f"No column for {' and '.join(missing)} was found among {_listed(columns)}. Name it: "
            + ", ".join(f'{role}="…"' for role in missing)
            + "."
        )
    return found


def pick_text(
    columns: Sequence[str], *, item: str | int | None, text: str | int | None
) -> tuple[int, int]:
    """The places of the item and of its text among the columns of a table of documents: as asked, else by the usual names.

    Raises: DataError if there is none.
    """
    places = [
        _place(role, columns, asked, named=True) for role, asked in (("item", item), ("text", text))
    ]
    missing = [role for role, place in zip(("item", "text"), places, strict=True) if place is None]
    if missing:
        raise DataError(
            f"No column for {' and '.join(missing)} was found among {_listed([c[:40] for c in columns])}. Name it: "
            + ", ".join(f'{role}="…"' for role in missing)
            + "."
        )
    return places[0], places[1]  # type: ignore[return-value]    # neither is None


def _check_events(
    columns: Sequence[str], asked: dict[str, str | int | None], *, named: bool
) -> None:
    """Refuse what is ambiguous: ratings where events were announced, columns without names of which there are too many."""
    if not named:
        if len(columns) > len(EVENT_PLACES) and asked["rating"] is None and asked["time"] is None:
            raise DataError(
                f"Events without a header stand in the order user, item, time, and this table has {len(columns)} "
                "columns. Say which is the time (time=3), and which the count if there is one (rating=2)."
            )
        return
    place = _place("rating", columns, None, named=True)
    if (
        asked["rating"] is None
        and place is not None
        and _place("rating", columns, None, named=True, implicit=True) is None
    ):
        raise DataError(
            f"Events have no ratings, and there is a column {columns[place]!r}. If it holds counts, name it: "
            f"rating={columns[place]!r}. If it holds ratings, read them as such and take those that are high as "
            "events: ratings.events(from_=4), on the command line --events-from 4."
        )


def _place(
    role: str,
    columns: Sequence[str],
    asked: str | int | None,
    *,
    named: bool,
    implicit: bool = False,
) -> int | None:
    if isinstance(asked, int):
        if not 0 <= asked < len(columns):
            raise DataError(
                f"{role}={asked}: the table has {len(columns)} columns, numbered 0 to {len(columns) - 1}."
            )
        return asked
    if asked is not None:
        plain = [_plain(column) for column in columns]
        if asked in columns or _plain(asked) in plain:
            return list(columns).index(asked) if asked in columns else plain.index(_plain(asked))
        near = difflib.get_close_matches(
            asked.lower(), [c.lower() for c in columns], n=1, cutoff=0.5
        )
        hint = (
            f" Did you mean {next(c for c in columns if c.lower() == near[0])!r}?" if near else ""
        )
        places = "" if named else " The table has no header; columns are named by place: 0, 1, …"
        raise DataError(
            f"There is no column {asked!r} for {role}.{hint} Columns: {_listed(columns)}.{places}"
        )
    if not named:
        order = EVENT_PLACES if implicit else PLACES
        return order.index(role) if role in order and order.index(role) < len(columns) else None
    plain = [_plain(column) for column in columns]
    names = COUNT if implicit and role == "rating" else TEXT if role == "text" else USUAL[role]
    return next((plain.index(name) for name in names if name in plain), None)


def is_usual(name: str) -> bool:
    """Whether this is a usual name of one of the columns."""
    return any(_plain(name) in names for names in USUAL.values())


def _plain(name: str) -> str:
    """Lower case letters and digits only; a RecBole type (":token", ":float") is left out."""
    return re.sub(r"[^a-z0-9]", "", name.lower().partition(":")[0])


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns[:20])) + (", …" if len(columns) > 20 else "")


def values(column: pl.Series, where: Where) -> Float32[np.ndarray, " rows"]:
    """A column as ratings.

    Raises: DataError at the first entry that is missing, not a number, NaN or infinite.
    """
    value = column.cast(pl.Float32, strict=False)
    if column.dtype == pl.String and value.null_count():
        value = column.str.strip_chars().cast(pl.Float32, strict=False)
    array = value.to_numpy()
    bad = ~np.isfinite(array)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{where(row)}: {_fault(column[row])}; expected a finite number. Correct it or remove the row: "
            f"a pair that is absent counts as unknown. ({int(bad.sum())} such ratings nearby.)"
        )
    return array


def counts(column: pl.Series, where: Where) -> Float32[np.ndarray, " rows"]:
    """A column as counts of events.

    Raises: DataError as `values`, and at the first that is not above 0.
    """
    found = values(column, where)
    if (found <= 0).any():
        row = int((found <= 0).argmax())
        raise DataError(
            f"{where(row)}: the count is {found[row]:g}; expected a number above 0. Remove the row: a pair without "
            "an event is absent."
        )
    return found


def _fault(rating: object) -> str:
    return (
        "the rating is missing" if rating is None or rating == "" else f"the rating is {rating!r}"
    )


def seconds(column: pl.Series) -> Float64[np.ndarray, " rows"]:
    """A column of times in the unit it came in, or in seconds since 1970 if it holds dates; NaN where unreadable."""
    if column.dtype.is_temporal():
        return column.dt.epoch("s").cast(pl.Float64).to_numpy()
    number = column.cast(pl.Float64, strict=False)
    if column.dtype == pl.String and number.null_count():
        text = column.str.strip_chars()
        number = pl.select(pl.coalesce(text.cast(pl.Float64, strict=False), _iso(text))).to_series()
    array = number.to_numpy()
    return np.where(np.isfinite(array), array, np.nan)


def _iso(text: pl.Series) -> pl.Series:
    """Seconds since 1970 of ISO 8601 dates and times; without an offset they are UTC; null where not one."""
    text = text.str.replace(" ", "T", literal=True)
    forms = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
    times = [
        text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC").dt.epoch("s")
        for form in forms
    ]
    dates = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.epoch("s")
    return pl.select(pl.coalesce(*times, dates).cast(pl.Float64)).to_series()


def unit(time: Int64[np.ndarray, " rows"]) -> tuple[int, str]:
    """How many of the times' unit make a second, and the unit's name, by the size of a typical one."""
    size = float(np.median(np.abs(time[:: max(1, len(time) // 10_000)]))) if len(time) else 0.0
    if size > NANO:
        return 1_000_000_000, "nanoseconds"
    if size > MICRO:
        return 1_000_000, "microseconds"
    return (1000, "milliseconds") if size > MILLI else (1, "seconds")


def infer_scale(value: Float32[np.ndarray, " ratings"]) -> tuple[float, float]:
    """The lowest and the highest rating that can be given, guessed from those that were.

    The first of these that holds all of them: 1 to 5 in whole steps; 0.5 to 5 in half steps; 1 to 10 in whole steps;
    0 to 100 in whole steps, if some are above 50; else the lowest and the highest seen.

    Raises: DataError if none of the four fits and all ratings are equal.
    """
    low, high = float(value.min()), float(value.max())
    whole = bool((value == np.rint(value)).all())
    half = whole or bool((value * 2 == np.rint(value * 2)).all())
    usual = (
        (whole, (1.0, 5.0)),
        (half, (0.5, 5.0)),
        (whole, (1.0, 10.0)),
        (whole and high > 50, (0.0, 100.0)),
    )
    for fits, scale in usual:
        if fits and scale[0] <= low and high <= scale[1]:
            return scale
    if low == high:
        raise DataError(
            f"All {len(value):,} ratings are {low:g}, so their scale cannot be seen; state it: "
            "scale=(lowest, highest)."
        )
    return low, high


def stated_scale(scale: Sequence[int | float]) -> tuple[float, float]:
    """The scale that the caller states.

    Raises: SettingError if it is not a lowest and a higher, finite number.
    """
    if len(scale) != 2 or not np.isfinite(scale).all() or not scale[0] < scale[1]:
        raise SettingError(
            f"scale={tuple(scale)}: expected the lowest and the highest rating, such as (1, 5)."
        )
    return float(scale[0]), float(scale[1])
