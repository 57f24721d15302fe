"""7 · Looking inside models of texts: what the filters of ConvMF answer to, and what a text said of an item to a user.

A phrase is a run of words of a text as the model reads it: without stop words, and without words that it did not keep.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Float32, Float64, Int, Int64

from recollect.data.ratings import AnyRatings
from recollect.data.sparse_rows import pieces
from recollect.data.text.corpus import Corpus
from recollect.data.text.tokenizer import words_of
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError, SettingError
from recollect.families.text_model import TextModel
from recollect.kernels.convolution import max_pooled_convolution
from recollect.model import Model
from recollect.registry import find

READ_AT_ONCE = 512  # documents
WORDS_AT_ONCE = 1 << 18  # of documents, and of texts with a phrase left out
NOTHING = -1  # in place of a word, where a document is shorter than a window


# --- the filters of ConvMF ------------------------------------------------------------------------------------------------


def filters(
    model: Model, *, n: int = 5, only: Iterable[int] | None = None, phrases: int = 5
) -> pl.DataFrame:
    """The phrases of all texts that filters answer to most: filter, window, rank, phrase, answer, documents, item_id, title (if
    known).

    Of the n filters that answer most to any phrase, or `only` of these: filters are counted from 0 through all windows. Phrases
    are distinct; `documents` is how many have it, and the item is the first of them. A document shorter than the window is a
    phrase by itself, and padding is none. Phrases that get no answer (0) are not listed. Memory does not grow with the texts.

    Raises: SettingError for a model without filters, a filter that does not exist, or if n or phrases is below 1.
    """
    reader, corpus = _convmf(model)
    if min(n, phrases) < 1:
        raise SettingError(
            f"n and phrases are how many are wanted, 1 or more; found {n} and {phrases}."
        )
    asked = (
        _most(reader, corpus, n) if only is None else [_checked(reader, number) for number in only]
    )
    if not asked:
        raise SettingError(
            "only names no filter; give at least one, such as only=[11], or leave it out."
        )
    return _with_items(
        model.given_, pl.concat(_phrases_of(reader, corpus, number, phrases) for number in asked)
    )


def answers(
    model: Model, phrase: str, *, n: int = 5, only: Iterable[int] | None = None
) -> pl.DataFrame:
    """The n filters that answer most to a phrase, or `only` these, and what they answer: filter, window, phrase, answer.

    A filter that sees fewer words than the phrase has answers to the part of it that it answers to most.

    Raises: SettingError for a model without filters, a filter that does not exist, or n below 1; DataError for words that the
    model does not know.
    """
    reader, corpus = _convmf(model)
    if n < 1:
        raise SettingError(f"n is how many are wanted, 1 or more; found {n}.")
    words = _known(corpus, phrase)
    found = _answers(reader, _documents(corpus, [words]))[0]
    asked = (
        np.argsort(-found, kind="stable")[:n].tolist()
        if only is None
        else [_checked(reader, number) for number in only]
    )
    windows = [reader.windows[number // reader.bias.shape[1]] for number in asked]
    return pl.DataFrame(
        {"filter": asked, "window": windows, "phrase": " ".join(words), "answer": found[asked]}
    )


def exchanged(
    model: Model, phrase: str, word: str, others: Iterable[str], *, filter: int | None = None
) -> pl.DataFrame:
    """What a filter answers to a phrase, and to it with other words in place of one: filter, word, phrase, answer, change.

    Without a filter it is the one that answers most to the phrase, of those that see all of it, if there are any.

    Raises: SettingError for a model without filters or a filter that does not exist; DataError for words that the model does not
    know, or if the word is not in the phrase.
    """
    reader, corpus = _convmf(model)
    words, old = _known(corpus, phrase), _one(corpus, word)
    if old not in words:
        raise DataError(
            f"The word {old!r} is not in the phrase {' '.join(words)!r}; name one that is."
        )
    candidates = [old, *(_one(corpus, other) for other in _listed(others))]
    variants = [[candidate if each == old else each for each in words] for candidate in candidates]
    found = _answers(reader, _documents(corpus, variants))
    number = _first(reader, found[0], len(words)) if filter is None else _checked(reader, filter)
    answer = found[:, number]
    return pl.DataFrame(
        {
            "filter": [number] * len(found),
            "word": candidates,
            "phrase": [" ".join(each) for each in variants],
            "answer": answer,
            "change": answer - answer[0],
        }
    )


def _convmf(model: Model) -> tuple[Any, Corpus]:
    """What reads the texts, and the texts it has learned from."""
    reads, corpus = _text_model(model)
    if not _has_filters(model):
        raise SettingError(
            f"{type(model).__name__} reads texts without filters; ask a convmf, or ask what a text says for an "
            "item: spoken_for(model, user_id=…, item_id=…)."
        )
    return reads.net_.text, corpus


def _most(reader: Any, corpus: Corpus, n: int) -> list[int]:
    """The n filters with the largest answers, the largest first."""
    found = np.zeros(reader.bias.numel(), np.float32)
    for part in pieces(corpus.length, rows=READ_AT_ONCE, cells=WORDS_AT_ONCE):
        rows = part.start + np.flatnonzero(corpus.has[part])
        found = np.maximum(found, _answers(reader, corpus.take(rows)).max(axis=0, initial=0.0))
    return np.argsort(-found, kind="stable")[:n].tolist()


@torch.no_grad()
def _answers(reader: Any, documents: Corpus) -> Float32[np.ndarray, "documents filters"]:
    """The strongest answer of each filter to a phrase of each document; padding is no part of it."""
    found = (
        max_pooled_convolution(documents.start, documents.word, reader.words, reader.filters, reader.windows)
        + reader.bias
    )
    return torch.relu(found).flatten(1).cpu().numpy()


def _checked(reader: Any, number: int) -> int:
    if not 0 <= number < reader.bias.numel():
        raise SettingError(
            f"There is no filter {number}; the model has {reader.bias.numel()}, 0 to {reader.bias.numel() - 1}."
        )
    return int(number)


def _first(reader: Any, found: Float32[np.ndarray, " filters"], n_words: int) -> int:
    """The filter that answers most, if possible of those that see so many words."""
    sees_all = np.repeat(np.array(reader.windows) >= n_words, reader.bias.shape[1])
    return int(np.where(sees_all, found, -1).argmax() if sees_all.any() else found.argmax())


def _phrases_of(reader: Any, corpus: Corpus, number: int, k: int) -> pl.DataFrame:
    """The k phrases that a filter answers to most, from part to part: one that is among the best of all is so in its own part."""
    of_word, bias = _weights(reader, number)
    best = _answered(corpus.take([]), of_word, bias, k, after=0)
    for part in pieces(corpus.length, rows=len(corpus), cells=WORDS_AT_ONCE):
        more = _answered(
            corpus.take(np.arange(part.start, part.stop)), of_word, bias, k, after=part.start
        )
        best = _merged(pl.concat([best, more]), k, of_word.shape[1])
    words = best.select(_words(of_word.shape[1])).rows()
    names = pl.Series(
        [" ".join(corpus.words.at([w for w in row if w != NOTHING])) for row in words],
        dtype=pl.String,
    )
    numbers = {
        name: pl.lit(value, pl.Int64)
        for name, value in (("filter", number), ("window", of_word.shape[1]))
    }
    return best.select(
        **numbers,
        rank=pl.int_range(1, pl.len() + 1),
        phrase=names,
        answer="answer",
        documents="documents",
        document="document",
    )


@torch.no_grad()
def _weights(
    reader: Any, number: int
) -> tuple[Float32[np.ndarray, "n_words_and_nothing window"], np.float32]:
    """What each word adds to a filter's answer at each place, nothing adding 0; and the filter's bias."""
    h, f = divmod(number, reader.bias.shape[1])
    first, n = sum(reader.windows[:h]) * reader.bias.shape[1], reader.windows[h]
    rows = reader.filters[first : first + n * reader.bias.shape[1]].unflatten(0, (n, -1))[:, f]
    of_word = (reader.words @ rows.t())[: reader.n_words].cpu().numpy()
    return np.vstack([of_word, np.zeros((1, n), np.float32)]), np.float32(reader.bias[h, f].item())


def _answered(
    documents: Corpus, of_word: np.ndarray, bias: np.float32, k: int, *, after: int
) -> pl.DataFrame:
    """The k best phrases of some documents, which stand after so many others: words, answer, documents, document (the first)."""
    width = of_word.shape[1]
    document, words = _windows(documents, width)
    answer = np.maximum(of_word[words, np.arange(width)].sum(axis=1) + bias, 0)
    frame = pl.DataFrame(words, schema=_words(width)).with_columns(
        answer=answer, document=document + after
    )
    seen = frame.filter(pl.col("answer") > 0).unique([*_words(width), "document"])
    return _merged(seen.with_columns(documents=pl.lit(1, pl.Int64)), k, width)


def _merged(seen: pl.DataFrame, k: int, width: int) -> pl.DataFrame:
    """The k best of the phrases, equal ones by the alphabet; the same phrase from several parts is one."""
    names = _words(width)
    merged = seen.group_by(names).agg(
        pl.col("answer").first(), pl.col("documents").sum(), pl.col("document").min()
    )
    return merged.sort("answer", *names, descending=[True, *(False for _ in names)]).head(k)


def _words(width: int) -> list[str]:
    """The columns of a phrase's words."""
    return [f"word_{place}" for place in range(width)]


def _windows(
    documents: Corpus, width: int
) -> tuple[Int64[np.ndarray, " phrases"], Int[np.ndarray, "phrases width"]]:
    """All phrases of so many words, and whose they are; a shorter document is one by itself, with nothing behind it."""
    count = np.where(documents.has, np.maximum(documents.length - width + 1, 1), 0)
    document = np.repeat(np.arange(len(documents)), count)
    first = (
        documents.start[document]
        + np.arange(len(document))
        - np.repeat(np.cumsum(count) - count, count)
    )
    at = first[:, None] + np.arange(width)
    words = np.append(documents.word, NOTHING)[np.minimum(at, len(documents.word))]
    return document, np.where(at < documents.start[document + 1][:, None], words, NOTHING)


def _with_items(given: AnyRatings, frame: pl.DataFrame) -> pl.DataFrame:
    """The table with ids and, if known, titles in place of row numbers of documents."""
    ids = given.items.at(frame["document"].to_numpy()).alias("item_id")
    frame = frame.drop("document").with_columns(ids)
    return (
        frame
        if given.catalogue is None
        else frame.with_columns(pl.Series("title", given.titles(ids), dtype=pl.String))
    )


# --- words ----------------------------------------------------------------------------------------------------------------


def _documents(corpus: Corpus, texts: Sequence[Sequence[str]]) -> Corpus:
    """Texts in words that the corpus has, as documents."""
    start = np.concatenate([[0], np.cumsum([len(words) for words in texts])]).astype(np.int64)
    return replace(
        corpus, start=start, word=corpus.words.rows([word for words in texts for word in words])
    )


def _known(corpus: Corpus, phrase: str) -> list[str]:
    """The words of a phrase as the model reads them.

    Raises: DataError if there are none, or for one that the model did not keep.
    """
    words = words_of(pl.Series([phrase], dtype=pl.String), corpus.tokenizer)["word"]
    if not len(words):
        raise DataError(
            f"Nothing is left of {phrase!r}: stop words are not read. Give another word."
        )
    for word in words.filter(pl.Series(corpus.words.rows(words) == UNKNOWN)):
        near = difflib.get_close_matches(word, corpus.words.ids.to_list(), n=3, cutoff=0.6)
        raise DataError(
            f"The model does not know the word {word!r}; give one of the {corpus.n_words:,} that it does"
            f"{', such as ' + ', '.join(map(repr, near)) if near else ''}."
        )
    return words.to_list()


def _one(corpus: Corpus, text: str) -> str:
    words = _known(corpus, text)
    if len(words) > 1:
        raise DataError(
            f"{text!r} is read as {len(words)} words, {', '.join(map(repr, words))}; give one."
        )
    return words[0]


def _listed(words: Any) -> list[str]:
    if isinstance(words, str):
        raise SettingError(f"others is a list of words, found {words!r}; write [{words!r}].")
    return list(words)


# --- what a text said of an item to a user --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Spoken:
    """What a text said for and against a prediction: `prediction` = `base` + `text` + `ratings`, before it is kept to the scale.

    With U of the user, V of the item and theta of the text: base is the mean and the user's offset, if the model has them (else
    0), text is U · theta, and ratings U · (V − theta). `changes[p]` is by how much U · theta falls if the `width` words from
    place p on are left out: above 0, they spoke for the item.
    """

    user_id: str
    item_id: str | None  # None: a new text
    words: tuple[str, ...]  # as the model reads them
    width: int
    changes: Float64[np.ndarray, " phrases"]
    base: float
    text: float
    ratings: float

    @property
    def prediction(self) -> float:
        """The sum of the three."""
        return self.base + self.text + self.ratings

    def table(self, n: int = 10) -> pl.DataFrame:
        """The n phrases that changed most, what spoke for first: place, phrase, change.

        Of phrases that overlap and spoke for it both, or against it both, the stronger one stands for all. A place counts the
        words before the phrase.

        Raises: SettingError if n is below 1.
        """
        if n < 1:
            raise SettingError(f"n is how many phrases are wanted, 1 or more; found {n}.")
        chosen: list[int] = []
        for place in np.argsort(-np.abs(self.changes), kind="stable").tolist():
            alike = [other for other in chosen if self.changes[other] * self.changes[place] > 0]
            if len(chosen) < n and all(abs(place - other) >= self.width for other in alike):
                chosen.append(place)
        phrases = [" ".join(self.words[place : place + self.width]) for place in chosen]
        frame = pl.DataFrame({"place": chosen, "phrase": phrases, "change": self.changes[chosen]})
        return frame.sort("change", descending=True, maintain_order=True)

    def by_word(self) -> pl.DataFrame:
        """Every word of the text in order, and the mean change of the phrases that have it: word, change."""
        total, count = np.zeros(len(self.words)), np.zeros(len(self.words))
        for place, change in enumerate(self.changes):
            total[place : place + self.width] += change
            count[place : place + self.width] += 1
        return pl.DataFrame({"word": self.words, "change": total / count})


def spoken_for(
    model: Model,
    *,
    user_id: object,
    item_id: object = None,
    text: str | None = None,
    width: int | None = None,
) -> Spoken:
    """Which phrases of an item's text, or of a new text, spoke for and against the prediction for a user.

    Each phrase of `width` words is left out in turn, and the rest is read again; by default as many as the largest window of the
    model's filters, or 1 where words are counted. Of a text that is left without a word, the model says what it says of items
    without a text: the mean of all.

    Raises: SettingError for a model that reads no texts, a width below 1, or if neither or both of item_id and text are given;
    DataError for a user or item that the model does not know, or a text without words.
    """
    reads, corpus = _text_model(model)
    if width is not None and width < 1:
        raise SettingError(
            f"width is how many words are left out at a time, 1 or more; found {width}."
        )
    if (item_id is None) == (text is None):
        raise SettingError(
            "spoken_for takes the item_id of an item with a text, or a new text; give one of the two."
        )
    user, item = (
        _row_of_user(model.given_, user_id),
        None if item_id is None else _row_of_item(model.given_, item_id),
    )
    document = _new(corpus, text) if item is None else corpus.take([item])
    width = width or (max(reads.net_.text.windows) if _has_filters(model) else 1)
    base, facing = _of_user(reads.net_, user)
    said = float(reads.text_factors(document)[0] @ facing)
    rest = np.concatenate([_says(reads, part) @ facing for part in _left_out(document, width)])
    whole = said if item is None else float(reads.net_.item[item].cpu().numpy() @ facing)
    return Spoken(
        model.given_.users.ids[user],
        None if item is None else model.given_.items.ids[item],
        tuple(corpus.words.at(document.word)),
        width,
        said - rest,
        base=base,
        text=said,
        ratings=whole - said,
    )


def _has_filters(model: Model) -> bool:
    return isinstance(model, find("convmf"))


def _of_user(net: Any, user: int) -> tuple[float, Float64[np.ndarray, " k"]]:
    """What is predicted for the user without a word about the item, and what the item's factors are multiplied with."""
    row = net.user[user : user + 1]
    base = float(net.mu) + (float(row[0, -1]) if net.offsets else 0.0)
    return base, net.features_of(row)[0].cpu().numpy().astype(np.float64)


def _text_model(model: Model) -> tuple[Any, Corpus]:
    """The model, fitted, and the texts that it has learned from."""
    if not isinstance(model, TextModel):
        raise SettingError(
            f"{type(model).__name__} reads no texts; ask a model that does, such as convmf."
        )
    text = model.given().text
    assert text is not None
    return model, text


def _row_of_user(given: AnyRatings, user_id: object) -> int:
    row = int(given.users.rows([user_id])[0])
    if row == UNKNOWN or not given.count("user")[row]:
        raise DataError(
            f"The model knows no rating by user {str(user_id)!r}; it knows users such as "
            f"{_some(given.users, given.count('user') > 0)}."
        )
    return row


def _row_of_item(given: AnyRatings, item_id: object) -> int:
    assert given.text is not None
    row = int(given.items.rows([item_id])[0])
    if row == UNKNOWN:
        raise DataError(
            f"The model knows no item {str(item_id)!r}; it has texts of {_some(given.items, given.text.has)} and "
            "others."
        )
    if not given.text.has[row]:
        raise DataError(
            f"Item {str(item_id)!r} has no text, or none with a word that the model knows; it has texts of "
            f"{_some(given.items, given.text.has)} and others."
        )
    return row


def _some(vocab: Vocab, known: np.ndarray) -> str:
    return ", ".join(map(repr, vocab.at(np.flatnonzero(known)[:3])))


def _new(corpus: Corpus, text: str | None) -> Corpus:
    document = corpus.read([text])
    if not document.has[0]:
        raise DataError(
            f"None of the words of this text is among the {corpus.n_words:,} that the model knows; give another."
        )
    return document


def _left_out(document: Corpus, width: int) -> Iterator[Corpus]:
    """The document without each of its phrases in turn, some at a time."""
    n = len(document.word)
    places = np.arange(max(n - width + 1, 1))
    step = max(1, WORDS_AT_ONCE // n)
    for first in range(0, len(places), step):
        place = places[first : first + step, None]
        kept = (np.arange(n) < place) | (np.arange(n) >= place + width)
        start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
        yield replace(document, start=start, word=np.broadcast_to(document.word, kept.shape)[kept])


def _says(model: TextModel, documents: Corpus) -> Float64[np.ndarray, "documents k"]:
    """What the texts say; one without words, the mean of what those say that the model has learned from."""
    if documents.has.all():
        return model.text_factors(documents).astype(np.float64)
    learned = model.given_.text
    assert learned is not None
    assert not documents.has.any()  # the same number of words is left of each
    mean = model.text_factors(learned)[learned.has].mean(axis=0, dtype=np.float64)
    return np.tile(mean, (len(documents), 1))
