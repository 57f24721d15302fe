"""fastText's binary models: a word's vector is the mean of its own row and of those of its n-grams, so that words which the
model does not know have one too.

Source: Bojanowski, Grave, Joulin, Mikolov. Enriching Word Vectors with Subword Information. TACL 2017; the format is that of
its program, version 12.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from recollect.data.parsing.lines import opened
from recollect.data.text.vector_files import BLOCK, Bytes, Taken
from recollect.data.vocab import Vocab
from recollect.errors import DataError

MAGIC = struct.pack("<i", 793712314)  # the first bytes of a model
VERSION = 12
END = "</s>"  # of a sentence: a word without n-grams


def read(path: Path, words: Vocab) -> Taken:
    """The vectors of the words in a model; `found` are those that stand in it, or have an n-gram of the lengths that it has.

    Raises: DataError for a quantised model, another version, or a damaged file.
    """
    with opened(path) as stream:
        file = Bytes(stream.read, path)
        _, version = file.numbers("ii")
        if version != VERSION:
            raise DataError(
                f"{path} is a fastText model of version {version}, expected {VERSION}; take its .vec file, or train "
                "it with a newer fastText."
            )
        d, _, _, _, _, _, _, _, bucket, shortest, longest, _ = file.numbers("12i")
        file.take(8)  # a setting of its training
        own, n_words, n_pruned = _dictionary(file, words)
        (is_quantised,) = file.numbers("?")
        if is_quantised or n_pruned > 0:
            raise DataError(
                f"{path} is a quantised fastText model, which cannot be read; take the full one (.bin), or its .vec "
                "file."
            )
        sizes = file.numbers("qq")
        if sizes != (n_words + bucket, d):
            raise DataError(
                f"{path} holds {sizes[0]:,} rows of {sizes[1]}, expected {n_words + bucket:,} of {d}; it is damaged, "
                "get it again."
            )
        longest = 0 if n_pruned == 0 else longest  # 0: all n-grams were left out
        parts = [
            [*own[j], *(n_words + fnv(piece) % bucket for piece in ngrams(word, shortest, longest))]
            for j, word in enumerate(words.ids)
        ]
        return _means(file, words, parts, rows=sizes[0], d=d, n_words=n_words)


def _dictionary(file: Bytes, words: Vocab) -> tuple[list[list[int]], int, int]:
    """The row of each wanted word, if it has one; how many words there are, and how many n-grams were kept (−1: all)."""
    size, n_words, _ = file.numbers("3i")
    _, n_pruned = file.numbers("qq")
    wanted = {word.encode(): j for j, word in enumerate(words.ids)}
    own: list[list[int]] = [[] for _ in range(len(words))]
    for row in range(size):
        word = file.upto(b"\0")
        file.take(9)  # its count, and whether it is a label
        if row < n_words and word in wanted:
            own[wanted[word]] = [row]
    return own, n_words, n_pruned


def ngrams(word: str, shortest: int, longest: int) -> list[bytes]:
    """The n-grams of a word between < and >, in letters; neither < nor > alone is one."""
    whole = f"<{word}>"
    if word == END:
        return []
    return [
        whole[first : first + n].encode()
        for first in range(len(whole))
        for n in range(max(1, shortest), min(longest, len(whole) - first) + 1)
        if n > 1 or 0 < first < len(whole) - 1
    ]


def fnv(piece: bytes) -> int:
    """FNV-1a in 32 bits as fastText has it: bytes of 128 and more are negative, and fill the upper bits."""
    found = 2166136261
    for byte in piece:
        found = ((found ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) & 0xFFFFFFFF
    return found


def _means(
    file: Bytes, words: Vocab, parts: list[list[int]], *, rows: int, d: int, n_words: int
) -> Taken:
    """The mean of each word's rows of the matrix, which is read a block at a time."""
    taken = Taken(words, d)
    n = np.array([len(part) for part in parts])
    row = np.array([number for part in parts for number in part], np.int64)
    order = np.argsort(row, kind="stable")
    row, word = row[order], np.repeat(np.arange(len(parts)), n)[order]
    total, size = np.zeros(taken.table.shape), max(1, BLOCK // (4 * d))
    for first in range(0, rows, size):
        last = min(rows, first + size)
        block = np.frombuffer(file.take(4 * d * (last - first)), "<f4").reshape(-1, d)
        low, high = np.searchsorted(row, [first, last])
        np.add.at(total, word[low:high], block[row[low:high] - first])
        taken.total += block[: max(0, n_words - first)].sum(axis=0, dtype=np.float64)
    taken.count = n_words
    taken.table[:], taken.found[:] = total / np.maximum(1, n)[:, None], n > 0
    return taken
