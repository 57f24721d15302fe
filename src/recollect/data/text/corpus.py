"""Corpus: the documents of items as sequences of word indices over one vocabulary."""

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


@dataclass(
    frozen=True,
    eq=False,
    repr=False,
)
class Corpus:
    """Documents as rows of word indices: `word[start[j]:start[j + 1]]` is document j, in order.

    A corpus that belongs to ratings has a row for each item. The row is empty if the item has no
    document, or if none of its words is in the vocabulary.

    Args:
        words: the vocabulary; a word's index is its row.
        start: where each document begins in `word`, and the end of the last.
        word: the indices of all documents' words, one document after another.
        in_documents: how many of the documents that the vocabulary was made from have each word.
        tokenizer: how the documents were split.
        vectors: pre-trained vectors of the words; None: none.
        notes: what was kept and what was not, a sentence each.
        out_of_vocabulary: share of the documents' words, stop words aside, not in the vocabulary.

    Raises:
        DataError: if there is not one vector per word.
    """

    words: Vocab
    start: Int64[np.ndarray, " documents_and_one"]
    word: Int32[np.ndarray, " tokens"]
    in_documents: Int32[np.ndarray, " n_words"]
    tokenizer: Tokenizer
    vectors: WordVectors | None = None
    notes: tuple[str, ...] = ()
    out_of_vocabulary: float = math.nan

    def __post_init__(self) -> None:
        if self.vectors is not None and len(self.vectors) != self.n_words:
            raise DataError(
                f"There are {len(self.vectors):,} vectors for {self.n_words:,} words; expected "
                "one for each. Read them for these words: read_vectors(path, corpus.words)."
            )

    def __len__(self) -> int:
        return len(self.start) - 1

    def __repr__(self) -> str:
        documents = f"{len(self):,} documents"
        words = f"{self.n_words:,} words"
        tokens = f"{len(self.word):,} tokens"
        return f"Corpus({documents}, {words}, {tokens})"

    @property
    def n_words(self) -> int:
        """Size of the vocabulary."""
        return len(self.words)

    @cached_property
    def length(self) -> Int64[np.ndarray, " documents"]:
        """Number of words in each document."""
        return np.diff(self.start)

    @property
    def has(self) -> Bool[np.ndarray, " documents"]:
        """Which documents have at least one word."""
        return self.length > 0

    def counts(self) -> sparse.csr_array:
        """How often each document has each word: documents × words, 32-bit floats."""
        ones = np.ones(len(self.word), np.float32)
        indices = self.word.astype(np.int64)
        shape = (len(self), self.n_words)
        # The copy protects `word`: adding up duplicates sorts the indices in place.
        counts = sparse.csr_array((ones, indices, self.start), shape=shape, copy=True)
        counts.sum_duplicates()

        return counts

    def padded(
        self,
        rows: Int[np.ndarray, " rows"] | Sequence[int],
        *,
        length: int | None = None,
        side: str = "right",
    ) -> Int64[np.ndarray, "rows length"]:
        """Documents as a rectangular table of word index + 1, with 0 as padding.

        Args:
            rows: the documents.
            length: width of the table; None: that of the longest of these documents.
            side: where padding is added and long documents are cut: at the end ("right") or at the
                beginning ("left", as ConvMF's authors do).

        Raises:
            SettingError: for another side.
        """
        if side not in SIDES:
            raise unknown("side", side, SIDES)

        rows = np.asarray(rows, np.int64)
        n = self.length[rows]
        width = int(n.max(initial=0)) if length is None else length
        kept = np.minimum(n, width)
        source = self.start[rows]
        column = np.zeros(len(rows), np.int64)
        if side == "left":
            source = source + n - kept
            column = width - kept

        offset = _ranges(kept)
        table = np.zeros((len(rows), width), np.int64)
        table_row = np.repeat(np.arange(len(rows)), kept)
        table_column = np.repeat(column, kept) + offset
        token = np.repeat(source, kept) + offset
        # 0 is padding, so words count from 1.
        table[table_row, table_column] = self.word[token].astype(np.int64) + 1

        return table

    def read(self, texts: Sequence[str | None] | pl.Series) -> Corpus:
        """New documents with this tokenizer, vocabulary and vectors; other words are left out."""
        texts = _series(texts)
        words = words_of(texts, self.tokenizer)
        return _corpus(
            words,
            len(texts),
            vocabulary=self.words,
            in_documents=self.in_documents,
            tokenizer=self.tokenizer,
            vectors=self.vectors,
        )

    def known_share(self, text: str) -> float:
        """Share of a text's words, stop words aside, in the vocabulary; NaN if it has no words."""
        words = words_of(_series([text]), self.tokenizer)["word"]
        if not len(words):
            return math.nan
        is_known = self.words.rows(words) != UNKNOWN
        return float(is_known.mean())

    def take(self, rows: Int[np.ndarray, " rows"] | Sequence[int]) -> Corpus:
        """The documents of these rows, in this order."""
        rows = np.asarray(rows, np.int64)
        n = self.length[rows]
        token = np.repeat(self.start[rows], n) + _ranges(n)
        word = self.word[token]
        start = np.concatenate([[0], np.cumsum(n)])

        return replace(
            self,
            start=start,
            word=word,
            out_of_vocabulary=math.nan,
        )

    def joined(self, other: Corpus) -> Corpus:
        """These documents followed by those of a corpus with the same vocabulary and tokenizer.

        Raises:
            DataError: if the vocabulary or the tokenizer differs.
        """
        if self.words != other.words or self.tokenizer != other.tokenizer:
            raise DataError(
                f"{self!r} and {other!r} have different words or tokenizers; make the second "
                "with corpus.read(texts)."
            )

        shifted = self.start[-1] + other.start[1:]

        return replace(
            self,
            start=np.concatenate([self.start, shifted]),
            word=np.concatenate([self.word, other.word]),
            notes=self.notes + other.notes,
            out_of_vocabulary=math.nan,
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify documents, vocabulary, tokenizer and vectors."""
        # Release 0.1.0 called the tokenizer Reading; its fingerprints stay valid.
        tokenizer = repr(self.tokenizer).replace("Tokenizer", "Reading", 1)
        vectors = repr(self.vectors.fingerprint if self.vectors else None)
        settings = f"({tokenizer}, {vectors})"
        digest = hashlib.sha256(settings.encode())

        for column in (self.start, self.word, self.in_documents):
            contiguous = np.ascontiguousarray(column)
            digest.update(contiguous.tobytes())

        words = "\x1f".join(self.words.ids)
        digest.update(words.encode())

        return digest.hexdigest()[:16]


def corpus_of(
    texts: Sequence[str | None] | pl.Series, tokenizer: Tokenizer | None = None
) -> Corpus:
    """The documents as a corpus, with the vocabulary that the tokenizer chooses from them.

    The weight of a word is its sum of tf-idf over the documents, count × idf, with scikit-learn's
    idf = ln((1 + documents) / (1 + documents with the word)) + 1; or its count. Ties are broken by
    alphabetical order.

    Args:
        texts: the documents; None: no document.
        tokenizer: how to split them and how many words to keep; None: the default Tokenizer.

    Raises:
        DataError: if no word is left.
    """
    texts = _series(texts)
    tokenizer = tokenizer or Tokenizer()
    words = words_of(texts, tokenizer)
    n_documents = int(is_document(texts).sum())
    counted = words.group_by("word").agg(count=pl.len(), documents=pl.col("document").n_unique())
    chosen = _vocabulary(counted, n_documents, tokenizer)
    corpus = _corpus(
        words,
        len(texts),
        vocabulary=Vocab(chosen["word"]),
        in_documents=chosen["documents"].to_numpy().astype(np.int32),
        tokenizer=tokenizer,
        vectors=None,
    )
    note = f"{len(chosen):,} of {len(counted):,} words are kept (stop words aside)."

    return replace(corpus, notes=(note, *corpus.notes))


def _vocabulary(counted: pl.DataFrame, n_documents: int, tokenizer: Tokenizer) -> pl.DataFrame:
    """The words to keep, in alphabetical order: word, count, documents.

    Raises:
        DataError: if no word is left.
    """
    documents = pl.col("documents")
    not_too_common = documents <= tokenizer.most * n_documents
    not_too_rare = documents >= tokenizer.least
    candidates = counted.filter(not_too_common, not_too_rare)
    if not len(candidates):
        raise DataError(
            f"No word is left of {n_documents:,} documents with {len(counted):,} words (stop words "
            f"aside): each is in more than {tokenizer.most:.0%} of them, or in fewer than "
            f"{tokenizer.least}; set another most or least."
        )

    idf = ((1 + n_documents) / (1 + documents)).log() + 1
    weight = pl.col("count") * (idf if tokenizer.by == "tf-idf" else 1)
    ranked = candidates.sort(weight, "word", descending=[True, False])

    return ranked.head(tokenizer.n_words).sort("word")


def _corpus(
    words: pl.DataFrame,
    n_documents: int,
    *,
    vocabulary: Vocab,
    in_documents: np.ndarray,
    tokenizer: Tokenizer,
    vectors: WordVectors | None,
) -> Corpus:
    """The corpus of the words that are in the vocabulary; a note says which share is not."""
    word = vocabulary.rows(words["word"])
    is_known = word != UNKNOWN
    document = words["document"].to_numpy()[is_known]
    n = np.bincount(document, minlength=n_documents)
    start = np.concatenate([[0], np.cumsum(n)]).astype(np.int64)
    share = math.nan
    notes: tuple[str, ...] = ()
    if len(is_known):
        share = 1 - float(is_known.mean())
        notes = (f"Out of vocabulary: {share:.1%} of the documents' words, stop words aside.",)

    return Corpus(
        vocabulary,
        start,
        word[is_known],
        in_documents,
        tokenizer,
        vectors,
        notes,
        share,
    )


def _ranges(n: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " all"]:
    """0, …, n − 1 for each row, one row after another."""
    first = np.cumsum(n) - n
    place = np.arange(n.sum())
    return place - np.repeat(first, n)


def _series(texts: Sequence[str | None] | pl.Series) -> pl.Series:
    """The texts as a column of strings."""
    if isinstance(texts, pl.Series):
        return texts.cast(pl.String)
    return pl.Series(list(texts), dtype=pl.String)
