"""What the phrases of an item's text contribute to a prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float64

from recollect.data.rating_unit import RatingUnit
from recollect.data.ratings import AnyRatings
from recollect.data.text.corpus import Corpus
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError, SettingError
from recollect.explain.text_models import has_filters, text_model_of
from recollect.families.text_model import TextModel
from recollect.model import Model

WORDS_AT_ONCE = 1 << 18  # of the texts with a phrase left out


@dataclass(frozen=True, eq=False)
class Contributions:
    """The parts of a prediction, `base` + `text` + `ratings`, before it is clipped to the scale.

    With the user's factors U, the item's factors V and their prior mean θ: base is mu + b_u (0
    without offsets), text is U · θ, and ratings is U · (V − θ). On a scale other than 1 to 5, which
    is that of the model's numbers, base contains the shift of the scale.

    Args:
        user_id: of the user.
        item_id: of the item; None: a new text.
        words: the text as the model reads it.
        width: how many words are left out at a time.
        changes: `changes[p]` is by how much U · θ falls without the `width` words from place p on:
            above 0, they count for the item.
        base: mu + b_u.
        text: U · θ.
        ratings: U · (V − θ).
    """

    user_id: str
    item_id: str | None
    words: tuple[str, ...]
    width: int
    changes: Float64[np.ndarray, " phrases"]
    base: float
    text: float
    ratings: float

    @property
    def prediction(self) -> float:
        """The sum of the three parts."""
        return self.base + self.text + self.ratings

    def table(self, n: int = 10) -> pl.DataFrame:
        """The n phrases with the largest changes, from for to against: place, phrase, change.

        Of phrases that overlap and have changes of the same sign, the larger one is listed. A place
        is the number of words before the phrase.

        Raises:
            SettingError: if n is below 1.
        """
        if n < 1:
            raise SettingError(f"n is the number of phrases, 1 or more; found {n}.")

        places: list[int] = []

        by_size = np.argsort(-np.abs(self.changes), kind="stable")

        for place in by_size.tolist():
            if len(places) == n:
                break

            if not any(self._stands_for(other, place) for other in places):
                places.append(place)

        table = pl.DataFrame(
            {
                "place": places,
                "phrase": [self._phrase_at(place) for place in places],
                "change": self.changes[places],
            }
        )

        return table.sort("change", descending=True, maintain_order=True)

    def _phrase_at(self, place: int) -> str:
        words = self.words[place : place + self.width]
        return " ".join(words)

    def _stands_for(self, place: int, other: int) -> bool:
        """Whether two phrases overlap and have changes of the same sign."""
        if abs(place - other) >= self.width:
            return False

        product = self.changes[place] * self.changes[other]

        return bool(product > 0)

    def by_word(self) -> pl.DataFrame:
        """Each word of the text in order, and the mean change of its phrases: word, change."""
        n_words = len(self.words)
        total = np.zeros(n_words)
        count = np.zeros(n_words)

        for place, change in enumerate(self.changes):
            phrase = slice(place, place + self.width)
            total[phrase] += change
            count[phrase] += 1

        mean = total / count

        return pl.DataFrame({"word": self.words, "change": mean})


def contributions(
    model: Model,
    *,
    user_id: object,
    item_id: object = None,
    text: str | None = None,
    width: int | None = None,
) -> Contributions:
    """What phrases of an item's text, or of a new text, contribute to the prediction for a user.

    Each phrase of `width` words is left out in turn and the text encoded again. Of a text that is
    left without a word, the encoding is that of an item without a text: the mean of all.

    Args:
        model: a fitted model of texts.
        user_id: a user with training ratings.
        item_id: an item with a text.
        text: a new text, instead of an item.
        width: words to leave out at a time; None: the largest window of a ConvMF, else 1.

    Raises:
        SettingError: for a model that reads no texts, a width below 1, or if neither or both of
            item_id and text are given.
        DataError: for a user or item that the model does not know, or a text without known words.
    """
    text_model, corpus = text_model_of(model)
    if width is not None and width < 1:
        raise SettingError(
            f"width is the number of words left out at a time, 1 or more; found {width}."
        )

    if width is None:
        width = _default_width(model)

    if (item_id is None) == (text is None):
        raise SettingError(
            "contributions takes the item_id of an item with a text, or a new text; give one of "
            "the two."
        )

    given = model.given_
    user = _user_row(given, user_id)
    if item_id is None:
        document = _new_document(corpus, text)
        return in_points(_parts(text_model, user, document, width), model.unit_)

    item = _item_row(given, item_id)
    parts = _parts(text_model, user, corpus.take([item]), width)
    V = model.net_.item[item].cpu().numpy()
    _, U = _user_part(model.net_, user)

    of_item = replace(parts, item_id=given.items.ids[item], ratings=float(V @ U) - parts.text)

    return in_points(of_item, model.unit_)


def in_points(parts: Contributions, unit: RatingUnit) -> Contributions:
    """Contributions in a model's unit as contributions in rating points."""
    if unit.is_identity:
        return parts

    return replace(
        parts,
        changes=parts.changes * unit.size,
        base=(parts.base - 1) * unit.size + unit.low,
        text=parts.text * unit.size,
        ratings=parts.ratings * unit.size,
    )


def _default_width(model: Model) -> int:
    """The largest window of a ConvMF; 1 for a model that counts words."""
    if not has_filters(model):
        return 1

    windows = model.net_.text.windows

    return max(windows)


def _parts(model: TextModel, user: int, document: Corpus, width: int) -> Contributions:
    """The contributions of a document's phrases, without an item and its ratings."""
    base, U = _user_part(model.net_, user)
    theta = model.text_factors(document)[0]
    text = float(theta @ U)
    without: list[np.ndarray] = []

    for documents in _without_phrases(document, width):
        without.append(_encoded(model, documents) @ U)

    return Contributions(
        user_id=model.given_.users.ids[user],
        item_id=None,
        words=tuple(document.words.at(document.word)),
        width=width,
        changes=text - np.concatenate(without),
        base=base,
        text=text,
        ratings=0.0,
    )


def _user_part(net: Any, user: int) -> tuple[float, Float64[np.ndarray, " k"]]:
    """mu + b_u, and what the item's factors are multiplied with: U, and 1 for the item's offset."""
    row = net.user[user : user + 1]
    base = float(net.mu)
    if net.offsets:
        base += float(row[0, -1])

    features = net.features_of(row)[0]
    U = features.cpu().numpy()

    return base, U.astype(np.float64)


def _user_row(given: AnyRatings, user_id: object) -> int:
    """The row of a user with ratings.

    Raises:
        DataError: if the model does not know the user.
    """
    row = int(given.users.rows([user_id])[0])
    has_ratings = given.count("user") > 0
    if row == UNKNOWN or not has_ratings[row]:
        raise DataError(
            f"The model knows no rating by user {str(user_id)!r}; it knows users such as "
            f"{_examples(given.users, has_ratings)}."
        )

    return row


def _item_row(given: AnyRatings, item_id: object) -> int:
    """The row of an item with a text.

    Raises:
        DataError: if the model does not know the item, or it has no text.
    """
    assert given.text is not None
    row = int(given.items.rows([item_id])[0])
    if row != UNKNOWN and given.text.has[row]:
        return row

    examples = f"it has texts of {_examples(given.items, given.text.has)} and others."
    if row == UNKNOWN:
        raise DataError(f"The model knows no item {str(item_id)!r}; {examples}")

    raise DataError(
        f"Item {str(item_id)!r} has no text, or none with a word that the model knows; {examples}"
    )


def _examples(vocab: Vocab, is_known: np.ndarray) -> str:
    """The first three known ids."""
    rows = np.flatnonzero(is_known)[:3]
    ids = vocab.at(rows)
    quoted = [repr(id_) for id_ in ids]
    return ", ".join(quoted)


def _new_document(corpus: Corpus, text: str | None) -> Corpus:
    """A new text as a document.

    Raises:
        DataError: if it has no word of the vocabulary.
    """
    document = corpus.read([text])
    if not document.has[0]:
        raise DataError(
            f"None of the words of this text is among the {corpus.n_words:,} that the model knows; "
            "give another."
        )

    return document


def _without_phrases(document: Corpus, width: int) -> Iterator[Corpus]:
    """The document without each of its phrases in turn, several at a time."""
    n = len(document.word)
    token = np.arange(n)
    # A text shorter than a phrase is left out as a whole.
    places = np.arange(max(n - width + 1, 1))
    step = max(1, WORDS_AT_ONCE // n)

    for first in range(0, len(places), step):
        place = places[first : first + step, None]
        # A row per phrase, a column per word of the text.
        is_before = token < place
        is_after = token >= place + width
        is_kept = is_before | is_after
        length = is_kept.sum(axis=1)
        start = np.concatenate([[0], np.cumsum(length)])
        words = np.broadcast_to(document.word, is_kept.shape)
        word = words[is_kept]

        yield replace(document, start=start, word=word)


def _encoded(model: TextModel, documents: Corpus) -> Float64[np.ndarray, "documents k"]:
    """θ of each document; of documents without words, the mean θ of the model's own texts."""
    if documents.has.all():
        theta = model.text_factors(documents)
        return theta.astype(np.float64)

    learned = model.given_.text
    assert learned is not None
    assert not documents.has.any()  # the same number of words is left of each
    of_learned = model.text_factors(learned)
    mean = of_learned[learned.has].mean(axis=0, dtype=np.float64)

    return np.tile(mean, (len(documents), 1))
