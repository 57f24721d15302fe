"""Layout: how the lines of a text file are read; found from its first lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recollect.data.parsing.columns import is_usual
from recollect.data.parsing.lines import head
from recollect.errors import DataError

SEPARATORS = ("::", "\t", ",", ";", "|", " ")  # in order of preference; " " is any run of blanks
ONE_BYTE = "\x1f"  # replaces a longer separator, as Polars takes one byte only
SAMPLE_LINES = 50  # from which separator and header are found
SAMPLE_OBJECTS = 100  # from which the names of columns are found in JSON lines


@dataclass(frozen=True)
class Layout:
    """How the lines of a file are read.

    Args:
        columns: names, from the header; without a header "0", "1", …
        separator: between fields; None if each line is a JSON object.
        header: whether the first line names the columns.
    """

    columns: tuple[str, ...]
    separator: str | None
    header: bool

    @property
    def named(self) -> bool:
        """Whether the columns have names of their own."""
        return self.header or self.separator is None

    @property
    def quoted(self) -> bool:
        """Whether a field may be in double quotes, and so hold separators and line ends."""
        return self.separator is not None and _may_be_quoted(self.separator)

    def frame(self, block: bytes, places: dict[str, int]) -> pl.DataFrame:
        """Some columns of a block of lines, as text, without blank lines.

        Args:
            block: whole lines.
            places: of the columns, by the names that they get in the frame.

        Raises:
            PolarsError: if a line does not fit the layout.
        """
        block = _without_blank_lines(block)
        if not block or block.isspace():
            return pl.DataFrame(schema=dict.fromkeys(places, pl.String))

        if self.separator is None:
            return self._frame_of_objects(block, places)

        return self._frame_of_fields(block, self.separator, places)

    def _frame_of_objects(self, block: bytes, places: dict[str, int]) -> pl.DataFrame:
        names = {role: self.columns[place] for role, place in places.items()}
        schema = dict.fromkeys(names.values(), pl.String)
        table = pl.read_ndjson(io.BytesIO(block), schema=schema)
        columns = {role: pl.col(name) for role, name in names.items()}

        return table.select(**columns)

    def _frame_of_fields(
        self, block: bytes, separator: str, places: dict[str, int]
    ) -> pl.DataFrame:
        numbers = [str(place) for place in range(len(self.columns))]
        has_quotes = self.quoted and _opens_quotes(block, separator)
        table = pl.read_csv(
            io.BytesIO(_with_one_byte(block, separator)),
            has_header=False,
            schema=dict.fromkeys(numbers, pl.String),
            separator=separator if len(separator) == 1 else ONE_BYTE,
            quote_char='"' if has_quotes else None,
            columns=sorted(set(places.values())),
        )

        columns = {role: pl.col(str(place)) for role, place in places.items()}

        return table.select(**columns)

    def records(self, block: bytes) -> Iterator[tuple[int, Sequence[object]]]:
        """The lines that are not blank: the number of each in the block, from 0, and its fields."""
        if self.separator is None:
            return self._objects(block)
        return fields(block.decode(), self.separator)

    def _objects(self, block: bytes) -> Iterator[tuple[int, Sequence[object]]]:
        for number, line in enumerate(block.decode().split("\n")):
            if line.strip():
                record = json.loads(line)
                yield number, [record.get(column) for column in self.columns]


def _may_be_quoted(separator: str) -> bool:
    return len(separator) == 1 and separator != " "


def _without_blank_lines(block: bytes) -> bytes:
    if b"\n\n" in block or b"\n\r\n" in block or block[:1] in b"\r\n":
        return re.sub(rb"(?m)^\s*?\n", b"", block)
    return block


def _opens_quotes(block: bytes, separator: str) -> bool:
    """Whether a field begins with a quote; a quote elsewhere, as in 5", is part of the field."""
    # Most blocks hold no quote, and looking for one byte is much faster than the search.
    if b'"' not in block:
        return False

    escaped = re.escape(separator.encode())
    start = rb"(?:^|[\n" + escaped + rb'])"'

    return re.search(start, block) is not None


def _with_one_byte(block: bytes, separator: str) -> bytes:
    """The block with a separator of one byte, and without blanks around lines if these separate."""
    if separator == " ":
        one_blank = re.sub(rb"[ \t]+", b" ", block)
        return re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", one_blank)

    if len(separator) == 1:
        return block

    return block.replace(separator.encode(), ONE_BYTE.encode())


def fields(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank: the number of the first line, from 0, and the fields."""
    if _may_be_quoted(separator):
        return _quoted_fields(text, separator)
    return _plain_fields(text, separator)


def _quoted_fields(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    first_line = 0

    # csv refuses a field that is too long to be one; nothing can be said of the lines after it.
    with suppress(csv.Error):
        for record in reader:
            if record:
                yield first_line, record

            first_line = reader.line_num


def _plain_fields(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n")):
        if not line.strip():
            continue

        if separator == " ":
            yield number, line.split()
        else:
            yield number, line.rstrip("\r").split(separator)


def find_layout(
    path: Path, *, separator: str | None, header: bool | None, column_names: Sequence[str]
) -> Layout:
    """The layout of a file, as stated or else as its first lines show it.

    Args:
        path: of the file, packed or not.
        separator: between fields; None: found.
        header: whether the first line names the columns; None: found.
        column_names: that the caller requests; a line that has one of them is a header.

    Raises:
        DataError: if the file is empty, not text, a JSON array, or no separator fits.
    """
    text = head(path)
    _check_text(text, path)
    if separator is None:
        if text.lstrip().startswith("["):
            raise DataError(
                f"{path} is one JSON array; expected one JSON object a line (JSON lines). Read it "
                "yourself and pass the table to recollect.from_frame."
            )

        if text.lstrip().startswith("{"):
            return Layout(_names_of_objects(text), separator=None, header=False)

    return _layout_of_fields(
        text,
        path,
        separator=separator,
        header=header,
        column_names=column_names,
    )


def _check_text(text: str, path: Path) -> None:
    if "\x00" in text:
        raise DataError(
            f"{path} is not a text file of ratings in UTF-8 or Latin-1 (it holds zero bytes); save "
            "it as CSV in UTF-8, or as Parquet."
        )

    if not text.strip():
        raise DataError(f"{path} is empty; expected a rating a line, such as 42,1193,5.")


def _names_of_objects(text: str) -> tuple[str, ...]:
    """The keys of the first JSON objects, in the order in which they are first seen."""
    names: dict[str, None] = {}
    lines = text.split("\n")
    for line in lines[:SAMPLE_OBJECTS]:
        names |= dict.fromkeys(_object(line))
    return tuple(names)


def _object(line: str) -> dict[str, object]:
    """The JSON object in a line; empty if it is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _layout_of_fields(
    text: str,
    path: Path,
    *,
    separator: str | None,
    header: bool | None,
    column_names: Sequence[str],
) -> Layout:
    sample = "\n".join(text.split("\n")[:SAMPLE_LINES])
    if not separator:
        separator = max(SEPARATORS, key=lambda candidate: _fit(sample, candidate))

    records = [record for _, record in fields(sample, separator)] or [[sample]]
    first = [field.strip() for field in records[0]]
    if len(first) < 2:
        raise DataError(
            f"No separator was found in {path}, whose first line is {first[0][:80]!r}; expected "
            'fields separated by commas, tabs, "::", semicolons, bars or blanks. Or state it: '
            'separator="…".'
        )

    if header is None:
        header = any(name in column_names for name in first) or _looks_like_header(first, records)

    if header:
        return Layout(tuple(first), separator, header=True)

    return Layout(tuple(map(str, range(len(first)))), separator, header=False)


def _fit(text: str, separator: str) -> tuple[int, int]:
    """How well a separator fits: lines with as many fields as the first, then fields, up to 3.

    (0, 0) if the first line has one field only.
    """
    widths = [len(record) for _, record in fields(text, separator)]
    if not widths or widths[0] < 2:
        return 0, 0

    first = widths[0]
    n_alike = widths.count(first)
    # Up to 3, as a separator that also stands in texts makes many fields.
    return n_alike, min(first, 3)


def _looks_like_header(first: Sequence[str], records: Sequence[Sequence[str]]) -> bool:
    """Whether the first record has no number, and a usual name or numbers in the next record."""
    if any(map(_is_number, first)):
        return False

    if any(map(is_usual, first)):
        return True

    return len(records) > 1 and any(map(_is_number, records[1]))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
