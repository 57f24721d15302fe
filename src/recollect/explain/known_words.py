"""Phrases as the words that a model knows."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from recollect.data.text.corpus import Corpus
from recollect.data.text.tokenizer import words_of
from recollect.data.vocab import UNKNOWN
from recollect.errors import DataError


def known_words(corpus: Corpus, phrase: str) -> list[str]:
    """The words of a phrase as the model reads them.

    Raises:
        DataError: if there are none, or if one is not in the vocabulary.
    """
    words = words_of(pl.Series([phrase], dtype=pl.String), corpus.tokenizer)["word"]
    if not len(words):
        raise DataError(f"Nothing is left of {phrase!r} without stop words. Give another word.")

    is_unknown = pl.Series(corpus.words.rows(words) == UNKNOWN)

    for word in words.filter(is_unknown):
        near = difflib.get_close_matches(word, corpus.words.ids.to_list(), n=3, cutoff=0.6)
        suggestion = f", such as {', '.join(map(repr, near))}" if near else ""
        raise DataError(
            f"The model does not know the word {word!r}; give one of the {corpus.n_words:,} that "
            f"it does{suggestion}."
        )

    return words.to_list()


def known_word(corpus: Corpus, text: str) -> str:
    """A single word as the model reads it.

    Raises:
        DataError: if it is not one word, or not in the vocabulary.
    """
    words = known_words(corpus, text)
    if len(words) > 1:
        listed = ", ".join(map(repr, words))
        raise DataError(f"{text!r} is read as {len(words)} words, {listed}; give one.")

    return words[0]


def documents_of_words(corpus: Corpus, texts: Sequence[Sequence[str]]) -> Corpus:
    """Lists of words of the vocabulary as documents."""
    lengths = [len(words) for words in texts]
    ends = np.cumsum(lengths)
    start = np.concatenate([[0], ends])
    words = [word for text in texts for word in text]

    return replace(
        corpus,
        start=start.astype(np.int64),
        word=corpus.words.rows(words),
    )
