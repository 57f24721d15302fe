"""The texts of a part's items: which files they are, where they lie, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recollect.data import download
from recollect.data.open_data import data_folder
from recollect.data.ratings import Ratings
from recollect.data.text.tokenizer import Tokenizer, tokenizer_of
from recollect.data.text.word_vectors import SENTENCES
from recollect.data.with_texts import with_texts
from recollect.errors import DataError, SettingError

TEXT_KEYS = {"text", "vectors", "reading", "join"}  # keys of a part


@dataclass(frozen=True)
class Texts:
    """A file of documents and perhaps one of word vectors, by path or by place in a data home."""

    text: str
    vectors: str | None = None
    join: bool = False  # several documents of an item become one
    changed: dict[str, Any] = field(default_factory=dict)  # fields of the reading, not defaults

    @property
    def tokenizer(self) -> Tokenizer:
        """How a document becomes words."""
        return tokenizer_of(self.changed)

    def __str__(self) -> str:
        options = {"vectors": self.vectors, "join": self.join or None, **self.changed}
        parts = [self.text]

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
        return None

    def attach(self, ratings: Ratings, data: str) -> Ratings:
        """The ratings of the data set of this name, with the texts of their items.

        Raises: DataError if a file is missing, or as `with_texts`.
        """
        reason = self.missing(data)
        if reason:
            raise DataError(f"{reason}.")

        paths = {name: find_file(name, data) for name in self._files()}
        vectors: Any = self.vectors
        if vectors in paths:
            vectors = paths[vectors]

        return with_texts(
            ratings,
            paths[self.text],
            tokenizer=self.tokenizer,
            vectors=vectors,
            join=self.join,
        )

    def _files(self) -> list[str]:
        if self.vectors is None or self.vectors.startswith(SENTENCES):
            return [self.text]

        return [self.text, self.vectors]


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

    return Texts(raw["text"], raw.get("vectors"), raw.get("join", False), reading)


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
