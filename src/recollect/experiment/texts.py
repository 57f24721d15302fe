"""The texts of a part's items: which files, where they are, and how they are read."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recollect.data import download, sources
from recollect.data.ratings import Ratings
from recollect.data.text.tokenizer import Tokenizer, tokenizer_of
from recollect.data.text.word_vectors import SENTENCES
from recollect.data.with_texts import with_texts
from recollect.errors import DataError, SettingError

TEXT_KEYS = {"text", "vectors", "reading", "join"}  # of a part


@dataclass(frozen=True)
class Texts:
    """A file of documents and perhaps one of word vectors, named by their places in the homes of data, or by their paths."""

    text: str
    vectors: str | None = None
    join: bool = False  # several documents of an item are one
    given: dict[str, Any] = field(
        default_factory=dict
    )  # fields of the reading that are not the usual ones

    @property
    def tokenizer(self) -> Tokenizer:
        """How a document becomes words."""
        return tokenizer_of(self.given)

    def __str__(self) -> str:
        about = {"vectors": self.vectors, "join": self.join or None, **self.given}
        return ", ".join(
            [self.text, *(f"{key} = {value}" for key, value in about.items() if value is not None)]
        )

    def missing(self, data: str) -> str | None:
        """Which of the files is not here, and where it belongs; None if they are. Nothing is downloaded."""
        for name in self._files():
            if located(name, data) is None:
                place = Path("$RECOLLECT_DATA", folder_of(data), name)
                return f"{name}, a text of {data}, is not here; put it at {place}"
        return None

    def attached(self, ratings: Ratings, data: str) -> Ratings:
        """The ratings of this data set with the texts.

        Raises: DataError if a file is missing, and as `with_texts`.
        """
        missing = self.missing(data)
        if missing:
            raise DataError(f"{missing}.")
        found = {name: located(name, data) for name in self._files()}
        vectors = None if self.vectors is None else found.get(self.vectors, self.vectors)
        return with_texts(
            ratings, found[self.text], tokenizer=self.tokenizer, vectors=vectors, join=self.join
        )

    def _files(self) -> list[str]:
        is_file = self.vectors is not None and not self.vectors.startswith(SENTENCES)
        return [self.text, *([self.vectors] if self.vectors is not None and is_file else [])]


def texts_of(raw: Mapping[str, Any]) -> Texts | None:
    """What the keys of a part say of texts; None if they say nothing.

    Raises: SettingError for vectors or a reading without a text, or a reading that cannot be.
    """
    if not TEXT_KEYS & set(raw):
        return None
    if "text" not in raw:
        stated = ", ".join(sorted(TEXT_KEYS & set(raw)))
        raise SettingError(
            f'{stated} without text; name the file of the documents, such as text = "plot.item".'
        )
    found = Texts(
        raw["text"], raw.get("vectors"), raw.get("join", False), dict(raw.get("reading", {}))
    )
    tokenizer_of(found.given)
    return found


def same_texts(ratings: Ratings, other: Ratings) -> Ratings:
    """The ratings with the items and the texts of the other part of a split that was published in parts."""
    return replace(ratings, items=other.items, text=other.text)


def located(name: str, data: str) -> Path | None:
    """The file of this path, in the data set's folder in one of the homes of data, or in a home itself; None if it is nowhere."""
    places = [Path(), *(home / folder_of(data) for home in download.homes()), *download.homes()]
    return next((place / name for place in places if (place / name).is_file()), None)


def folder_of(data: str) -> Path:
    """The folder of a data set in the homes of data; of one without, the home itself."""
    family, _, variant = data.partition("/")
    if data not in sources.known():
        return Path()
    release = importlib.import_module(f"recollect.data.sources.{family}").VARIANTS[variant]
    return Path(getattr(release, "folder", ""))  # what is made here has none
