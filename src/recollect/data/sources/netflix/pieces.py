"""The text of the Netflix Prize's files in pieces of whole lines, and the film of each line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt8

from recollect.data.parsing import lines
from recollect.errors import DataError

PIECE = 2 << 20  # bytes of text turned into numbers at once, at least
N_FILMS = 17_770

Report = Callable[[int], object]  # called with the bytes read since the last call


class Section(NamedTuple):
    """A part of a file within a piece."""

    place: int  # in the text of the piece
    path: Path
    first_line: int  # its number in the file


@dataclass(frozen=True)
class Piece:
    """Whole lines, of one file or of several small ones."""

    text: UInt8[np.ndarray, " bytes"]
    start: Int64[np.ndarray, " lines"]  # where each line begins in `text`
    stop: Int64[np.ndarray, " lines"]  # where its line end is
    is_film: Bool[np.ndarray, " lines"]
    sections: tuple[Section, ...]

    def line(self, row: int) -> str:
        """The text of a line."""
        start = self.start[row]
        stop = self.stop[row]
        content = self.text[start:stop].tobytes()
        return content.decode(errors="replace")

    def name_of_line(self, row: int) -> str:
        """The number of a line and its file, for messages."""
        start = self.start[row]
        before = [section for section in self.sections if section.place <= start]
        section = before[-1]
        first_row = int(np.searchsorted(self.start, section.place))
        number = section.first_line + row - first_row

        return f"Line {number} of {section.path}"

    def fault(self, row: int, expected: str) -> DataError:
        """The error for a line that is not what was expected."""
        name = self.name_of_line(row)
        text = self.line(row)[:80]
        return DataError(
            f"{name} is {text!r}; expected {expected}. Correct it, or get the file again."
        )

    def film(self, row: int) -> int:
        """The film that a line names.

        Raises:
            DataError: if it is no film.
        """
        digits = self.line(row)[:-1]
        # isdigit alone also holds for digits of other scripts, and for "²".
        is_number = digits.isascii() and digits.isdigit() and len(digits) < 10
        if not (is_number and 1 <= int(digits) <= N_FILMS):
            raise self.fault(row, f"a film from 1: to {N_FILMS}:")

        return int(digits)


def pieces(files: Sequence[Path]) -> Iterator[Piece]:
    """The files in pieces of at least PIECE bytes, small files together."""
    texts: list[bytes] = []
    sections: list[Section] = []
    size = 0

    for path in files:
        if not path.stat().st_size:
            raise DataError(
                f"{path} is empty; expected a film such as 1: in its first line. Get the file "
                "again."
            )

        line = 1

        for block in lines.blocks(path):
            text = block.replace(b"\r\n", b"\n")
            if not text.endswith(b"\n"):
                text += b"\n"

            texts.append(text)
            sections.append(Section(size, path, line))
            size += len(text)
            line += text.count(b"\n")
            if size >= PIECE:
                yield _piece(b"".join(texts), sections)
                texts = []
                sections = []
                size = 0

    if size:
        yield _piece(b"".join(texts), sections)


def _piece(content: bytes, sections: list[Section]) -> Piece:
    """The lines of a piece; the first line of a file must name a film."""
    text = np.frombuffer(content, np.uint8)
    stop = np.flatnonzero(text == ord("\n"))
    start = np.append(0, stop[:-1] + 1)
    last = text[stop - 1]
    is_film = last == ord(":")
    piece = Piece(text, start, stop, is_film, tuple(sections))

    for section in sections:
        row = int(np.searchsorted(start, section.place))
        if section.first_line == 1 and not piece.is_film[row]:
            raise piece.fault(row, "a film such as 1: in the first line of a file")

    return piece


class Runs(NamedTuple):
    """The films of a piece and their lines; a film may continue in the next piece."""

    piece: Piece
    film: Int32[np.ndarray, " runs"]
    n_lines: Int64[np.ndarray, " runs"]  # how many lines follow each film
    rows: Int64[np.ndarray, " rows"]  # which lines those are


def runs(files: Sequence[Path], report: Report | None) -> Iterator[Runs]:
    """The lines of the files, by film, a piece at a time.

    Raises:
        DataError: if a file does not begin with a film, or a film comes twice; it names the line.
    """
    film = 0  # none yet; no line follows it
    is_seen = np.zeros(N_FILMS + 1, bool)

    for piece in pieces(files):
        film_rows = np.flatnonzero(piece.is_film)
        films = [film]

        for row in film_rows.tolist():
            film = piece.film(row)
            if is_seen[film]:
                raise DataError(
                    f"{piece.name_of_line(row)}: film {film} comes again; expected each film once. "
                    "Remove the second file, or its lines."
                )

            is_seen[film] = True
            films.append(film)

        # The lines before the first film of this piece are those of the last film before it.
        bounds = np.concatenate([[-1], film_rows, [len(piece.stop)]])
        count = np.diff(bounds) - 1
        rows = np.flatnonzero(~piece.is_film)
        yield Runs(piece, np.array(films, np.int32), count, rows)
        if report is not None:
            report(len(piece.text))
