"""Files of word vectors: text (GloVe, word2vec, fastText's .vec), and word2vec's binary form.

Files are read a block at a time; only the vectors of the wanted words and the mean of all are kept.
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
HEAD = 1 << 14  # bytes by which the form of a file is recognized
WORDS_AT_ONCE = 4096  # words of a binary file looked up at once
LONGEST_WORD = 1 << 16  # bytes of a word in a binary file
MOST_NUMBERS = 1 << 15  # of a vector; published ones have at most a few thousand
LARGEST = float(np.finfo(np.float32).max)


class CollectedVectors:
    """The vectors of the wanted words that a file has, and the mean of all its vectors.

    Args:
        words: the wanted words.
        d: dimension of a vector.
        path: of the file, for messages.

    Raises:
        DataError: for an impossible dimension, or a vector with a number that is not finite.
    """

    def __init__(self, words: Vocab, d: int, path: Path) -> None:
        self.words = words
        if not 1 <= d <= MOST_NUMBERS:
            raise DataError(
                f"The vectors of {path} have {d:,} numbers each; expected 1 to {MOST_NUMBERS:,}. "
                "It is no file of vectors, or damaged; get it again."
            )

        self.path = path
        shape = (len(words), d)
        self.table: Float32[np.ndarray, "n_words d"] = np.zeros(shape, np.float32)
        self.found: Bool[np.ndarray, " n_words"] = np.zeros(len(words), bool)
        self.total: Float64[np.ndarray, " d"] = np.zeros(d)
        self.count = 0

    def add(self, words: pl.Series, vectors: Float32[np.ndarray, "words d"]) -> None:
        """Add the next words of a file; the first vector of a repeated word is kept."""
        total = vectors.sum(axis=0, dtype=np.float64)
        if not np.isfinite(total).all():
            bad = int(np.isfinite(vectors).all(axis=1).argmin())
            raise DataError(
                f"The vector of {words[bad]!r} in {self.path} has a number that is not finite, "
                "or too large for 32 bits; the file is damaged, get it again."
            )

        self.total += total
        self.count += len(vectors)
        row = self.words.rows(words)
        wanted = np.flatnonzero(row != UNKNOWN)
        # Of a word that stands twice in this block, the first; then those of no earlier block.
        _, first = np.unique(row[wanted], return_index=True)
        distinct = wanted[first]
        is_new = ~self.found[row[distinct]]
        new = distinct[is_new]
        new_row = row[new]
        self.table[new_row] = vectors[new]
        self.found[new_row] = True

    @property
    def mean(self) -> Float64[np.ndarray, " d"]:
        """The mean of all vectors of the file."""
        return self.total / max(1, self.count)


class ByteReader:
    """Reads a binary stream piece by piece.

    Args:
        read: gives the next n bytes of the stream, or fewer at its end.
        path: of the file, for messages.

    Raises:
        DataError: if the stream ends within a piece.
    """

    def __init__(self, read: Callable[[int], bytes], path: Path) -> None:
        self.read = read
        self.path = path
        self.buffer = b""
        self.position = 0

    def take(self, n: int) -> bytes:
        """The next n bytes."""
        while len(self.buffer) - self.position < n:
            self._fill()
        first = self.position
        self.position += n
        return self.buffer[first : self.position]

    def take_until(self, end: bytes) -> bytes:
        """The bytes before the next `end`, which is skipped."""
        while (index := self.buffer.find(end, self.position)) < 0:
            if len(self.buffer) - self.position > LONGEST_WORD:
                raise DataError(
                    f"{self.path} is no file of vectors, or damaged: it has a word of more than "
                    f"{LONGEST_WORD:,} bytes; get it again."
                )

            self._fill()

        piece = self.buffer[self.position : index]
        self.position = index + len(end)

        return piece

    def take_numbers(self, layout: str) -> tuple[int, ...]:
        """The next numbers of a `struct` layout, little-endian."""
        little_endian = f"<{layout}"
        n_bytes = struct.calcsize(little_endian)
        return struct.unpack(little_endian, self.take(n_bytes))

    def _fill(self) -> None:
        block = self.read(BLOCK)
        if not block:
            raise DataError(
                f"{self.path} is cut short: it ends within a word or a vector; get it again."
            )

        self.buffer = self.buffer[self.position :] + block
        self.position = 0


def read(path: Path, words: Vocab) -> CollectedVectors:
    """The vectors of the words in a text file, or in one of word2vec's binary form.

    Raises:
        DataError: if the file is empty, damaged or of another form; for text with the line number.
    """
    with opened(path) as stream:
        head = stream.read(HEAD)

    if not head.strip():
        raise DataError(f"{path} is empty; expected a word and its vector a line.")

    first_line, _, remaining = head.partition(b"\n")
    sizes = _sizes(first_line)
    if sizes is None or _is_text(remaining):
        return _read_text(path, words, sizes)

    with opened(path) as stream:
        return _read_binary(ByteReader(stream.read, path), words)


def _sizes(line: bytes) -> tuple[int, int] | None:
    """The number of words and the dimension, if a file's first line states these and no more."""
    fields = line.split()
    if len(fields) != 2:
        return None

    n_words, d = fields
    if not n_words.isdigit() or not d.isdigit() or len(fields[0] + fields[1]) > 24:
        return None

    return int(n_words), int(d)


def _is_text(head: bytes) -> bool:
    """Whether the bytes are UTF-8 text, of which the last character may be cut."""
    if any(byte < 32 and byte not in b"\t\n\r" for byte in head):
        return False

    try:
        head.decode()
    except UnicodeDecodeError as problem:
        return problem.start > len(head) - 4

    return True


def _read_binary(file: ByteReader, words: Vocab) -> CollectedVectors:
    """word2vec: a line with the two sizes; then each word, a blank, and d 32-bit floats."""
    n_words, d = map(int, file.take_until(b"\n").split())
    collected = CollectedVectors(words, d, file.path)

    for first in range(0, n_words, WORDS_AT_ONCE):
        n = min(WORDS_AT_ONCE, n_words - first)
        batch: list[str] = []
        vectors = np.empty((n, d), np.float32)

        for row in range(n):
            # Some writers end each vector with a line end, others do not.
            word = file.take_until(b" ").lstrip(b"\n")
            batch.append(word.decode(errors="replace"))
            vectors[row] = np.frombuffer(file.take(4 * d), "<f4")

        collected.add(pl.Series(batch, dtype=pl.String), vectors)

    return collected


def _read_text(path: Path, words: Vocab, sizes: tuple[int, int] | None) -> CollectedVectors:
    """A word and its numbers a line, after a line with the two sizes if the file has one.

    Raises:
        DataError: for a line of another form, or if there are not as many words as announced.
    """
    n_header_lines = 0 if sizes is None else 1
    collected = None if sizes is None else CollectedVectors(words, sizes[1], path)
    line_number = 1 + n_header_lines

    for block in _blocks(path, skip=n_header_lines):
        if collected is None:
            first_line = block[: block.find(b"\n")].rstrip()
            if b" " not in first_line:
                raise DataError(
                    f"Line {line_number} of {path} has no blank: "
                    f"{first_line[:60].decode(errors='replace')!r}; expected a word and its "
                    "numbers."
                )

            collected = CollectedVectors(words, len(first_line.split(b" ")) - 1, path)

        d = collected.table.shape[1]
        parsed = _parse_block(block, d) or _parse_lines(block, d, line_number, path)
        collected.add(*parsed)
        line_number += block.count(b"\n")

    assert collected is not None  # the file is not empty
    if sizes is not None and collected.count != sizes[0]:
        raise DataError(
            f"{path} has {collected.count:,} vectors, and its first line announces {sizes[0]:,}; "
            "it is cut short or damaged, get it again."
        )

    return collected


def _blocks(path: Path, *, skip: int) -> Iterator[bytes]:
    """The lines after the first `skip`, in blocks that end with a line."""
    pending = b""

    with opened(path) as stream:
        while piece := stream.read(BLOCK):
            pending += piece

            for _ in range(skip):
                pending = pending[pending.find(b"\n") + 1 :]

            skip = 0
            end = pending.rfind(b"\n") + 1
            if end:
                yield pending[:end]
                pending = pending[end:]

    if pending.strip():
        yield pending + b"\n"


def _parse_block(block: bytes, d: int) -> tuple[pl.Series, np.ndarray] | None:
    """The words and vectors of a block, parsed at once; None if a line has another form."""
    schema = {"word": pl.String, **{str(column): pl.Float32 for column in range(d)}}
    # fastText's .vec files have a blank before each line end.
    content = block.replace(b" \n", b"\n") if b" \n" in block else block

    try:
        table = pl.read_csv(
            io.BytesIO(content),
            has_header=False,
            schema=schema,
            separator=" ",
            quote_char=None,
        )
    except pl.exceptions.PolarsError:
        return None

    vectors = table.drop("word").to_numpy()
    # A number that is missing in the file is NaN here.
    if not np.isfinite(vectors).all() or table["word"].null_count():
        return None

    return table["word"], vectors.astype(np.float32)


def _parse_lines(block: bytes, d: int, first_line: int, path: Path) -> tuple[pl.Series, np.ndarray]:
    """The words and vectors of a block, line by line: words may have blanks, as in GloVe's 840B.

    Raises:
        DataError: at the first line that is not a word and d numbers.
    """
    words: list[str] = []
    vectors: list[list[float]] = []

    for line_number, line in enumerate(block.split(b"\n")[:-1], start=first_line):
        if not line.strip():
            continue

        fields = line.rstrip(b" \r").split(b" ")
        fault = _fault(fields, d)
        if fault is not None:
            raise DataError(
                f"Line {line_number} of {path} has {fault}, expected {d} numbers, as the lines "
                f"before: {line[:60].decode(errors='replace')!r}. Correct or remove it."
            )

        words.append(b" ".join(fields[:-d]).decode(errors="replace"))
        vectors.append([float(field) for field in fields[-d:]])

    table = np.array(vectors, np.float32).reshape(len(words), d)

    return pl.Series(words, dtype=pl.String), table


def _fault(fields: list[bytes], d: int) -> str | None:
    """What is wrong with a line's fields; None if they are a word and d numbers."""
    word = fields[:-d]
    others = [field for field in fields[-d:] if not _is_number(field)]
    not_a_number = others[0] if others else None
    if word and not_a_number is not None:
        return f"{not_a_number.decode(errors='replace')!r} among its numbers"

    # A word may have blanks in it, but a number after its first part is one vector entry too many.
    if not word or any(map(_is_number, word[1:])):
        return f"{len(fields) - 1} numbers after its word"

    return None


def _is_number(field: bytes) -> bool:
    try:
        return abs(float(field)) <= LARGEST
    except ValueError:
        return False
