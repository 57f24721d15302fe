"""Quotes in delimited text: which are marks around a field, and which are part of its text.

A quote opens a field only if one answers it before the next separator or the end of the line;
otherwise it is a letter like any other, so that no line is swallowed. A field runs over several
lines only if the lines say so together: joined they are one record of the right width, and none of
the lines that would be joined is a record by itself. "" and \\" inside a quoted field are a quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import polars as pl

from recollect.data.parsing.lines import without_blank_lines

QUOTE = b'"'
LONGEST_RECORD = 1000  # lines that a record may have
PUNCTUATION = r"\.+*?()|[]{}^$#&-~"  # that means something in a pattern


@dataclass(frozen=True)
class Shape:
    """What a line must be, to be a record.

    Args:
        separator: of one byte, between fields.
        width: fields of a record.
        number: the place of a field that is a number; None: there is none.
        single: places of the fields that never hold a line end: ids, numbers, times.
        keeps_lines: whether records of several lines are taken before records of one, as in a
            table of texts.
    """

    separator: str
    width: int
    number: int | None = None
    single: tuple[int, ...] = ()
    keeps_lines: bool = False

    def stands_alone(self, line: str) -> bool:
        """Whether a line is a record by itself."""
        if self.keeps_lines:
            return False

        fields, _ = split(line, self.separator)
        if len(fields) != self.width:
            return False

        return self.number is None or is_number(fields[self.number])

    def is_record(self, fields: Sequence[str]) -> bool:
        """Whether fields of several lines are one record."""
        if len(fields) != self.width:
            return False

        return not any("\n" in fields[place].strip() for place in self.single)


def is_number(field: str) -> bool:
    """Whether a field is a number."""
    try:
        float(field)
    except ValueError:
        return False
    return True


@cache
def _patterns(separator: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """A field in quotes as CSV has it; the same with \\" in it; a field without quotes."""
    escaped = re.escape(separator)
    end = rf"[ ]*(?={escaped}|\r?\Z)"
    return (
        re.compile(rf'[ ]*"((?:[^"]|"")*+)"{end}'),
        re.compile(rf'[ ]*"((?:[^"\\]|""|\\.)*+)"{end}', re.DOTALL),
        re.compile(rf"[^{escaped}]*"),
    )


def split(line: str, separator: str) -> tuple[list[str], bool]:
    """The fields of a line, and whether a quote opens one of them that none answers."""
    quoted, with_backslashes, plain = _patterns(separator)
    line = line.removesuffix("\r")
    if '"' not in line:
        return line.split(separator), False

    fields = []
    is_open = False
    place = 0

    while True:
        match = quoted.match(line, place)
        if match is not None:
            fields.append(match.group(1).replace('""', '"'))
        elif (match := with_backslashes.match(line, place)) is not None:
            fields.append(re.sub(r'\\(["\\])', r"\1", match.group(1)).replace('""', '"'))
        else:
            match = plain.match(line, place)
            assert match is not None  # it matches the empty text, too
            fields.append(match.group())
            is_open |= match.group().lstrip(" ").startswith('"')

        place = match.end()
        if place >= len(line):
            return fields, is_open

        place += len(separator)


class QuotedLines:
    """The lines of a block with quotes, as records.

    Args:
        lines: without their ends.
        shape: of a record.
        is_last: whether no lines follow; otherwise a record may go on in the next block.
    """

    def __init__(self, lines: Sequence[str], shape: Shape, *, is_last: bool) -> None:
        self.lines = lines
        self.shape = shape
        self.is_last = is_last

    @classmethod
    def of(cls, block: bytes, shape: Shape) -> QuotedLines:
        """The lines of a block after which no lines follow."""
        lines = block.decode().removesuffix("\n").split("\n")
        return cls(lines, shape, is_last=True)

    def stop_of(self, start: int) -> tuple[int | None, list[str]]:
        """The line after the record that begins at a line, and its fields; None: it may go on."""
        separator = self.shape.separator
        fields, is_open = split(self.lines[start], separator)
        if not is_open:
            return start + 1, fields

        bound = start + LONGEST_RECORD

        for stop in range(start + 1, min(bound, len(self.lines))):
            line = self.lines[stop]
            if self.shape.stands_alone(line):
                return start + 1, fields

            if '"' in line:
                joined = "\n".join(self.lines[start : stop + 1])
                whole, remains_open = split(joined, separator)
                if not remains_open and self.shape.is_record(whole):
                    return stop + 1, whole

        if bound <= len(self.lines) or self.is_last:
            return start + 1, fields

        return None, fields

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """The records that are not blank: the number of the first line of each, and its fields."""
        start = 0

        while start < len(self.lines):
            stop, fields = self.stop_of(start)
            if self.lines[start].strip():
                yield start, fields

            start = start + 1 if stop is None else stop


def tidy(block: bytes, shape: Shape, *, is_last: bool) -> tuple[bytes, bytes]:
    """A block with quotes in the form that every reader of CSV understands, and its remainder.

    The remainder are the lines of a record that may go on in the next block. Lines that have the
    form already, as most have, are not touched.

    Args:
        block: whole lines.
        shape: of a record.
        is_last: whether no lines follow.
    """
    text = block.decode().removesuffix("\n")
    series = pl.Series([text]).str.split("\n").explode()
    is_tidy = series.str.contains(_tidy_pattern(shape.separator))
    if is_tidy.all():
        return without_blank_lines(block), b""

    lines = series.to_list()
    quoted = QuotedLines(lines, shape, is_last=is_last)
    tidied: list[str] = []
    start = 0

    for untidy in (~is_tidy).arg_true().to_list():
        if untidy < start:  # within a record of several lines
            continue

        tidied += lines[start:untidy]
        stop, fields = quoted.stop_of(untidy)
        if stop is None:
            remainder = "\n".join(lines[untidy:]) + "\n"
            return _joined(tidied), remainder.encode()

        tidied.append(_written(fields, shape.separator))
        start = stop

    tidied += lines[start:]

    return _joined(tidied), b""


def _joined(lines: list[str]) -> bytes:
    filled = [line for line in lines if line.strip()]
    return "".join(f"{line}\n" for line in filled).encode()


def _tidy_pattern(separator: str) -> str:
    """A line whose fields are each in quotes or without any, in the syntax of Polars."""
    escaped = rf"\{separator}" if separator in PUNCTUATION else separator
    field = rf'(?:"(?:[^"]|"")*"|[^"{escaped}]*)'
    return rf"^{field}(?:{escaped}{field})*\r?$"


def _written(fields: Sequence[str], separator: str) -> str:
    """A line of these fields."""
    written = []

    for field in fields:
        needs_quotes = any(mark in field for mark in (separator, '"', "\n", "\r"))
        doubled = field.replace('"', '""')
        written.append(f'"{doubled}"' if needs_quotes else field)

    return separator.join(written)
