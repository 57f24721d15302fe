"""The first lines of a table: what stands before it, and whether one names its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from recollect.data.parsing.columns import ROLES, is_usual
from recollect.data.parsing.quotes import is_number

COMMENTS = ("#", "%")
SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's first line
HEADER_NOTE = (
    "The first line, {}, was read as the header that pandas writes for columns without names; say "
    "so if it is a rating."
)
DATA_NOTE = (
    "The first line, {}, was read as a rating; it may be the header that pandas writes for columns "
    "without names."
)


@dataclass(frozen=True)
class Preamble:
    """What stands before a table.

    Args:
        n_lines: how many lines of the file.
        separator: the one that Excel's line sep= states, or None.
        comments: the lines that are comments, without their mark.
    """

    n_lines: int = 0
    separator: str | None = None
    comments: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        if not self.comments:
            return ()

        return (f"Lines of comments at the start, left out: {len(self.comments)}.",)


def preamble_of(lines: Sequence[str]) -> Preamble:
    """What stands before the table in the first lines of a file: sep=, comments, blank lines."""
    separator = None
    comments = []
    n_lines = 0

    for line in lines:
        stated = SEPARATOR_LINE.fullmatch(line)
        if stated is not None and n_lines == 0:
            separator = stated.group(1)
        elif line.startswith(COMMENTS):
            comments.append(line.lstrip("#% ").rstrip())
        elif line.strip():
            break

        n_lines += 1
    else:
        # Nothing but comments: they are lines like any other.
        return Preamble()

    return Preamble(n_lines, separator, tuple(comments))


def looks_like_header(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first record names the columns of the others.

    It does so with a usual name above numbers, or of users at its start; with a usual name, or
    texts above numbers, if it has no number itself; and as pandas numbers columns without names.
    """
    first = records[0]
    others = records[1:]
    above_numbers = [
        name for place, name in enumerate(first) if _is_column_of_numbers(others, place)
    ]
    names = [name for name in above_numbers if not is_number(name)]
    if any(map(is_usual, names)) or is_usual(first[0], ("user",)):
        return True

    # Numbers beside a name above numbers: a table with a column for each item.
    if names and (names[0] == "" or len(first) > len(ROLES)):
        return True

    if is_numbered(first):
        return _differs(first, others)

    if any(map(is_number, first)):
        return False

    if any(map(is_usual, first)):
        return True

    return bool(others) and any(map(is_number, others[0]))


def header_note(records: Sequence[Sequence[str]], *, header: bool) -> str | None:
    """A note, if the first record is numbered as pandas does, on how it was read."""
    first = records[0]
    if not is_numbered(first) or len(records) < 2:
        return None

    return (HEADER_NOTE if header else DATA_NOTE).format(",".join(first))


def is_numbered(first: Sequence[str]) -> bool:
    """Whether the fields are 0, 1, 2, … as pandas names columns; the index before has no name."""
    names = list(first[1:]) if first[0] == "" else list(first)
    return len(names) >= 3 and names == [str(place) for place in range(len(names))]


def _differs(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether a column holds what its first, whole number would not be among."""
    for place, name in enumerate(first):
        column = [record[place] for record in others if place < len(record)]
        if not column or name == "":
            continue

        if not any(map(_is_small, column)):
            return True

    return first[0] == ""


def _is_small(field: str) -> bool:
    """Whether a field is a whole number that is not as large as a time."""
    return field.strip().isdecimal() and len(field.strip()) < 7


def _is_column_of_numbers(records: Sequence[Sequence[str]], place: int) -> bool:
    column = [record[place] for record in records if place < len(record)]
    return bool(column) and all(map(is_number, column))
