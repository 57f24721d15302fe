"""Corpus: the documents of items as numbers of words, one vocabulary for counts and for sequences."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from jaxtyping import Bool, Int, Int32, Int64
from scipy import sparse

from recollect.data.text.tokenizer import Tokenizer, is_document, words_of
from recollect.data.text.word_vectors import WordVectors
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError, unknown

SIDES = ("right", "left")


@dataclass(frozen=True, eq=False, repr=False)
class Corpus:
    """A row of words for each document: `word[start[j]:start[j + 1]]` are the kept words of document j, in their order.

    Of the ratings' texts, row j is the document of item j; without one, or if none of its words is kept, the row is empty.

    Raises: DataError if the vectors are not one for each word.
    """

    words: Vocab  # the kept words; the number of a word is its place
    start: Int64[np.ndarray, " documents_and_one"]
    word: Int32[np.ndarray, " tokens"]
    in_documents: Int32[
        np.ndarray, " n_words"
    ]  # of those that the words were chosen from, how many have the word
    reading: Tokenizer
    vectors: WordVectors | None = None
    notes: tuple[str, ...] = ()  # what was kept and what not, a sentence each
    out_of_vocabulary: float = (
        math.nan
    )  # the share of what was read, stop words aside, that is no kept word

    def __post_init__(self) -> None:
        if self.vectors is not None and len(self.vectors) != self.n_words:
            raise DataError(
                f"There are {len(self.vectors):,} vectors for {self.n_words:,} words; expected one for each. "
                "Read them for these words: read_vectors(path, corpus.words)."
            )

    def __len__(self) -> int:
        return len(self.start) - 1

    def __repr__(self) -> str:
        return f"Corpus({len(self):,} documents, {self.n_words:,} words, {len(self.word):,} times)"

    @property
    def n_words(self) -> int:
        """Words in the vocabulary."""
        return len(self.words)

    @cached_property
    def length(self) -> Int64[np.ndarray, " documents"]:
        """How many words each document has."""
        return np.diff(self.start)

    @property
    def has(self) -> Bool[np.ndarray, " documents"]:
        """Which documents have a word at least."""
        return self.length > 0

    def counts(self) -> sparse.csr_array:
        """How often each document has each word: documents × words, 32-bit floats."""
        found = sparse.csr_array(
            (np.ones(len(self.word), np.float32), self.word.astype(np.int64), self.start),
            shape=(len(self), self.n_words),
            copy=True,
        )
        found.sum_duplicates()  # in place
        return found

    def padded(
        self,
        rows: Int[np.ndarray, " rows"] | Sequence[int],
        *,
        length: int | None = None,
        side: str = "right",
    ) -> Int64[np.ndarray, "rows length"]:
        """The words of some documents as a table: 0 is padding, and the number of a word is its place and 1.

        `length` is the width, by default that of the longest of them. Padding stands, and words beyond the width are cut off,
        at the end ("right") or at the beginning ("left", as ConvMF's authors do).

        Raises: SettingError for another side.
        """
        if side not in SIDES:
            raise unknown("side", side, SIDES)
        rows = np.asarray(rows, np.int64)
        n = self.length[rows]
        width = int(n.max(initial=0)) if length is None else length
        kept = np.minimum(n, width)
        first, place = self.start[rows], np.zeros(len(rows), np.int64)
        if side == "left":
            first, place = first + n - kept, width - kept
        within = _within(kept)
        table = np.zeros((len(rows), width), np.int64)
        table[np.repeat(np.arange(len(rows)), kept), np.repeat(place, kept) + within] = (
            self.word[np.repeat(first, kept) + within].astype(np.int64) + 1
        )
        return table

    def read(self, texts: Sequence[str | None] | pl.Series) -> Corpus:
        """New documents by the same reading, words and vectors; what is not among the words is left out, and noted."""
        return _written(_series(texts), self.words, self.in_documents, self.reading, self.vectors)

    def known_share(self, text: str) -> float:
        """The share of a text's words, stop words aside, that are among the kept ones; NaN for a text without any."""
        found = words_of(_series([text]), self.reading)["word"]
        return float((self.words.rows(found) != UNKNOWN).mean()) if len(found) else math.nan

    def take(self, rows: Int[np.ndarray, " rows"] | Sequence[int]) -> Corpus:
        """Some of the documents, in the order of `rows`."""
        rows = np.asarray(rows, np.int64)
        n = self.length[rows]
        word = self.word[np.repeat(self.start[rows], n) + _within(n)]
        return replace(
            self, start=np.concatenate([[0], np.cumsum(n)]), word=word, out_of_vocabulary=math.nan
        )

    def joined(self, other: Corpus) -> Corpus:
        """These documents, then the others, which were read by the same words.

        Raises: DataError if they were not.
        """
        if self.words != other.words or self.reading != other.reading:
            raise DataError(
                f"{self!r} and {other!r} have different words or were read differently; take corpus.read(texts)."
            )
        return replace(
            self,
            start=np.concatenate([self.start, self.start[-1] + other.start[1:]]),
            word=np.concatenate([self.word, other.word]),
            notes=self.notes + other.notes,
            out_of_vocabulary=math.nan,
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the documents, the words, the reading and the vectors."""
        seen = hashlib.sha256(
            repr((self.reading, self.vectors.fingerprint if self.vectors else None)).encode()
        )
        for column in (self.start, self.word, self.in_documents):
            seen.update(np.ascontiguousarray(column).tobytes())
        seen.update("\x1f".join(self.words.ids).encode())
        return seen.hexdigest()[:16]


def corpus_of(texts: Sequence[str | None] | pl.Series, reading: Tokenizer | None = None) -> Corpus:
    """The documents as a corpus, with the words that the reading chooses from them; None is no document.

    A word's tf-idf is its count times ln((1 + documents) / (1 + documents with it)) + 1, as scikit-learn has it. Equal words go
    by the alphabet.

    Raises: DataError if no word is left.
    """
    texts, reading = _series(texts), reading or Tokenizer()
    words, n = words_of(texts, reading), int(is_document(texts).sum())
    counted = words.group_by("word").agg(count=pl.len(), documents=pl.col("document").n_unique())
    fit = counted.filter(
        pl.col("documents") <= reading.most * n, pl.col("documents") >= reading.least
    )
    if not len(fit):
        raise DataError(
            f"No word is left of {n:,} documents with {len(counted):,} words (stop words aside): each is in more "
            f"than {reading.most:.0%} of them, or in fewer than {reading.least}; state another most or least."
        )
    idf = ((1 + n) / (1 + pl.col("documents"))).log() + 1
    weight = pl.col("count") * (idf if reading.by == "tf-idf" else 1)
    chosen = fit.sort(weight, "word", descending=[True, False]).head(reading.n_words).sort("word")
    note = f"{len(chosen):,} of {len(counted):,} words are kept (stop words aside)."
    found = _written(
        texts,
        Vocab(chosen["word"]),
        chosen["documents"].to_numpy().astype(np.int32),
        reading,
        None,
        words,
    )
    return replace(found, notes=(note, *found.notes))


def _written(
    texts: pl.Series,
    words: Vocab,
    in_documents: np.ndarray,
    reading: Tokenizer,
    vectors: WordVectors | None,
    found: pl.DataFrame | None = None,
) -> Corpus:
    """The texts in numbers of words; a note says which share of them is not among the words."""
    found = words_of(texts, reading) if found is None else found
    word = words.rows(found["word"])
    kept = word != UNKNOWN
    n = np.bincount(found["document"].to_numpy()[kept], minlength=len(texts))
    start = np.concatenate([[0], np.cumsum(n)]).astype(np.int64)
    share = 1 - float(kept.mean()) if len(kept) else math.nan
    notes = (
        (f"Out of vocabulary: {share:.1%} of what the documents say, stop words aside.",)
        if len(kept)
        else ()
    )
    return Corpus(words, start, word[kept], in_documents, reading, vectors, notes, share)


def _within(n: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " all"]:
    """0 to n − 1 for each row, one after another."""
    return np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)


def _series(texts: Sequence[str | None] | pl.Series) -> pl.Series:
    return (
        texts.cast(pl.String)
        if isinstance(texts, pl.Series)
        else pl.Series(list(texts), dtype=pl.String)
    )
