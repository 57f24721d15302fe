"""A text file of ratings as frames, and the lines that its rows stand in, for messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recollect.data.parsing.layout import Layout
from recollect.data.parsing.lines import blocks
from recollect.errors import DataError


@dataclass(frozen=True)
class TextFile:
    """A text file of ratings and its layout."""

    path: Path
    layout: Layout

    def frames(self, places: dict[str, int]) -> Iterator[tuple[pl.DataFrame, Lines]]:
        """Some columns as text, a block of lines at a time, and the block for messages.

        `places` are those of the columns, by the names that they get in the frame.

        Raises:
            DataError: if a line has too many or too few fields, is not a JSON object, or the file
                is damaged.
        """
        first_line = 1
        skips_header = self.layout.header

        for block in blocks(self.path, quoted=self.layout.quoted):
            lines = Lines(self, block, first_line)
            if skips_header:
                lines = lines.after_first()
                skips_header = False

            yield lines.frame(places), lines
            first_line += block.count(b"\n")


@dataclass(frozen=True)
class Lines:
    """A block of lines of a file; called with a row of its frame, it says where the row stands.

    Args:
        file: that the lines stand in.
        block: whole lines.
        first_line: number of the first line in the file, from 1.
    """

    file: TextFile
    block: bytes
    first_line: int

    def after_first(self) -> Lines:
        """The lines without the first."""
        _, _, remaining = self.block.partition(b"\n")
        return Lines(self.file, remaining, self.first_line + 1)

    def frame(self, places: dict[str, int]) -> pl.DataFrame:
        """Some columns of the lines as text; `places` by the names that they get in the frame.

        Raises:
            DataError: if a line does not fit the layout; it names the line.
        """
        try:
            return self.file.layout.frame(self.block, places)
        except pl.exceptions.PolarsError as error:
            raise self.fault(error) from error

    def __call__(self, row: int) -> str:
        """The line in which a row of the block's frame stands, in words."""
        n_columns = len(self.file.layout.columns)

        for j, (number, record) in enumerate(self.file.layout.records(self.block)):
            if j == row:
                line = f"Line {self.first_line + number} of {self.file.path}"
                if len(record) < n_columns:
                    line += f" (it has {len(record)} of {n_columns} fields)"

                return line

        return f"Row {row} after line {self.first_line} of {self.file.path}"

    def fault(self, error: Exception) -> DataError:
        """The error for a block that cannot be parsed; names the first line that does not fit."""
        path = self.file.path
        columns = self.file.layout.columns
        line = self.first_line - 1

        try:
            for number, record in self.file.layout.records(self.block):
                line = self.first_line + number
                if len(record) != len(columns):
                    return DataError(
                        f"Line {line} of {path} has {len(record)} fields, expected {len(columns)} "
                        f"({', '.join(columns)}): {record!r}. Correct or remove it."
                    )
        except (ValueError, AttributeError) as problem:
            return DataError(
                f"A line after line {line} of {path} is not a JSON object ({problem}); expected "
                "one object a line. Correct or remove it."
            )

        return DataError(f"{path} cannot be read after line {self.first_line}: {error}")
