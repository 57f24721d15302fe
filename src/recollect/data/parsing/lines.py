"""Text files of ratings, plain or compressed: their layout, and their lines in blocks.

A file is read a block of whole lines at a time, so that its size does not matter; Polars parses each block.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl
import pyarrow as pa

from recollect.data.parsing.columns import is_usual
from recollect.errors import DataError

log = logging.getLogger("recollect")

BLOCK = 2 << 20  # bytes of text parsed at once
LONGEST = 4  # blocks that a field in quotes may fill
HEAD = 1 << 20  # bytes looked at to find the layout
SEPARATORS = (
    "::",
    "\t",
    ",",
    ";",
    "|",
    " ",
)  # tried in this order; " " stands for any run of blanks
ONE_BYTE = "\x1f"  # takes the place of a longer separator, as Polars knows one byte only
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True)
class Layout:
    """How the lines of a file are to be read."""

    columns: tuple[str, ...]  # from the header; without one "0", "1", …
    separator: str | None  # None: each line is a JSON object
    header: bool

    @property
    def quoted(self) -> bool:
        """Whether a field may be in double quotes, and so hold separators and line ends."""
        return self.separator is not None and len(self.separator) == 1 and self.separator != " "

    def frame(self, block: bytes, wanted: dict[str, int]) -> pl.DataFrame:
        """The wanted columns of the block's lines as text, under the names of their roles; blank lines are left out."""
        if b"\n\n" in block or b"\n\r\n" in block or block[:1] in b"\r\n":
            block = re.sub(rb"(?m)^\s*?\n", b"", block)
        if not block or block.isspace():
            return pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
        if self.separator is None:
            names = {role: self.columns[place] for role, place in wanted.items()}
            table = pl.read_ndjson(
                io.BytesIO(block), schema=dict.fromkeys(names.values(), pl.String)
            )
            return table.select(**{role: pl.col(name) for role, name in names.items()})
        places = [str(place) for place in range(len(self.columns))]
        table = pl.read_csv(
            io.BytesIO(self._one_byte(block)),
            has_header=False,
            schema=dict.fromkeys(places, pl.String),
            separator=self.separator if len(self.separator) == 1 else ONE_BYTE,
            quote_char='"' if self.quoted and self._opens_quotes(block) else None,
            columns=sorted(set(wanted.values())),
        )
        return table.select(**{role: pl.col(str(place)) for role, place in wanted.items()})

    def _opens_quotes(self, block: bytes) -> bool:
        """Whether a field begins with a quote; a quote elsewhere, as in 5", is part of the field."""
        start = rb"(?:^|[\n" + re.escape((self.separator or "").encode()) + rb'])"'
        return b'"' in block and re.search(start, block) is not None

    def _one_byte(self, block: bytes) -> bytes:
        if self.separator == " ":
            return re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", re.sub(rb"[ \t]+", b" ", block))
        separator = (self.separator or "").encode()
        return block if len(separator) == 1 else block.replace(separator, ONE_BYTE.encode())

    def records(self, block: bytes) -> Iterator[tuple[int, Sequence[object]]]:
        """The lines that are not blank, one by one: the line's number in the block, from 0, and its fields."""
        if self.separator is None:
            for number, line in enumerate(block.decode().split("\n")):
                if line.strip():
                    found = json.loads(line)
                    yield number, [found.get(column) for column in self.columns]
        else:
            yield from fields(block.decode(), self.separator, quoted=self.quoted)


@dataclass(frozen=True)
class TextFile:
    """A text file of ratings and its layout."""

    path: Path
    layout: Layout

    def frames(self, wanted: dict[str, int]) -> Iterator[tuple[pl.DataFrame, Lines]]:
        """The wanted columns as text, a block at a time, each with its lines for messages.

        Raises: DataError if a line has too many or too few fields, is no JSON object, or the file is damaged.
        """
        first_line, skip = 1, self.layout.header
        for block in blocks(self.path, quoted=self.layout.quoted):
            cut = block.index(b"\n") + 1 if skip and b"\n" in block else (len(block) if skip else 0)
            lines = Lines(self, block[cut:], first_line + int(skip))
            try:
                frame = self.layout.frame(lines.block, wanted)
            except pl.exceptions.PolarsError as error:
                raise lines.fault(error) from error
            yield frame, lines
            first_line, skip = first_line + block.count(b"\n"), False


@dataclass(frozen=True)
class Lines:
    """A block of lines, for messages about one of them."""

    file: TextFile
    block: bytes
    first_line: int

    def __call__(self, row: int) -> str:
        """What to call a row of the block's frame: its line in the file."""
        for found, (number, record) in enumerate(self.file.layout.records(self.block)):
            if found == row:
                short = len(record) < len(self.file.layout.columns)
                count = (
                    f" (it has {len(record)} of {len(self.file.layout.columns)} fields)"
                    if short
                    else ""
                )
                return f"Line {self.first_line + number} of {self.file.path}{count}"
        return f"Row {row} after line {self.first_line} of {self.file.path}"

    def fault(self, error: Exception) -> DataError:
        """Why the block could not be parsed: the first line that differs from the layout."""
        columns, path, line = self.file.layout.columns, self.file.path, self.first_line - 1
        try:
            for number, record in self.file.layout.records(self.block):
                line = self.first_line + number
                if len(record) != len(columns):
                    return DataError(
                        f"Line {line} of {path} has {len(record)} fields, expected {len(columns)} "
                        f"({', '.join(columns)}): {record!r}. Correct or remove it."
                    )
        except (ValueError, AttributeError) as wrong:
            return DataError(
                f"A line after line {line} of {path} is not a JSON object ({wrong}); expected one object "
                "a line. Correct or remove it."
            )
        return DataError(f"{path} cannot be read after line {self.first_line}: {error}")


def fields(text: str, separator: str, *, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """The records of a text that are not blank: number of the first line, from 0, and the fields."""
    if quoted:
        reader, begun = csv.reader(io.StringIO(text, newline=""), delimiter=separator), 0
        with suppress(
            csv.Error
        ):  # a field that is too long to be one: what comes after it cannot be told
            for record in reader:
                if record:
                    yield begun, record
                begun = reader.line_num
    else:
        for number, line in enumerate(text.split("\n")):
            if line.strip():
                yield (
                    number,
                    line.split() if separator == " " else line.rstrip("\r").split(separator),
                )


def text_file(
    path: Path, *, separator: str | None, header: bool | None, asked: Sequence[str]
) -> TextFile:
    """The file with its layout, found from its first lines where it is not stated.

    Raises: DataError if the file is empty, not text, a JSON array, or if no separator fits.
    """
    with opened(path) as stream:
        head = _utf8(_whole_lines(stream.read(HEAD)), path)
    text = head.decode()
    if "\x00" in text:
        raise DataError(
            f"{path} is not a text file of ratings in UTF-8 or Latin-1 (it holds zero bytes); save it as "
            "CSV in UTF-8, or as Parquet."
        )
    if not text.strip():
        raise DataError(f"{path} is empty; expected a rating a line, such as 42,1193,5.")
    if text.lstrip().startswith("[") and separator is None:
        raise DataError(
            f"{path} is one JSON array; expected one JSON object a line (JSON lines). Read it yourself and "
            "pass the table to recollect.from_frame."
        )
    if text.lstrip().startswith("{") and separator is None:
        objects = [json.loads(line) for line in text.split("\n")[:100] if _is_object(line)]
        names = list(dict.fromkeys(name for found in objects for name in found))
        return TextFile(path, Layout(tuple(names), None, header=False))
    return TextFile(
        path, _table_layout(text, path, separator=separator, header=header, asked=asked)
    )


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _table_layout(
    text: str, path: Path, *, separator: str | None, header: bool | None, asked: Sequence[str]
) -> Layout:
    sample = "\n".join(text.split("\n")[:50])
    separator = separator or max(SEPARATORS, key=lambda s: _agreeing(sample, s))
    lines = [
        record
        for _, record in fields(sample, separator, quoted=len(separator) == 1 and separator != " ")
    ]
    first = [field.strip() for field in (lines[0] if lines else [sample])]
    if len(first) < 2:
        raise DataError(
            f"No separator was found in {path}, whose first line is {first[0][:80]!r}; expected fields "
            'apart by commas, tabs, "::", semicolons, bars or blanks. Or state it: separator="…".'
        )
    if header is None:
        second_has_number = len(lines) > 1 and any(map(_is_number, lines[1]))
        header = any(name in asked for name in first) or (
            not any(map(_is_number, first)) and (any(map(is_usual, first)) or second_has_number)
        )
    return Layout(tuple(first) if header else tuple(map(str, range(len(first)))), separator, header)


def _agreeing(text: str, separator: str) -> tuple[int, int]:
    """How many lines have as many fields as the first, if that is more than one; and how many, up to the 3 needed."""
    widths = [
        len(record)
        for _, record in fields(text, separator, quoted=len(separator) == 1 and separator != " ")
    ]
    return (
        (sum(width == widths[0] for width in widths), min(widths[0], 3))
        if widths and widths[0] > 1
        else (0, 0)
    )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def blocks(path: Path, *, quoted: bool) -> Iterator[bytes]:
    """The file in blocks of whole lines, unpacked, in UTF-8; a line end inside quotes is no line's end."""
    rest = b""
    with opened(path) as stream:
        while piece := stream.read(BLOCK):
            rest += piece
            cut = rest.rfind(b"\n") + 1
            while (
                quoted and cut and rest.count(b'"', 0, cut) % 2
            ):  # inside quotes: go back before the last one
                cut = rest.rfind(b"\n", 0, rest.rfind(b'"', 0, cut)) + 1
            if not cut and len(rest) > LONGEST * BLOCK:  # no field is that long: a lone quote
                cut = rest.rfind(b"\n") + 1
            if cut:
                yield _utf8(rest[:cut], path)
                rest = rest[cut:]
    if rest:
        yield _utf8(rest, path)


def _whole_lines(head: bytes) -> bytes:
    return head[: head.rfind(b"\n") + 1] if len(head) == HEAD and b"\n" in head else head


def _utf8(block: bytes, path: Path) -> bytes:
    block = block.removeprefix(b"\xef\xbb\xbf")
    if block.isascii():
        return block
    try:
        block.decode()
    except UnicodeDecodeError:
        log.info("%s is not in UTF-8; read as Latin-1", path)
        return block.decode("latin-1").encode()
    return block


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked if its first bytes say gzip or zstd.

    Raises: DataError if a compressed file is cut short or damaged.
    """
    with open(path, "rb") as raw:
        start = raw.read(4)
    packing = next((packing for magic, packing in MAGIC.items() if start.startswith(magic)), None)
    if packing is None:
        with open(path, "rb") as raw:
            yield raw
        return
    try:
        with pa.input_stream(str(path), compression=packing) as stream:
            yield stream
    except OSError as error:
        raise DataError(
            f"{path} is cut short or damaged ({packing}: {error}); make or download it again."
        ) from error
