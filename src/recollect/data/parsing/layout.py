"""Layout: how the lines of a text file are read; found from its first lines."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from recollect.data.parsing import objects
from recollect.data.parsing.header import (
    Preamble,
    header_note,
    looks_like_header,
    preamble_of,
)
from recollect.data.parsing.lines import TextLines, without_blank_lines
from recollect.data.parsing.quotes import QUOTE, QuotedLines, Shape, split, tidy
from recollect.errors import DataError, SettingError
from recollect.system.door import words

SEPARATORS = ("::", "\t", ",", ";", "|", " ")  # in order of preference; " " is any run of blanks
ONE_BYTE = "\x1f"  # replaces a longer separator, as Polars takes one byte only
SAMPLE_LINES = 50  # from which separator and header are found
NO_BREAK_SPACE = "\xa0".encode()


@dataclass(frozen=True)
class Layout:
    """How the lines of a file are read.

    Args:
        columns: names, from the header; without a header "0", "1", …
        separator: between fields; None if each line is an object.
        header: whether a line names the columns.
        quotes: whether a quote may be a mark around a field; otherwise it is a letter.
        n_before: lines before the first rating: the header, and what stands before it.
        shape: what makes a line a record, if quotes are marks; see `with_roles`.
        notes: what was left out or guessed.
    """

    columns: tuple[str, ...]
    separator: str | None
    header: bool
    quotes: bool = True
    n_before: int = 0
    shape: Shape | None = None
    notes: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether the columns have names of their own."""
        return self.header or self.separator is None

    def with_roles(self, places: dict[str, int], *, keeps_lines: bool = False) -> Layout:
        """The layout for reading some columns; `places` by their roles.

        Args:
            places: of the columns.
            keeps_lines: whether a field in quotes that runs over lines is the rule, as in texts.
        """
        if self.separator is None or not self.quotes or not _may_be_quoted(self.separator):
            return replace(self, shape=None)

        single = [place for role, place in places.items() if role != "text"]
        shape = Shape(
            self.separator,
            len(self.columns),
            number=places.get("rating"),
            single=tuple(single),
            keeps_lines=keeps_lines,
        )

        return replace(self, shape=shape)

    def whole_records(self, block: bytes, *, is_last: bool) -> tuple[bytes | None, bytes]:
        """A block as it is parsed, and the lines at its end that may go on in the next block.

        The block comes without quotes that are no marks; None: as it is, as it has no quotes.

        Args:
            block: whole lines.
            is_last: whether no lines follow.
        """
        if self.shape is None or QUOTE not in block:
            return None, b""

        return tidy(block, self.shape, is_last=is_last)

    def frame(
        self, block: bytes, places: dict[str, int], tidied: bytes | None = None
    ) -> pl.DataFrame:
        """Some columns of a block of whole records, as text, without blank lines.

        Args:
            block: whole lines.
            places: of the columns, by the names that they get in the frame.
            tidied: as `whole_records` gives it.

        Raises:
            PolarsError: if a line does not fit the layout.
            LineError: if a line is no object.
        """
        if tidied is not None:
            assert self.separator is not None  # objects have no quotes to be tidied
            return self._frame_of_fields(tidied, self.separator, places, quotes=True)

        if not block or block.isspace():
            return pl.DataFrame(schema=dict.fromkeys(places, pl.String))

        if self.separator is None:
            names = {role: self.columns[place] for role, place in places.items()}
            return objects.frame(block, self.columns, names)

        block = _with_one_byte(without_blank_lines(block), self.separator)
        separator = self.separator if len(self.separator) == 1 else ONE_BYTE

        return self._frame_of_fields(block, separator, places, quotes=False)

    def _frame_of_fields(
        self, block: bytes, separator: str, places: dict[str, int], *, quotes: bool
    ) -> pl.DataFrame:
        numbers = [str(place) for place in range(len(self.columns))]
        # A first line with all fields, as Polars takes the width of a table from its first line.
        full_line = separator * (len(numbers) - 1) + "\n"
        table = pl.read_csv(
            io.BytesIO(full_line.encode() + block),
            has_header=False,
            schema=dict.fromkeys(numbers, pl.String),
            separator=separator,
            quote_char='"' if quotes else None,
            columns=sorted(set(places.values())),
        )

        columns = {role: pl.col(str(place)) for role, place in places.items()}

        return table.select(**columns).slice(1)

    def records(self, block: bytes) -> Iterator[tuple[int, Sequence[object]]]:
        """The lines that are not blank: the number of each in the block, from 0, and its fields.

        Raises:
            LineError: if a line is no object.
        """
        if self.separator is None:
            return objects.records(block, self.columns)

        if self.shape is not None:
            return QuotedLines.of(block, self.shape).records()

        return _plain_fields(block.decode(), self.separator)


def _may_be_quoted(separator: str) -> bool:
    return len(separator) == 1 and separator != " "


def _with_one_byte(block: bytes, separator: str) -> bytes:
    """The block with a separator of one byte, and without blanks around lines if these separate."""
    if separator == " ":
        block = block.replace(NO_BREAK_SPACE, b" ")
        one_blank = re.sub(rb"[ \t]+", b" ", block)
        return re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", one_blank)

    if len(separator) == 1:
        return block

    return block.replace(separator.encode(), ONE_BYTE.encode())


def fields(text: str, separator: str, *, quotes: bool = True) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not blank: the number of each, from 0, and its fields.

    Args:
        text: whole lines.
        separator: between fields.
        quotes: whether a quote may be a mark around a field.
    """
    if not quotes or not _may_be_quoted(separator):
        yield from _plain_fields(text, separator)
        return

    for number, line in enumerate(text.split("\n")):
        if line.strip():
            yield number, split(line, separator)[0]


def _plain_fields(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n")):
        if not line.strip():
            continue

        if separator == " ":
            yield number, re.split("[ \t\xa0]+", line.strip(" \t\xa0\r"))
        else:
            yield number, line.rstrip("\r").split(separator)


def find_layout(
    lines: TextLines,
    *,
    separator: str | None,
    header: bool | None,
    column_names: Sequence[str],
    quotes: bool = True,
    n_least: int = 2,
) -> Layout:
    """The layout of a file, as stated or else as its first lines show it.

    Args:
        lines: of the file.
        separator: between fields; None: found.
        header: whether the first line names the columns; None: found.
        column_names: that the caller requests; a line that has one of them is a header.
        quotes: whether a quote may be a mark around a field.
        n_least: columns at least.

    Raises:
        DataError: if the file is empty, not text, a JSON array, or no separator fits.
        SettingError: for an impossible separator.
    """
    text = lines.head()
    _check_text(text, lines)
    if separator is not None:
        _check_separator(separator)

    start = text.lstrip()
    if separator is None and start.startswith("["):
        raise DataError(
            f"{lines.path} is one JSON array; expected one JSON object a line (JSON lines). Read "
            "it yourself and pass the table to recollect.from_frame."
        )

    if separator is None and start.startswith("{"):
        names = objects.names_of(text)
        if not names:
            raise DataError(
                f"None of the first lines of {lines.path} is a JSON object with entries; the first "
                f"is {start[:60]!r}. Expected one object a line, or fields between separators."
            )

        return Layout(names, separator=None, header=False)

    return _layout_of_fields(
        text,
        lines,
        separator=separator,
        header=header,
        column_names=column_names,
        quotes=quotes,
        n_least=n_least,
    )


def _check_text(text: str, lines: TextLines) -> None:
    if "\x00" in text:
        raise DataError(
            f"{lines.path} is not a text file of ratings in UTF-8 or Latin-1 (it holds zero "
            "bytes); save it as CSV in UTF-8, or as Parquet."
        )

    if not text.strip():
        raise DataError(f"{lines.path} is empty; expected a rating a line, such as 42,1193,5.")


def _check_separator(separator: str) -> None:
    is_impossible = any(mark in separator for mark in '"\r\n') or not separator
    if is_impossible or (len(separator) == 1 and not separator.isascii()):
        raise SettingError(
            f"{separator!r} cannot separate fields; expected such as ',', ';', '|', '::', a tab, "
            "or ' ' for blanks."
        )


def _layout_of_fields(
    text: str,
    lines: TextLines,
    *,
    separator: str | None,
    header: bool | None,
    column_names: Sequence[str],
    quotes: bool,
    n_least: int,
) -> Layout:
    preamble = preamble_of(text.split("\n")[:SAMPLE_LINES])
    table = text.split("\n")[preamble.n_lines :]
    sample = "\n".join(table[:SAMPLE_LINES])
    separator = separator or preamble.separator
    if separator is None:
        separator = max(SEPARATORS, key=lambda one: _fit(sample, one, quotes=quotes))

    numbered = list(fields(sample, separator, quotes=quotes)) or [(0, [sample])]
    records = [[field.strip() for field in record] for _, record in numbered]
    if len(records[0]) < n_least:
        raise DataError(
            f"No separator was found in {lines.path}, whose first line is {records[0][0][:80]!r}; "
            'expected fields separated by commas, tabs, "::", semicolons, bars or blanks. Or state '
            f"it: {words('separator=…', '--separator …')}."
        )

    if len(records[0]) == 1:
        separator = ","  # any, as there is one column

    layout = Layout(
        tuple(map(str, range(len(records[0])))),
        separator,
        header=False,
        quotes=quotes,
        n_before=preamble.n_lines,
        notes=preamble.notes,
    )

    return _with_header(layout, preamble, numbered[0][0], records, header, column_names)


def _with_header(
    layout: Layout,
    preamble: Preamble,
    first_line: int,
    records: list[list[str]],
    header: bool | None,
    column_names: Sequence[str],
) -> Layout:
    """The layout with the names of the columns, if a line has them.

    Args:
        layout: without a header.
        preamble: what stands before the table.
        first_line: number of the table's first line that is not blank, from 0.
        records: the fields of the table's first lines.
        header: whether the first line names the columns; None: found.
        column_names: that the caller requests.
    """
    first = records[0]
    is_guessed = header is None
    if header is None:
        header = any(name in column_names for name in first) or looks_like_header(records)

    note = header_note(records, header=header) if is_guessed else None
    notes = layout.notes if note is None else (*layout.notes, note)
    if header:
        names, note = _with_row_names(first, records[1:])
        return replace(
            layout,
            columns=names,
            header=True,
            n_before=preamble.n_lines + first_line + 1,
            notes=notes if note is None else (*notes, note),
        )

    return replace(layout, notes=notes)


def _with_row_names(
    names: list[str], others: list[list[str]]
) -> tuple[tuple[str, ...], str | None]:
    """The names of columns; if each line has a field more, as R writes it, the first has none."""
    n = len(names)
    if others and all(len(record) == n + 1 for record in others):
        note = "Each line has a field more than the header; the first was taken as a row name."
        return ("", *names), note

    return tuple(names), None


def _fit(text: str, separator: str, *, quotes: bool) -> tuple[int, int]:
    """How well a separator fits: lines with as many fields as the first, then fields, up to 3.

    (0, 0) if the first line has one field only.
    """
    widths = [len(record) for _, record in fields(text, separator, quotes=quotes)]
    if not widths or widths[0] < 2:
        return 0, 0

    first = widths[0]
    n_alike = widths.count(first)
    # Up to 3, as a separator that also stands in texts makes many fields.
    return n_alike, min(first, 3)
