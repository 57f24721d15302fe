"""A small language to ask for items: `genre:Drama year>=1990 -title:Titanic seen`.

    field:value       the field has the value; upper and lower case are the same
    field=value       the field is exactly the value, and nothing beside it
    field>=number     also <=, > and <; dates such as 2003-07-01 are compared as well
    -field:value      not
    seen, -seen       whether items are listed that the user has rated

Terms stand side by side, and all must hold. A value or a field with blanks stands in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recollect.data.from_objects import is_table
from recollect.data.vocab import as_text
from recollect.errors import SettingError

SEEN = "seen"
FORM = (
    "write field:value, field=value, field>=number, field<=number, field>number or field<number, "
    'with - in front for "not" and quotes around what has blanks, such as genre:Drama year>=1990 '
    '-title:"The Sting"'
)
TERM = re.compile(
    r"""\s*
    (?P<no>-)?
    (?P<field>"[^"]*"|'[^']*'|[^\s:=<>"'-][^\s:=<>"']*)
    (?:\s*(?P<sign>>=|<=|==|>|<|=|:)\s*(?P<value>"[^"]*"|'[^']*'|[^\s"']\S*))?
    (?=\s|$)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Term:
    """One condition on a field of the items.

    Args:
        field: its name, as the caller wrote it.
        sign: ":", "=", ">=", "<=", ">" or "<".
        values: one of them must fit; a query has one, a mapping may have several.
        negated: whether the items are wanted that do not fit.
        text: the term as the caller wrote it, for messages.
    """

    field: str
    sign: str
    values: tuple[str, ...]
    negated: bool
    text: str


def parse(query: str) -> tuple[list[Term], bool | None]:
    """The terms of a query, and what it says of `seen`: True, False for `-seen`, None for nothing.

    Raises:
        SettingError: for something that is no term, or if it says both of `seen`.
    """
    terms = []
    seen: set[bool] = set()
    place = 0
    query = query.rstrip()

    while place < len(query):
        match = TERM.match(query, place)
        if match is None:
            raise SettingError(f"{query[place:].strip()!r} begins with no term; {FORM}.")

        place = match.end()
        text = match[0].strip()
        if match["sign"] is None:
            if match["field"] != SEEN:
                raise SettingError(f"{text!r} is no term, and all terms must hold; {FORM}.")

            seen.add(match["no"] is None)
            continue

        terms.append(_term(match, text))

    if len(seen) > 1:
        raise SettingError(f"{query!r} has both seen and -seen; leave one out.")

    return terms, seen.pop() if seen else None


def _term(match: re.Match[str], text: str) -> Term:
    """A term with a field, a sign and a value.

    Raises:
        SettingError: if the value is blank.
    """
    value = _unquoted(match["value"])
    if not value:
        raise SettingError(f"{text!r} has no value; {FORM}.")

    sign = match["sign"].replace("==", "=")
    is_negated = match["no"] is not None

    return Term(_unquoted(match["field"]), sign, (value,), is_negated, text)


def _unquoted(text: str) -> str:
    return text[1:-1].strip() if text[:1] in ("'", '"') else text


def terms_of(fields: Mapping[Any, Any]) -> list[Term]:
    """The terms of a mapping: {field: value}, or {field: [value, …]} where one of them must fit.

    Raises:
        SettingError: for a field without a value, or one whose value is missing.
    """
    terms = []

    for field, value in fields.items():
        several = isinstance(value, list | tuple | set | frozenset)
        values = as_text(list(value) if several else [value])
        if not len(values) or values.null_count() or isinstance(value, Mapping) or is_table(value):
            raise SettingError(
                f"where has {field!r}: {value!r}; expected a value, or a list of values one of "
                "which must fit."
            )

        text = f"{field}:{' or '.join(values)}"
        terms.append(Term(str(field), ":", tuple(values), negated=False, text=text))

    return terms
