"""A text file of ratings as frames, and the lines that its rows stand in, for messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from recollect.data.parsing.layout import Layout
from recollect.data.parsing.lines import TextLines, blocks
from recollect.data.parsing.objects import LineError
from recollect.errors import DataError
from recollect.system.door import words


@dataclass(frozen=True)
class TextFile:
    """A text file of ratings and its layout."""

    text: TextLines
    layout: Layout

    def frames(self, places: dict[str, int]) -> Iterator[tuple[pl.DataFrame, Lines]]:
        """Some columns as text, a block of lines at a time, and the block for messages.

        `places` are those of the columns, by the names that they get in the frame.

        Raises:
            DataError: if a line has too many fields, is not an object, or the file is damaged.
        """
        for lines in self.lines():
            yield lines.frame(places), lines

    def lines(self) -> Iterator[Lines]:
        """The lines after the header, in blocks of whole records."""
        first_line = 1
        n_before = self.layout.n_before
        pending = b""

        for block, is_last in _with_end(blocks(self.text)):
            while n_before and block:
                _, _, block = block.partition(b"\n")
                n_before -= 1
                first_line += 1

            block = pending + block
            tidied, pending = self.layout.whole_records(block, is_last=is_last)
            whole = block[: len(block) - len(pending)]
            if whole:
                yield Lines(self, whole, first_line, tidied)

            first_line += whole.count(b"\n")


def _with_end(iterator: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each block, and whether it is the last."""
    block = next(iterator, None)

    while block is not None:
        following = next(iterator, None)
        yield block, following is None
        block = following


@dataclass(frozen=True)
class Lines:
    """A block of lines of a file; called with a row of its frame, it says where the row stands.

    Args:
        file: that the lines stand in.
        block: whole lines.
        first_line: number of the first line in the file, from 1.
        tidied: the lines as `Layout.whole_records` gives them.
    """

    file: TextFile
    block: bytes
    first_line: int
    tidied: bytes | None

    def frame(self, places: dict[str, int]) -> pl.DataFrame:
        """Some columns of the lines as text; `places` by the names that they get in the frame.

        Raises:
            DataError: if a line does not fit the layout; it names the line.
        """
        try:
            return self.file.layout.frame(self.block, places, self.tidied)
        except LineError as error:
            raise DataError(
                f"Line {self.first_line + error.line} of {self.file.text.path} is not a JSON "
                f"object as expected: {error}. Expected one object a line; correct or remove it."
            ) from error
        except pl.exceptions.PolarsError as error:
            raise self._fault() from error

    def __call__(self, row: int) -> str:
        """The line in which a row of the block's frame stands, in words."""
        n_columns = len(self.file.layout.columns)

        for j, (number, record) in enumerate(self.file.layout.records(self.block)):
            if j == row:
                line = f"Line {self.first_line + number} of {self.file.text.path}"
                if len(record) < n_columns:
                    line += f" (it has {len(record)} of {n_columns} fields)"

                return line

        return f"Row {row} after line {self.first_line} of {self.file.text.path}"

    def _fault(self) -> DataError:
        """The error for a block that cannot be parsed; names the first line that does not fit."""
        path = self.file.text.path
        columns = self.file.layout.columns

        for number, record in self.file.layout.records(self.block):
            if len(record) > len(columns):
                listed = ", ".join(columns[:20])
                return DataError(
                    f"Line {self.first_line + number} of {path} has {len(record)} fields, expected "
                    f"{len(columns)} ({listed}): {str(record)[:200]}. Correct or remove it."
                )

        return DataError(
            f"The lines of {path} from {self.first_line} on cannot be divided into fields; "
            f"expected {len(columns)} fields a line. If its quotes are part of the text, read it "
            f"without: {words('quotes=False', '--no-quotes')}."
        )
