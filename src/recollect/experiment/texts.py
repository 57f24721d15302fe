"""The texts of a part's items: which files they are, where they lie, and how they are read.

The documents of a part are a file, or the reviews that users wrote about items. A review is written
by the user whose rating is to be predicted, so each split has the reviews of its own train ratings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recollect.data import download
from recollect.data.open_data import data_folder
from recollect.data.ratings import Ratings
from recollect.data.sources import amazon
from recollect.data.text.documents import documents_of
from recollect.data.text.tokenizer import Tokenizer, is_document, tokenizer_of
from recollect.data.text.word_vectors import SENTENCES
from recollect.data.with_texts import with_texts
from recollect.errors import DataError, SettingError, unknown

TEXT_KEYS = {"text", "vectors", "reading", "join", "among"}  # keys of a part
REVIEWS = "reviews"  # in place of a file: what users wrote about the items
AMAZON = "amazon/"  # how the names of data with reviews begin
AMONG = ("train", "all")  # whose reviews: those of a split's train ratings, or of test ratings too


@dataclass(frozen=True)
class Texts:
    """A file of documents and perhaps one of word vectors, by path or by place in a data home.

    In place of a file, `text` may be "reviews".
    """

    text: str
    vectors: str | None = None
    join: bool = False  # several documents of an item become one
    changed: dict[str, Any] = field(default_factory=dict)  # fields of the reading, not defaults
    among: str = "train"  # of reviews: "train" or "all"

    @property
    def are_reviews(self) -> bool:
        """Whether the documents are reviews, not a file."""
        return self.text == REVIEWS

    @property
    def depend_on_split(self) -> bool:
        """Whether each split has documents of its own: the reviews of its train ratings."""
        return self.are_reviews and self.among == "train"

    @property
    def tokenizer(self) -> Tokenizer:
        """How a document becomes words."""
        return tokenizer_of(self.changed)

    def __str__(self) -> str:
        options = {"vectors": self.vectors, "join": self.join or None, **self.changed}
        parts = [self.text]
        if self.are_reviews:
            whose = "of train ratings" if self.depend_on_split else "of all ratings"
            parts = [f"{REVIEWS} {whose}"]

        for key, value in options.items():
            if value is not None:
                parts.append(f"{key} = {value}")

        return ", ".join(parts)

    def missing(self, data: str) -> str | None:
        """Which file of these texts is missing and where it belongs; None if all exist.

        Nothing is downloaded.
        """
        for name in self._files():
            if find_file(name, data) is None:
                place = Path("$RECOLLECT_DATA", data_folder(data), name)
                return f"{name}, a text of {data}, is not here; put it at {place}"

        if self.are_reviews and _reviews(data) is None:
            release = amazon.VARIANTS[_category(data)]
            place = Path("$RECOLLECT_DATA", release.folder, f"{release.reviews}.gz")
            return f"the reviews of {data} are not here; put them at {place}"

        return None

    def attach(self, ratings: Ratings, data: str, *, among: Ratings | None = None) -> Ratings:
        """The ratings of the data set of this name, with the texts of their items.

        Args:
            ratings: all of the data set, or a part.
            data: its name.
            among: of reviews, only those of these ratings are read; None: all.

        Raises: DataError if a file is missing, or as `with_texts`.
        """
        reason = self.missing(data)
        if reason:
            raise DataError(f"{reason}.")

        vectors: Any = self.vectors
        if vectors in self._files():
            vectors = find_file(vectors, data)

        return with_texts(
            ratings,
            self._documents(ratings, data, among),
            tokenizer=self.tokenizer,
            vectors=vectors,
            join=self.join,
        )

    def items_with_document(self, data: str) -> set[str]:
        """The ids of the items of a data set that have a document, of whichever ratings."""
        if self.are_reviews:
            return set(amazon.documents(_reviews(data) or ""))

        table = documents_of(find_file(self.text, data), join=self.join).table
        is_written = is_document(table["text"])

        return set(table["item_id"].filter(is_written))

    def _documents(self, ratings: Ratings, data: str, among: Ratings | None) -> Any:
        """The file of the documents, or the reviews of items that `ratings` know by id."""
        if not self.are_reviews:
            return find_file(self.text, data)

        documents = amazon.documents(_reviews(data) or "", among=among)

        known = set(ratings.items.ids)

        return {item: text for item, text in documents.items() if item in known}

    def _files(self) -> list[str]:
        files = [] if self.are_reviews else [self.text]
        if self.vectors is not None and not self.vectors.startswith(SENTENCES):
            files.append(self.vectors)

        return files


def read_texts(raw: Mapping[str, Any]) -> Texts | None:
    """The texts that the keys of a part describe; None without such keys.

    Raises: SettingError for vectors or a reading without a text, or a reading that does not exist.
    """
    stated = TEXT_KEYS & set(raw)
    if not stated:
        return None

    if "text" not in raw:
        keys = ", ".join(sorted(stated))
        raise SettingError(
            f'{keys} without text; name the file of the documents, such as text = "plot.item".'
        )

    reading = dict(raw.get("reading", {}))
    tokenizer_of(reading)  # refuses fields that do not exist
    texts = Texts(
        text=raw["text"],
        vectors=raw.get("vectors"),
        join=raw.get("join", False),
        changed=reading,
        among=raw.get("among", "train"),
    )
    _check_reviews(texts, raw)

    return texts


def _check_reviews(texts: Texts, raw: Mapping[str, Any]) -> None:
    """Refuse reviews of data without any, and `among` where there are no reviews."""
    if "among" in raw and not texts.are_reviews:
        raise SettingError(
            f'among says whose reviews are read; found it beside text = "{texts.text}". Leave it '
            f'out, or write text = "{REVIEWS}".'
        )

    if texts.among not in AMONG:
        raise unknown("choice of among", texts.among, AMONG)

    data = str(raw.get("data", ""))
    if texts.are_reviews and not data.startswith(AMAZON):
        raise SettingError(
            f'text = "{REVIEWS}" is of data with reviews, such as {AMAZON}musical-instruments; '
            f"found data = {data!r}."
        )


def _category(data: str) -> str:
    """musical-instruments, of amazon/musical-instruments."""
    return data.removeprefix(AMAZON)


def _reviews(data: str) -> Path | None:
    """The file of reviews of a data set in the data homes; None if it is nowhere."""
    release = amazon.VARIANTS[_category(data)]
    place = f"{release.folder}/{release.reviews}"
    return download.found([f"{place}.gz", place], None)


def with_texts_of(ratings: Ratings, other: Ratings) -> Ratings:
    """The ratings with the items and texts of the other part of the same published split."""
    return replace(ratings, items=other.items, text=other.text)


def find_file(name: str, data: str) -> Path | None:
    """The file of this path: from here, in the data set's folder of a data home, or in the home.

    None if it is nowhere.
    """
    homes = download.homes()
    of_data = [home / data_folder(data) for home in homes]

    for folder in (Path(), *of_data, *homes):
        path = folder / name
        if path.is_file():
            return path

    return None
