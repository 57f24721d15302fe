"""Files of word vectors: text (GloVe, word2vec, fastText's .vec), and word2vec's binary form.

They are read a block at a time, and only the vectors of the wanted words are kept, with the mean of all.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Float64

from recollect.data.parsing.lines import opened
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError

BLOCK = 8 << 20  # bytes read at once
AT_ONCE = 4096  # words of a binary file looked up at once
LONGEST = 1 << 16  # bytes of a word in a binary file


class Taken:
    """The vectors of the wanted words as far as they were met, and the mean of all that were met."""

    def __init__(self, words: Vocab, d: int) -> None:
        self.words = words
        self.table: Float32[np.ndarray, "n_words d"] = np.zeros((len(words), d), np.float32)
        self.found: Bool[np.ndarray, " n_words"] = np.zeros(len(words), bool)
        self.total: Float64[np.ndarray, " d"] = np.zeros(d)
        self.count = 0

    def add(self, word: pl.Series, vectors: Float32[np.ndarray, "some d"]) -> None:
        """Take in the next words of a file; of a word that stands twice the first vector stays."""
        self.total += vectors.sum(axis=0, dtype=np.float64)
        self.count += len(vectors)
        row = self.words.rows(word)
        place = np.flatnonzero(row != UNKNOWN)
        _, first = np.unique(row[place], return_index=True)
        place = place[first][~self.found[row[place[first]]]]
        self.table[row[place]], self.found[row[place]] = vectors[place], True

    @property
    def mean(self) -> Float64[np.ndarray, " d"]:
        """The mean of all vectors of the file."""
        return self.total / max(1, self.count)


class Bytes:
    """A stream, taken in pieces.

    Raises: DataError if it ends before what was asked for.
    """

    def __init__(self, read: Callable[[int], bytes], path: Path) -> None:
        self.read, self.path, self.held, self.at = read, path, b"", 0

    def take(self, n: int) -> bytes:
        """The next n bytes."""
        while len(self.held) - self.at < n:
            self._more()
        self.at += n
        return self.held[self.at - n : self.at]

    def upto(self, end: bytes) -> bytes:
        """The bytes before the next `end`, which is passed over."""
        while (found := self.held.find(end, self.at)) < 0:
            if len(self.held) - self.at > LONGEST:
                raise DataError(
                    f"{self.path} is no file of vectors, or damaged: no word is that long; get it again."
                )
            self._more()
        piece, self.at = self.held[self.at : found], found + len(end)
        return piece

    def numbers(self, layout: str) -> tuple[int, ...]:
        """The next numbers of a struct layout, little end first."""
        return struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))

    def _more(self) -> None:
        piece = self.read(BLOCK)
        if not piece:
            raise DataError(
                f"{self.path} is cut short: it ends within a word or a vector; get it again."
            )
        self.held, self.at = self.held[self.at :] + piece, 0


def read(path: Path, words: Vocab) -> Taken:
    """What a file of GloVe's, word2vec's or fastText's text, or of word2vec's binary form, has of the words.

    Raises: DataError if it is empty, damaged or of another form; for text with the line's number.
    """
    with opened(path) as stream:
        head = stream.read(1 << 14)
    if not head.strip():
        raise DataError(f"{path} is empty; expected a word and its vector a line.")
    first, _, rest = head.partition(b"\n")
    header = _header(first)
    if not header or _is_text(rest):
        return _text(path, words, header)
    with opened(path) as stream:
        return _binary(Bytes(stream.read, path), words)


def _header(line: bytes) -> tuple[int, int] | None:
    """How many words and how long a vector, if the first line says just that."""
    fields = line.split()
    return (
        (int(fields[0]), int(fields[1]))
        if len(fields) == 2 and all(field.isdigit() for field in fields)
        else None
    )


def _is_text(head: bytes) -> bool:
    """Whether there are no other bytes than those of text; a letter may be cut at the end."""
    if any(byte < 32 and byte not in b"\t\n\r" for byte in head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as problem:
        return problem.start > len(head) - 4
    return True


def _binary(file: Bytes, words: Vocab) -> Taken:
    """word2vec: a line with the two sizes; then each word, a blank, and its numbers in 32 bits."""
    n, d = map(int, file.upto(b"\n").split())
    taken = Taken(words, d)
    for first in range(0, n, AT_ONCE):
        found, size = [], min(AT_ONCE, n - first)
        vectors = np.empty((size, d), np.float32)
        for j in range(size):
            found.append(file.upto(b" ").lstrip(b"\n").decode(errors="replace"))
            vectors[j] = np.frombuffer(file.take(4 * d), "<f4")
        taken.add(pl.Series(found, dtype=pl.String), vectors)
    return taken


def _text(path: Path, words: Vocab, header: tuple[int, int] | None) -> Taken:
    taken, number = Taken(words, header[1]) if header else None, 2 if header else 1
    for block in _blocks(path, after=number - 1):
        taken = taken or Taken(words, len(block[: block.find(b"\n")].rstrip().split(b" ")) - 1)
        d = taken.table.shape[1]
        if not d:
            raise DataError(
                f"Line {number} of {path} has no blank: {block[:60].decode(errors='replace')!r}; expected a word and "
                "its numbers."
            )
        taken.add(*(_table(block, d) or _lines(block, d, number, path)))
        number += block.count(b"\n")
    assert taken is not None  # the file is not empty
    if header and taken.count != header[0]:
        raise DataError(
            f"{path} has {taken.count:,} vectors, and its first line announces {header[0]:,}; it is cut short or "
            "damaged, get it again."
        )
    return taken


def _blocks(path: Path, *, after: int) -> Iterator[bytes]:
    """The lines after the first so many, in blocks that end with a line."""
    rest = b""
    with opened(path) as stream:
        while piece := stream.read(BLOCK):
            rest += piece
            for _ in range(after):
                rest = rest[rest.find(b"\n") + 1 :]
            after = 0
            cut = rest.rfind(b"\n") + 1
            if cut:
                yield rest[:cut]
                rest = rest[cut:]
    if rest.strip():
        yield rest + b"\n"


def _table(block: bytes, d: int) -> tuple[pl.Series, np.ndarray] | None:
    """The words and vectors of a block, at once; None if a line is not as the others."""
    schema = {"word": pl.String, **{str(j): pl.Float32 for j in range(d)}}
    plain = block.replace(b" \n", b"\n") if b" \n" in block else block  # fastText ends lines so
    try:
        table = pl.read_csv(
            io.BytesIO(plain), has_header=False, schema=schema, separator=" ", quote_char=None
        )
    except pl.exceptions.PolarsError:
        return None
    vectors = table.drop("word").to_numpy()
    is_whole = (
        np.isfinite(vectors).all() and not table["word"].null_count()
    )  # an absent number is NaN
    return (table["word"], vectors.astype(np.float32)) if is_whole else None


def _lines(block: bytes, d: int, number: int, path: Path) -> tuple[pl.Series, np.ndarray]:
    """The same line by line: a word may have blanks in it, as in GloVe's 840B.

    Raises: DataError at the first line that is no word and d numbers.
    """
    words, vectors = [], []
    for at, line in enumerate(block.split(b"\n")[:-1], start=number):
        if not line.strip():
            continue
        fields = line.rstrip(b" \r").split(b" ")
        word, numbers = fields[:-d], fields[-d:]
        wrong = next((field for field in numbers if not _is_number(field)), None)
        if not word or any(map(_is_number, word[1:])) or wrong is not None:
            found = (
                f"{wrong.decode(errors='replace')!r} among its numbers"
                if word and wrong is not None
                else f"{len(fields) - 1} numbers after its word"
            )
            raise DataError(
                f"Line {at} of {path} has {found}, expected {d} numbers, as the lines before: "
                f"{line[:60].decode(errors='replace')!r}. Correct or remove it."
            )
        words.append(b" ".join(word).decode(errors="replace"))
        vectors.append([float(field) for field in numbers])
    return pl.Series(words, dtype=pl.String), np.array(vectors, np.float32).reshape(len(words), d)


def _is_number(field: bytes) -> bool:
    try:
        return bool(np.isfinite(float(field)))
    except ValueError:
        return False
