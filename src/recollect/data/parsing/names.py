"""The usual names of columns, by their roles."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Usual names, as `normalized` writes them, the surest first.
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
MANY_COLUMNS = 40  # more than a table of single ratings has


def place_by_usual_name(names: Sequence[str], columns: Sequence[str]) -> int | None:
    """The place of the first of the usual names that a column has."""
    as_usual = [normalized(column) for column in columns]
    for name in names:
        if name in as_usual:
            return as_usual.index(name)
    return None


def usual_names(role: str, *, implicit: bool) -> Sequence[str]:
    """The usual names of the column of a role; of the count of events, if `implicit`."""
    if role == "text":
        return TEXT
    if role == "rating" and implicit:
        return COUNT
    return USUAL[role]


def is_usual(name: str, roles: Sequence[str] = ROLES) -> bool:
    """Whether this is a usual name of one of the roles."""
    return any(normalized(name) in USUAL[role] for role in roles)


def normalized(name: str) -> str:
    """A name as the tables above write it: lower case letters and digits only.

    A RecBole type (":token", ":float") is left out.
    """
    lower = name.lower()
    before_type, _, _ = lower.partition(":")
    return re.sub(r"[^a-z0-9]", "", before_type)
