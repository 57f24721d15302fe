"""Columns and their roles: which one is the user, the item, the rating and the time."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from recollect.arguments import expect_column
from recollect.data.parsing.names import (
    COUNT,
    EVENT_ROLES,
    MANY_COLUMNS,
    ROLES,
    USUAL,
    normalized,
    place_by_usual_name,
    usual_names,
)
from recollect.errors import DataError
from recollect.system.door import words

Column = str | int | None  # its name, its place from 0, or None: found by its usual name


def requested_columns(*, user: Any, item: Any, rating: Any, time: Any) -> dict[str, Column]:
    """The column that the caller names for each of the ROLES, or None.

    Args:
        user: the column of user ids, as the caller gave it.
        item: the column of item ids.
        rating: the column of ratings or counts.
        time: the column of times.

    Raises:
        SettingError: for what cannot name a column.
    """
    requested = {
        "user": user,
        "item": item,
        "rating": rating,
        "time": time,
    }
    for role, column in requested.items():
        expect_column(role, column)

    return requested


def find_columns(
    columns: Sequence[str],
    requested: Mapping[str, Column],
    *,
    named: bool,
    implicit: bool = False,
    required: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
) -> dict[str, int]:
    """The place of the column of each role: as requested, else by its usual name or its order.

    A column has one role: what the caller requests comes first, and a column that has a role is
    not taken for another.

    Args:
        columns: names of the table's columns.
        requested: the column that the caller names for each of the ROLES, or None.
        named: whether the columns have names; else the order of the columns gives their roles.
        implicit: the rows are events; a rating, the count, may be missing.
        required: the roles that must have a column; None: user, item and, without `implicit`,
            rating.
        order: the roles of the columns of a table without a header; None: ROLES, of events
            EVENT_ROLES.

    Raises:
        DataError: if a requested column does not exist or has two roles, if there is none for a
            required role, if there are more columns than roles, or if events have ratings.
    """
    if implicit:
        _check_events(columns, requested, named=named)

    places = requested_places(columns, requested, named=named)
    if required is None:
        required = ("user", "item") if implicit else ("user", "item", "rating")

    if order is None:
        order = EVENT_ROLES if implicit else ROLES

    if not named:
        _check_width(columns, places, required, order, implicit=implicit)

    for role in ROLES:
        if role not in places:
            place = _usual_place(role, columns, order=None if named else order, implicit=implicit)
            if place is not None and place not in places.values():
                places[role] = place

    if implicit and not named and "rating" in places and requested["time"] is None:
        # The order user, item, time holds only if no column is a count.
        places.pop("time", None)

    _check_complete(places, required, columns)

    return places


def requested_places(
    columns: Sequence[str], requested: Mapping[str, Column], *, named: bool
) -> dict[str, int]:
    """The places of the columns that the caller names.

    Raises:
        DataError: if one does not exist, or is named for two roles.
    """
    places: dict[str, int] = {}

    for role, column in requested.items():
        if column is None:
            continue

        place = _requested_place(role, columns, column, named=named)
        for other, taken in places.items():
            if taken == place:
                raise DataError(
                    f"The column {columns[place]!r} is named for {other} and for {role}; a column "
                    f"has one role. Name another one for {other} or for {role}."
                )

        places[role] = place

    return places


def _check_width(
    columns: Sequence[str],
    places: Mapping[str, int],
    required: Sequence[str],
    order: Sequence[str],
    *,
    implicit: bool,
) -> None:
    """Refuse a table without a header that has more columns than there are roles."""
    # Of events, a fourth column is a count or a time (`_check_events`).
    n_most = len(ROLES) if implicit else len(order)
    if len(columns) <= n_most or all(role in places for role in required):
        return

    by_number = words(
        "user=0, item=1, rating=2", "--user-column 0 --item-column 1 --rating-column 2"
    )
    raise DataError(
        f"The table has {len(columns)} columns and no header; expected {', '.join(order)}. Say "
        f"which column is which, by number from 0: {by_number}. If each line holds the ratings of "
        f"a user, a column for each item, read it as such: {words('wide=True', '--wide')}."
    )


def find_text_columns(columns: Sequence[str], *, item: Column, text: Column) -> tuple[int, int]:
    """The places of the item and of its text in a table of documents.

    Args:
        columns: names of the table's columns.
        item: the column of item ids that the caller names; None: found by its usual name.
        text: the column of texts that the caller names; None: found by its usual name.

    Raises:
        DataError: if there is none.
    """
    stated = {"item": item, "text": text}
    places = requested_places(columns, stated, named=True)

    for role in stated:
        place = _usual_place(role, columns)
        if role not in places and place is not None and place not in places.values():
            places[role] = place

    # The first line of a file without a header is a document, too long for a message.
    _check_complete(places, ("item", "text"), [column[:40] for column in columns])

    return places["item"], places["text"]


def _check_complete(
    places: Mapping[str, int], required: Sequence[str], columns: Sequence[str]
) -> None:
    missing = [role for role in required if role not in places]
    if missing and _is_wide(places, columns):
        raise DataError(
            f"The table has a column for each item ({_listed(columns[:8])} …), and none for item "
            f"and rating: it is users × items. Read it as such: {words('wide=True', '--wide')}; "
            "blank fields are unknown, and if a number means not rated, say which: "
            f"{words('not_rated=0', '--not-rated 0')}."
        )

    if missing == ["rating"]:
        by_name = words('rating="…"', "--rating-column …")
        raise DataError(
            f"There is no rating column among {_listed(columns)}. If one of them holds ratings, "
            f"name it: {by_name}. If each line is an event (a "
            f"view, a click, a purchase), say so: {words('implicit=True', '--implicit')}."
        )

    if missing:
        arguments = ", ".join(f'{role}="…"' for role in missing)
        options = " ".join(f"--{role}-column …" for role in missing)
        raise DataError(
            f"No column for {' and '.join(missing)} was found among {_listed(columns)}. Name it: "
            f"{words(arguments, options)}."
        )


def _is_wide(places: Mapping[str, int], columns: Sequence[str]) -> bool:
    """Whether the columns look like those of users × items: numbered, or very many."""
    if "item" in places or "rating" in places:
        return False

    n_numbers = sum(column.strip().isdecimal() for column in columns)

    return n_numbers >= max(2, len(columns) - 2) or len(columns) > MANY_COLUMNS


def _check_events(columns: Sequence[str], requested: Mapping[str, Column], *, named: bool) -> None:
    """Refuse events that are ambiguous: with a column of ratings, or more columns than roles."""
    if requested["rating"] is not None:
        return

    if not named:
        is_stated = requested["user"] is not None and requested["item"] is not None
        if len(columns) > len(EVENT_ROLES) and requested["time"] is None and not is_stated:
            raise DataError(
                "Events without a header stand in the order user, item, time, and this table has "
                f"{len(columns)} columns. Say which is the time "
                f"({words('time=3', '--time-column 3')}), and which the count if there is one "
                f"({words('rating=2', '--rating-column 2')})."
            )

        return

    rating = place_by_usual_name(USUAL["rating"], columns)
    count = place_by_usual_name(COUNT, columns)
    if rating is not None and count is None:
        name = columns[rating]
        raise DataError(
            f"Events have no ratings, and there is a column {name!r}. If it holds counts, name it: "
            f"{words(f'rating={name!r}', f'--rating-column {name!r}')}. If it holds ratings, read "
            "them as such and take those that are high as events: "
            f"{words('ratings.events(from_=4)', '--events-from 4')}."
        )


def _requested_place(role: str, columns: Sequence[str], column: str | int, *, named: bool) -> int:
    """The place of the column that the caller names by its name or its place."""
    if isinstance(column, int):
        return _checked_place(role, columns, column)

    # A number that is no name, as the command line has it, is a place.
    is_number = column.isascii() and column.isdigit()
    if is_number and column not in columns:
        return _checked_place(role, columns, int(column[:9]))

    return _place_by_name(role, columns, column, named=named)


def _usual_place(
    role: str,
    columns: Sequence[str],
    *,
    order: Sequence[str] | None = None,
    implicit: bool = False,
) -> int | None:
    """The place of the column of a role by its usual name or its order; None if there is none.

    Args:
        role: of the column.
        columns: their names.
        order: the roles of columns without names; None: the columns have names.
        implicit: the rows are events.
    """
    if order is None:
        return place_by_usual_name(usual_names(role, implicit=implicit), columns)

    if role not in order[: len(columns)]:
        return None

    return order.index(role)


def _checked_place(role: str, columns: Sequence[str], place: int) -> int:
    if not 0 <= place < len(columns):
        raise DataError(
            f"{words(f'{role}={place}', f'--{role}-column {place}')}: the table has "
            f"{len(columns)} columns, numbered 0 to {len(columns) - 1}."
        )

    return place


def _place_by_name(role: str, columns: Sequence[str], name: str, *, named: bool) -> int:
    """The place of a column that the caller names, exactly or in other letters.

    Raises:
        DataError: if there is none; it names the nearest.
    """
    if name in columns:
        return list(columns).index(name)

    as_usual = [normalized(column) for column in columns]
    if normalized(name) in as_usual:
        return as_usual.index(normalized(name))

    message = f"There is no column {name!r} for {role}."
    lower = [column.lower() for column in columns]

    for nearest in difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5):
        message += f" Did you mean {columns[lower.index(nearest)]!r}?"

    message += f" Columns: {_listed(columns)}."
    if not named:
        message += " The table has no header; columns are named by place: 0, 1, …"

    raise DataError(message)


def _listed(columns: Sequence[str]) -> str:
    listed = [repr(column) for column in columns[:20]]
    if len(columns) > 20:
        listed.append("…")
    return ", ".join(listed)
