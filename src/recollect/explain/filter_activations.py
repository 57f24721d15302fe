"""Activations of ConvMF's filters, for phrases and for phrases with a word replaced."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float32

from recollect.data.text.corpus import Corpus
from recollect.errors import DataError, SettingError
from recollect.explain.known_words import documents_of_words, known_word, known_words
from recollect.explain.text_models import convmf_of
from recollect.kernels.convolution import max_pooled_convolution
from recollect.model import Model


def activations(
    model: Model, phrase: str, *, n: int = 5, only: Iterable[int] | None = None
) -> pl.DataFrame:
    """The filters with the largest activations for a phrase: filter, window, phrase, answer.

    A filter over fewer words than the phrase has is given its largest activation on a part of it.

    Args:
        model: a fitted ConvMF.
        phrase: words that the model knows.
        n: how many filters.
        only: these filters instead; None: the n with the largest activations.

    Raises:
        SettingError: for a model without filters, a filter that does not exist, or n below 1.
        DataError: for words that the model does not know.
    """
    net, corpus = convmf_of(model)
    if n < 1:
        raise SettingError(f"n is the number of filters, 1 or more; found {n}.")

    words = known_words(corpus, phrase)
    values = pooled_activations(net, documents_of_words(corpus, [words]))[0]
    numbers = largest(values, n) if only is None else [check_filter(net, f) for f in only]

    return pl.DataFrame(
        {
            "filter": numbers,
            "window": [window_of(net, number) for number in numbers],
            "phrase": " ".join(words),
            "answer": values[numbers],
        }
    )


def swap_words(
    model: Model, phrase: str, word: str, others: Iterable[str], *, filter: int | None = None
) -> pl.DataFrame:
    """A filter's activation for a phrase, and for it with other words in place of one.

    Args:
        model: a fitted ConvMF.
        phrase: words that the model knows.
        word: the word of the phrase to replace.
        others: the words to put in its place.
        filter: number of the filter; None: the one with the largest activation for the phrase, of
            those that see all of it if there are any.

    Returns:
        A table of filter, word, phrase, answer and change; the first row is the phrase itself.

    Raises:
        SettingError: for a model without filters, or a filter that does not exist.
        DataError: for words that the model does not know, or if the word is not in the phrase.
    """
    net, corpus = convmf_of(model)
    words = known_words(corpus, phrase)
    replaced = known_word(corpus, word)
    if replaced not in words:
        raise DataError(
            f"The word {replaced!r} is not in the phrase {' '.join(words)!r}; name one that is."
        )

    if isinstance(others, str):
        raise SettingError(f"others is a list of words, found {others!r}; write [{others!r}].")

    candidates = [replaced, *(known_word(corpus, other) for other in others)]
    variants = [_with_word(words, replaced, candidate) for candidate in candidates]
    values = pooled_activations(net, documents_of_words(corpus, variants))
    if filter is None:
        number = _filter_of_phrase(net, values[0], len(words))
    else:
        number = check_filter(net, filter)

    answer = values[:, number]

    return pl.DataFrame(
        {
            "filter": [number] * len(variants),
            "word": candidates,
            "phrase": [" ".join(variant) for variant in variants],
            "answer": answer,
            "change": answer - answer[0],
        }
    )


def _with_word(words: list[str], replaced: str, candidate: str) -> list[str]:
    """The words, with a candidate in every place of the replaced one."""
    variant = []

    for word in words:
        variant.append(candidate if word == replaced else word)

    return variant


@torch.no_grad()
def pooled_activations(net: Any, documents: Corpus) -> Float32[np.ndarray, "documents filters"]:
    """The largest activation of each filter on each document, padding aside."""
    pooled = max_pooled_convolution(
        documents.start,
        documents.word,
        net.words,
        net.filters,
        net.windows,
    )
    activation = torch.relu(pooled + net.bias)
    # Filters are numbered through all windows.
    by_number = activation.flatten(1)

    return by_number.cpu().numpy()


def largest(values: Float32[np.ndarray, " filters"], n: int) -> list[int]:
    """The n filters with the largest values, the largest first; ties by number."""
    ranked = np.argsort(-values, kind="stable")
    best = ranked[:n]
    return best.tolist()


def check_filter(net: Any, number: int) -> int:
    """The number of a filter.

    Raises:
        SettingError: if there is no such filter.
    """
    n_filters = net.bias.numel()
    if not 0 <= number < n_filters:
        raise SettingError(
            f"There is no filter {number}; the model has {n_filters}, 0 to {n_filters - 1}."
        )

    return int(number)


def window_of(net: Any, number: int) -> int:
    """How many words a filter sees."""
    per_window = net.bias.shape[1]
    kind = number // per_window
    return net.windows[kind]


def _filter_of_phrase(net: Any, values: Float32[np.ndarray, " filters"], n_words: int) -> int:
    """The filter with the largest value, of those that see n_words words if there are any."""
    per_window = net.bias.shape[1]
    window = np.repeat(net.windows, per_window)
    sees_all = window >= n_words
    if sees_all.any():
        values = np.where(sees_all, values, -1)  # activations are 0 or more

    return int(values.argmax())
