"""Columns and their roles: which one is the user, the item, the rating and the time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from recollect.errors import DataError

Column = str | int | None  # its name, its place from 0, or None: found by its usual name

# Usual names, as `_normalized` writes them, the surest first.
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
# The same of the count of events, which stands in place of a rating.
COUNT = (
    "count",
    "counts",
    "nevents",
    "plays",
    "playcount",
    "listens",
    "weight",
)
# The same of an item's text, in a table of documents.
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
)
# The order of the columns of a table without a header.
ROLES = ("user", "item", "rating", "time")
EVENT_ROLES = ("user", "item", "time")


def find_columns(
    columns: Sequence[str],
    requested: Mapping[str, Column],
    *,
    named: bool,
    implicit: bool = False,
) -> dict[str, int]:
    """The place of the column of each role: as requested, else by its usual name or its order.

    Args:
        columns: names of the table's columns.
        requested: the column that the caller names for each of the ROLES, or None.
        named: whether the columns have names; else the order of the columns gives their roles.
        implicit: the rows are events; a rating, the count, may be missing.

    Raises:
        DataError: if a requested column does not exist, if there is none for the user, the item or
            the rating, or if events have ratings.
    """
    if implicit:
        _check_events(columns, requested, named=named)

    places = {}

    for role in ROLES:
        place = _place(role, columns, requested[role], named=named, implicit=implicit)
        if place is not None:
            places[role] = place

    if implicit and not named and requested["rating"] is not None and requested["time"] is None:
        # The order user, item, time holds only if no column is a count.
        places.pop("time", None)

    required = ("user", "item") if implicit else ("user", "item", "rating")
    _check_complete(places, required, columns)

    return places


def find_text_columns(columns: Sequence[str], *, item: Column, text: Column) -> tuple[int, int]:
    """The places of the item and of its text in a table of documents.

    Args:
        columns: names of the table's columns.
        item: the column of item ids that the caller names; None: found by its usual name.
        text: the column of texts that the caller names; None: found by its usual name.

    Raises:
        DataError: if there is none.
    """
    places = {}

    for role, requested in (("item", item), ("text", text)):
        place = _place(role, columns, requested, named=True)
        if place is not None:
            places[role] = place

    # The first line of a file without a header is a document, too long for a message.
    _check_complete(places, ("item", "text"), [column[:40] for column in columns])

    return places["item"], places["text"]


def _check_complete(
    places: Mapping[str, int], required: Sequence[str], columns: Sequence[str]
) -> None:
    missing = [role for role in required if role not in places]
    if missing == ["rating"]:
        raise DataError(
            f"There is no rating column among {_listed(columns)}. If one of them holds ratings, "
            'name it: rating="…". If each line is an event (a view, a click, a purchase), say so: '
            "implicit=True, on the command line --implicit."
        )

    if missing:
        arguments = ", ".join(f'{role}="…"' for role in missing)
        options = " ".join(f"--{role}-column …" for role in missing)
        raise DataError(
            f"No column for {' and '.join(missing)} was found among {_listed(columns)}. Name it: "
            f"{arguments}, on the command line {options}."
        )


def _check_events(columns: Sequence[str], requested: Mapping[str, Column], *, named: bool) -> None:
    """Refuse events that are ambiguous: with a column of ratings, or more columns than roles."""
    if requested["rating"] is not None:
        return

    if not named:
        if len(columns) > len(EVENT_ROLES) and requested["time"] is None:
            raise DataError(
                "Events without a header stand in the order user, item, time, and this table has "
                f"{len(columns)} columns. Say which is the time (time=3), and which the count if "
                "there is one (rating=2)."
            )

        return

    rating = place_by_usual_name(USUAL["rating"], columns)
    count = place_by_usual_name(COUNT, columns)
    if rating is not None and count is None:
        raise DataError(
            f"Events have no ratings, and there is a column {columns[rating]!r}. If it holds "
            f"counts, name it: rating={columns[rating]!r}. If it holds ratings, read them as such "
            "and take those that are high as events: ratings.events(from_=4), on the command line "
            "--events-from 4."
        )


def _place(
    role: str,
    columns: Sequence[str],
    requested: Column,
    *,
    named: bool,
    implicit: bool = False,
) -> int | None:
    """The place of the column of a role; None if there is none and none is requested."""
    if isinstance(requested, int):
        return _checked_place(role, columns, requested)

    if requested is not None:
        return _place_by_name(role, columns, requested, named=named)

    if named:
        return place_by_usual_name(_usual_names(role, implicit=implicit), columns)

    order = EVENT_ROLES if implicit else ROLES
    if role not in order[: len(columns)]:
        return None

    return order.index(role)


def _checked_place(role: str, columns: Sequence[str], place: int) -> int:
    if not 0 <= place < len(columns):
        raise DataError(
            f"{role}={place}: the table has {len(columns)} columns, numbered 0 to "
            f"{len(columns) - 1}."
        )

    return place


def _place_by_name(role: str, columns: Sequence[str], name: str, *, named: bool) -> int:
    """The place of a column that the caller names, exactly or in other letters.

    Raises:
        DataError: if there is none; it names the nearest.
    """
    if name in columns:
        return list(columns).index(name)

    normalized = [_normalized(column) for column in columns]
    if _normalized(name) in normalized:
        return normalized.index(_normalized(name))

    message = f"There is no column {name!r} for {role}."
    lower = [column.lower() for column in columns]

    for nearest in difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5):
        message += f" Did you mean {columns[lower.index(nearest)]!r}?"

    message += f" Columns: {_listed(columns)}."
    if not named:
        message += " The table has no header; columns are named by place: 0, 1, …"

    raise DataError(message)


def place_by_usual_name(names: Sequence[str], columns: Sequence[str]) -> int | None:
    """The place of the first of the usual names that a column has."""
    normalized = [_normalized(column) for column in columns]
    for name in names:
        if name in normalized:
            return normalized.index(name)
    return None


def _usual_names(role: str, *, implicit: bool) -> Sequence[str]:
    if role == "text":
        return TEXT
    if role == "rating" and implicit:
        return COUNT
    return USUAL[role]


def is_usual(name: str) -> bool:
    """Whether this is a usual name of one of the roles."""
    normalized = _normalized(name)
    return any(normalized in names for names in USUAL.values())


def _normalized(name: str) -> str:
    """Lower case letters and digits only; a RecBole type (":token", ":float") is left out."""
    lower = name.lower()
    before_type, _, _ = lower.partition(":")
    return re.sub(r"[^a-z0-9]", "", before_type)


def _listed(columns: Sequence[str]) -> str:
    listed = [repr(column) for column in columns[:20]]
    if len(columns) > 20:
        listed.append("…")
    return ", ".join(listed)
