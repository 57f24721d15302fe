"""Lines that are objects: JSON, or the Python literals that some public files have instead."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from recollect.data.parsing.lines import without_blank_lines
from recollect.errors import DataError

SAMPLE = 100  # objects from which the names of columns are found
LITERAL = re.compile(r"\s*\{\s*(?:u?'|\})")  # how a line begins that is a Python dictionary
SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}|\\u0000")
NESTED = r"^[\[{]"


class LineError(DataError):
    """A line is no object; `line` counts from 0 in its block."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def is_literal(text: str) -> bool:
    """Whether a text begins with a Python dictionary in place of a JSON object."""
    return LITERAL.match(text) is not None


def names_of(text: str) -> tuple[str, ...]:
    """The keys of the first objects, in the order in which they are first seen."""
    names: dict[str, None] = {}

    for line in text.split("\n")[:SAMPLE]:
        try:
            names |= dict.fromkeys(parse(line))
        except ValueError:
            continue

    return tuple(names)


def parse(line: str) -> dict[str, Any]:
    """The object in a line. No code is run.

    Raises:
        ValueError: saying what is wrong, if it is none.
    """
    try:
        value = ast.literal_eval(line.strip()) if is_literal(line) else json.loads(line)
    except (RecursionError, MemoryError):
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as problem:
        raise ValueError(f"{problem.msg} at its character {problem.pos + 1}") from None
    except (ValueError, SyntaxError, TypeError):
        raise ValueError("it is neither JSON nor a Python literal") from None

    if not isinstance(value, dict):
        raise ValueError(f"it is a {type(value).__name__}")

    if "\\ud" in line.lower() and not _is_unicode(value):
        raise ValueError(
            "it has half of a letter (\\ud800 to \\udfff), which is no text in Unicode"
        )

    return {str(key): entry for key, entry in value.items()}


def _is_unicode(value: object) -> bool:
    """Whether all texts in a value can be written."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False

    return True


def records(block: bytes, columns: Sequence[str]) -> Iterator[tuple[int, list[Any]]]:
    """The objects of a block: the number of each line, from 0, and its entries for the columns.

    Raises:
        LineError: at the first line that is no object.
    """
    for number, line in enumerate(block.decode().split("\n")):
        if not line.strip():
            continue

        try:
            entries = parse(line)
        except ValueError as problem:
            raise LineError(number, str(problem)) from None

        yield number, [entries.get(column) for column in columns]


def frame(block: bytes, columns: Sequence[str], names: dict[str, str]) -> pl.DataFrame:
    """Some entries of a block of objects, as text.

    Args:
        block: whole lines.
        columns: all names of entries.
        names: of the entries, by the names that they get in the frame.

    Raises:
        LineError: at the first line that is no object, or whose entry is none of text and number.
    """
    if not is_literal(block[:80].decode(errors="ignore")) and not SURROGATE.search(block):
        schema = dict.fromkeys(names.values(), pl.String)

        try:
            table = pl.read_ndjson(io.BytesIO(without_blank_lines(block)), schema=schema)
        except pl.exceptions.PolarsError:
            return _frame_line_by_line(block, columns, names)

        table = table.select(**{role: pl.col(name) for role, name in names.items()})
        is_nested = pl.any_horizontal(pl.all().str.contains(NESTED))
        if not table.select(is_nested.any()).item():
            return table

    return _frame_line_by_line(block, columns, names)


def _frame_line_by_line(
    block: bytes, columns: Sequence[str], names: dict[str, str]
) -> pl.DataFrame:
    places = [list(columns).index(name) for name in names.values()]
    rows = []

    for number, record in records(block, columns):
        texts = [_text(record[place], columns[place], number) for place in places]
        rows.append(texts)

    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _text(entry: object, name: str, number: int) -> str | None:
    """An entry as text; None if it is missing."""
    if entry is None:
        return None

    if isinstance(entry, dict | list | tuple | set | bytes):
        raise LineError(number, f"its {name!r} is {str(entry)[:60]!r}; expected one value")

    text = json.dumps(entry) if isinstance(entry, bool | float) else _integer_text(entry, number)
    if "\x00" in text or _has_surrogate(text):
        raise LineError(number, f"its {name!r} is {text!r}, which is no text in Unicode")

    return text


def _integer_text(entry: object, number: int) -> str:
    try:
        return str(entry)
    except ValueError:  # Python writes whole numbers of up to 4,300 digits
        raise LineError(number, "it has a number of thousands of digits") from None


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)
