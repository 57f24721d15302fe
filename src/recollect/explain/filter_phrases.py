"""The phrases of all texts that ConvMF's filters respond to most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float32, Int, Int64

from recollect.data.ratings import AnyRatings
from recollect.data.sparse_rows import pieces
from recollect.data.text.corpus import Corpus
from recollect.errors import SettingError
from recollect.explain.filter_activations import (
    check_filter,
    largest,
    pooled_activations,
    window_of,
)
from recollect.explain.text_models import convmf_of
from recollect.model import Model

DOCUMENTS_AT_ONCE = 512
WORDS_AT_ONCE = 1 << 18
NO_WORD = -1  # fills a phrase where a document is shorter than a window


def filters(
    model: Model, *, n: int = 5, only: Iterable[int] | None = None, phrases: int = 5
) -> pl.DataFrame:
    """The distinct phrases of all texts with the largest activations of each filter.

    A document shorter than a filter's window is a phrase by itself; padding is none. Phrases with
    an activation of 0 are not listed. Memory does not grow with the texts.

    Args:
        model: a fitted ConvMF.
        n: how many filters: those with the largest activations.
        only: these filters instead, counted from 0 through all windows; None: the n largest.
        phrases: how many phrases of each filter.

    Returns:
        A table of filter, window, rank, phrase, answer (the activation), documents (how many have
        the phrase), item_id (the first of them) and, if known, title.

    Raises:
        SettingError: for a model without filters, a filter that does not exist, or if n or phrases
            is below 1.
    """
    net, corpus = convmf_of(model)
    if min(n, phrases) < 1:
        raise SettingError(
            f"n and phrases are numbers of filters and phrases, 1 or more; found {n} and {phrases}."
        )

    if only is None:
        numbers = _largest_filters(net, corpus, n)
    else:
        numbers = [check_filter(net, number) for number in only]

    if not numbers:
        raise SettingError(
            "only names no filter; give at least one, such as only=[11], or leave it out."
        )

    tables = [_best_phrases(net, corpus, number, phrases) for number in numbers]

    return _with_items(model.given_, pl.concat(tables))


def _largest_filters(net: Any, corpus: Corpus, n: int) -> list[int]:
    """The n filters with the largest activations on any document, the largest first."""
    values = np.zeros(net.bias.numel(), np.float32)

    for part in pieces(corpus.length, rows=DOCUMENTS_AT_ONCE, cells=WORDS_AT_ONCE):
        with_words = np.flatnonzero(corpus.has[part])
        documents = corpus.take(part.start + with_words)
        pooled = pooled_activations(net, documents)
        of_part = pooled.max(axis=0, initial=0.0)
        values = np.maximum(values, of_part)

    return largest(values, n)


@dataclass(frozen=True, eq=False)
class _Filter:
    """A filter as a table: its value on a phrase is Σ_o response[word o, o] + bias."""

    response: Float32[np.ndarray, "n_words_and_none window"]  # the last row, of NO_WORD, is 0
    bias: np.float32

    @property
    def window(self) -> int:
        """How many words it sees."""
        return self.response.shape[1]

    @property
    def columns(self) -> list[str]:
        """The columns of a phrase's words in a table."""
        offsets = range(self.window)
        return [f"word_{offset}" for offset in offsets]


@torch.no_grad()
def _filter(net: Any, number: int) -> _Filter:
    """The filter of that number."""
    per_window = net.bias.shape[1]
    kind, f = divmod(number, per_window)
    window = net.windows[kind]
    # Rows of a window: the vectors of all its filters for the first word, then for the second, …
    first = sum(net.windows[:kind]) * per_window
    last = first + window * per_window
    rows = net.filters[first:last].unflatten(0, (window, -1))
    weights = rows[:, f]
    response = net.words @ weights.t()

    # Padding has a vector, too, but is no word.
    of_words = response[: net.n_words].cpu().numpy()
    of_none = np.zeros((1, window), np.float32)
    bias = net.bias[kind, f].item()

    return _Filter(np.vstack([of_words, of_none]), np.float32(bias))


def _best_phrases(net: Any, corpus: Corpus, number: int, k: int) -> pl.DataFrame:
    """The k phrases with the largest activations of a filter.

    The texts are searched part by part: a phrase among the k best of all is so in its own part.
    """
    f = _filter(net, number)
    no_documents = corpus.take([])
    best = _search(no_documents, f, k, first_document=0)

    for part in pieces(corpus.length, rows=len(corpus), cells=WORDS_AT_ONCE):
        documents = corpus.take(np.arange(part.start, part.stop))
        candidates = _search(documents, f, k, first_document=part.start)
        both = pl.concat([best, candidates])
        best = _merged(both, f, k)

    return best.select(
        filter=pl.lit(number, pl.Int64),
        window=pl.lit(window_of(net, number), pl.Int64),
        rank=pl.int_range(1, pl.len() + 1),
        phrase=_names(corpus, best.select(f.columns)),
        answer="answer",
        documents="documents",
        document="document",
    )


def _names(corpus: Corpus, words: pl.DataFrame) -> pl.Series:
    """Phrases of word indices as text."""
    names = []

    for phrase in words.rows():
        indices = [index for index in phrase if index != NO_WORD]
        known = corpus.words.at(indices)
        names.append(" ".join(known))

    return pl.Series(names, dtype=pl.String)


def _search(documents: Corpus, f: _Filter, k: int, *, first_document: int) -> pl.DataFrame:
    """The k best phrases of some documents: words, answer, documents, document (the first)."""
    document, words = _phrases(documents, f.window)
    offset = np.arange(f.window)
    responses = f.response[words, offset]
    value = responses.sum(axis=1) + f.bias

    table = pl.DataFrame(words, schema=f.columns)
    table = table.with_columns(
        answer=np.maximum(value, 0),
        document=document + first_document,
    )
    positive = table.filter(pl.col("answer") > 0)

    # A phrase that a document has twice counts once.
    in_document = positive.unique([*f.columns, "document"])
    counted = in_document.with_columns(documents=pl.lit(1, pl.Int64))

    return _merged(counted, f, k)


def _merged(phrases: pl.DataFrame, f: _Filter, k: int) -> pl.DataFrame:
    """The k best distinct phrases; ties are broken by the words."""
    merged = phrases.group_by(f.columns).agg(
        pl.col("answer").first(),
        pl.col("documents").sum(),
        pl.col("document").min(),
    )
    descending = [True] + [False] * f.window
    ranked = merged.sort("answer", *f.columns, descending=descending)

    return ranked.head(k)


def _phrases(
    documents: Corpus, width: int
) -> tuple[Int64[np.ndarray, " phrases"], Int[np.ndarray, "phrases width"]]:
    """All phrases of `width` words and their documents; a shorter document is filled up."""
    n_places = np.maximum(documents.length - width + 1, 1)
    n = np.where(documents.has, n_places, 0)
    number = np.arange(len(documents))
    document = np.repeat(number, n)

    # The place of a phrase in its document: its number less that of the document's first phrase.
    first_phrase = np.cumsum(n) - n
    place = np.arange(len(document)) - np.repeat(first_phrase, n)
    first_token = documents.start[document] + place
    token = first_token[:, None] + np.arange(width)

    # A phrase may reach beyond the last token of all; such a word is replaced below.
    n_tokens = len(documents.word)
    extended = np.append(documents.word, NO_WORD)
    words = extended[np.minimum(token, n_tokens)]
    end = documents.start[document + 1]
    is_inside = token < end[:, None]

    return document, np.where(is_inside, words, NO_WORD)


def _with_items(given: AnyRatings, table: pl.DataFrame) -> pl.DataFrame:
    """The table with item ids and, if known, titles in place of document numbers."""
    item = table["document"].to_numpy()
    item_ids = given.items.at(item).alias("item_id")
    table = table.drop("document").with_columns(item_ids)
    if given.catalogue is None:
        return table

    titles = pl.Series("title", given.titles(item_ids), dtype=pl.String)

    return table.with_columns(titles)
