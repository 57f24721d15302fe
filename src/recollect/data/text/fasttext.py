"""fastText's binary models, in which words that the model does not know have a vector, too.

The vector of a word is the mean of its own row of the input matrix, if it has one, and of the rows
of its n-grams, which are hashed to a fixed number of buckets.

Source: Bojanowski, Grave, Joulin, Mikolov. Enriching Word Vectors with Subword Information.
TACL 2017; the format is that of its program, version 12.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recollect.data.parsing.lines import opened
from recollect.data.text.vector_files import BLOCK, ByteReader, CollectedVectors
from recollect.data.vocab import Vocab
from recollect.errors import DataError

MAGIC = struct.pack("<i", 793712314)  # the first bytes of a model
VERSION = 12
END_OF_SENTENCE = "</s>"  # has no n-grams
FNV_OFFSET = 2166136261
FNV_PRIME = 16777619


@dataclass(frozen=True)
class _Header:
    """The settings of a model that its vectors depend on."""

    d: int
    n_buckets: int
    shortest: int  # letters of an n-gram
    longest: int


@dataclass(frozen=True)
class _Dictionary:
    """The words of a model, as far as they are wanted."""

    row: dict[str, int]  # of the wanted words in the input matrix
    n_words: int
    n_kept_ngrams: int  # −1: all; other models are quantized, or have no n-grams


def read(path: Path, words: Vocab) -> CollectedVectors:
    """The vectors of the words in a fastText model.

    A word counts as found if it is in the model, or has an n-gram of a length that the model uses.

    Raises:
        DataError: for a quantized model, another version, or a damaged file.
    """
    with opened(path) as stream:
        file = ByteReader(stream.read, path)
        header = _read_header(file)
        dictionary = _read_dictionary(file, words)
        (is_quantized,) = file.take_numbers("?")
        if is_quantized or dictionary.n_kept_ngrams > 0:
            raise DataError(
                f"{path} is a quantized fastText model, which cannot be read; take the full one "
                "(.bin), or its .vec file."
            )

        shape = file.take_numbers("qq")
        expected = (dictionary.n_words + header.n_buckets, header.d)
        if shape != expected:
            raise DataError(
                f"{path} holds {shape[0]:,} rows of {shape[1]}, expected {expected[0]:,} of "
                f"{expected[1]}; it is damaged, get it again."
            )

        rows_of_word = [_matrix_rows(word, header, dictionary) for word in words.ids]

        return _mean_rows(file, words, rows_of_word, shape=expected, n_words=dictionary.n_words)


def damaged(path: Path) -> DataError:
    """The error for a model whose numbers are impossible."""
    return DataError(f"{path} is a damaged fastText model: its sizes are impossible; get it again.")


def _read_header(file: ByteReader) -> _Header:
    """The settings of the model.

    Raises:
        DataError: for another version.
    """
    _, version = file.take_numbers("ii")
    if version != VERSION:
        raise DataError(
            f"{file.path} is a fastText model of version {version}, expected {VERSION}; take its "
            ".vec file, or train it with a newer fastText."
        )

    d, _, _, _, _, _, _, _, n_buckets, shortest, longest, _ = file.take_numbers("12i")
    file.take(8)  # the threshold of sampling, used in training only

    if d < 1 or n_buckets < 0 or shortest < 0 or longest < 0:
        raise damaged(file.path)

    return _Header(d, n_buckets, shortest, longest)


def _read_dictionary(file: ByteReader, words: Vocab) -> _Dictionary:
    """The rows of the wanted words, and how many words and n-grams the model has."""
    n_entries, n_words, _ = file.take_numbers("3i")
    _, n_kept_ngrams = file.take_numbers("qq")
    if n_entries < 0 or not 0 <= n_words <= n_entries:
        raise damaged(file.path)

    wanted = {word.encode(): word for word in words.ids}
    row: dict[str, int] = {}

    for entry in range(n_entries):
        word = file.take_until(b"\0")
        file.take(9)  # its count, and whether it is a label
        if entry < n_words and word in wanted:
            row[wanted[word]] = entry

    return _Dictionary(row, n_words, n_kept_ngrams)


def _matrix_rows(word: str, header: _Header, dictionary: _Dictionary) -> list[int]:
    """The rows of the input matrix whose mean is the word's vector."""
    rows: list[int] = []
    if word in dictionary.row:
        rows.append(dictionary.row[word])

    if dictionary.n_kept_ngrams == 0:  # the model was pruned of all its n-grams
        return rows

    if not header.n_buckets:
        return rows

    for ngram in ngrams(word, header.shortest, header.longest):
        rows.append(dictionary.n_words + fnv(ngram) % header.n_buckets)

    return rows


def ngrams(word: str, shortest: int, longest: int) -> list[bytes]:
    """The n-grams of `<word>`, without "<" and ">" alone.

    Args:
        word: without its brackets.
        shortest: number of letters at least.
        longest: number of letters at most.
    """
    if word == END_OF_SENTENCE:
        return []

    bracketed = f"<{word}>"
    last = len(bracketed) - 1
    pieces: list[bytes] = []

    for first in range(len(bracketed)):
        for n in range(max(1, shortest), min(longest, len(bracketed) - first) + 1):
            is_bracket = n == 1 and first in (0, last)
            if not is_bracket:
                pieces.append(bracketed[first : first + n].encode())

    return pieces


def fnv(piece: bytes) -> int:
    """The 32-bit FNV-1a hash as fastText computes it: with bytes as signed numbers."""
    value = FNV_OFFSET

    for byte in piece:
        # A byte of 128 or more is negative there, so that its sign fills the upper bits.
        extended = byte if byte < 128 else byte | 0xFFFFFF00
        value = ((value ^ extended) * FNV_PRIME) & 0xFFFFFFFF

    return value


def _mean_rows(
    file: ByteReader,
    words: Vocab,
    rows_of_word: list[list[int]],
    *,
    shape: tuple[int, int],
    n_words: int,
) -> CollectedVectors:
    """The mean of each word's rows of the input matrix, which is read a block at a time."""
    n_rows, d = shape
    collected = CollectedVectors(words, d, file.path)
    n = np.array([len(rows) for rows in rows_of_word])
    all_rows = [row for rows in rows_of_word for row in rows]
    matrix_row = np.array(all_rows, np.int64)
    word = np.repeat(np.arange(len(n)), n)
    # In the order of the matrix, so that each block serves a run of them.
    order = np.argsort(matrix_row, kind="stable")
    matrix_row = matrix_row[order]
    word = word[order]
    total = np.zeros(collected.table.shape)
    rows_at_once = max(1, BLOCK // (4 * d))

    for first in range(0, n_rows, rows_at_once):
        last = min(n_rows, first + rows_at_once)
        content = file.take(4 * d * (last - first))
        block = np.frombuffer(content, "<f4").reshape(-1, d)
        low, high = np.searchsorted(matrix_row, [first, last])
        row_in_block = matrix_row[low:high] - first
        np.add.at(total, word[low:high], block[row_in_block])
        # The rows of words come first; those of n-grams do not count for the mean of all.
        own_rows = block[: max(0, n_words - first)]
        collected.total += own_rows.sum(axis=0, dtype=np.float64)
        if not np.isfinite(block).all():
            raise DataError(
                f"{file.path} has a number that is not finite; it is damaged, get it again."
            )

    collected.count = n_words
    at_least_one = np.maximum(1, n)
    collected.table[:] = total / at_least_one[:, None]
    collected.found[:] = n > 0

    return collected
