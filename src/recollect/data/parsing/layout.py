"""Layout: how the lines of a text file are read."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from recollect.data.parsing import objects
from recollect.data.parsing.lines import without_blank_lines
from recollect.data.parsing.quotes import QUOTE, QuotedLines, Shape, split, tidy

ONE_BYTE = "\x1f"  # replaces a longer separator, as Polars takes one byte only
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
