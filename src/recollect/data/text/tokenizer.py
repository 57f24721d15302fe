"""How a document becomes words: a `Tokenizer`, and what it makes of texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from recollect.errors import SettingError, unknown

SPLITS = ("words", "blanks")
NUMBERS = ("keep", "drop", "one")
CHOICES = ("tf-idf", "count")
ENGLISH = "english"
WORD = r"\p{Nd}+(?:[.,]\p{Nd}+)+|[\p{L}\p{M}\p{N}]+(?:['-][\p{L}\p{M}\p{N}]+)*"  # 1,000 or 3.5, else letters and digits
NUMBER = r"^\p{Nd}+(?:[.,]\p{Nd}+)*$"
TAKES = (
    ("str", str),
    ("bool", bool),
    ("int", int),
    ("float", int),
    ("float", float),
    ("Sequence", list),
    ("Sequence", tuple),
    ("None", type(None)),
)  # what a value may be, by a word of its field's type
ANY_NUMBER = "0"  # stands for all of them; files of word vectors have it


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """How documents are read as words, and which words are kept.

    Raises: SettingError for a value that a field cannot take.
    """

    split: str = "words"  # "words": letters and digits of any script, also around an inner ' or -, without a last 's;
    # "blanks": what stands between blanks, just as it is (ConvMF's authors)
    lower: bool = True  # capitals become small letters
    numbers: str = "keep"  # "keep" them, "drop" them, or "one": every number is the same word
    stop_words: str | Sequence[str] | None = (
        ENGLISH  # are dropped: "english" (scikit-learn's list), None, or words of your own
    )
    first: int | None = (
        300  # so much of a document is taken, in words, before any is dropped; None: all
    )
    n_words: int = 8000  # at most so many words are kept
    by: str = "tf-idf"  # which: the largest sums of "tf-idf" over the documents, or the largest "count" (as the authors)
    most: float = 0.5  # words in more than this share of the documents are dropped
    least: int = 1  # documents that a word must be in

    def __post_init__(self) -> None:
        for name, known in (("split", SPLITS), ("numbers", NUMBERS), ("by", CHOICES)):
            if getattr(self, name) not in known:
                raise unknown(f"value of {name}", str(getattr(self, name)), known)
        if isinstance(self.stop_words, str) and self.stop_words != ENGLISH:
            raise SettingError(
                f"stop_words is {ENGLISH!r}, None or a list of words; found {self.stop_words!r}."
            )
        if self.stop_words is not None and not isinstance(self.stop_words, str):
            object.__setattr__(self, "stop_words", tuple(self.stop_words))
        for name in ("first", "n_words", "least"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingError(f"{name} is a whole number of 1 or more; found {value!r}.")
        if not 0 < self.most <= 1:
            raise SettingError(
                f"most is a share of the documents, above 0 and up to 1, such as 0.5; found {self.most!r}."
            )


def tokenizer_of(given: Mapping[str, Any]) -> Tokenizer:
    """The reading with these values of its fields, as files and commands have them: a list for a tuple, 1 for 1.0.

    Raises: SettingError for a field that does not exist, with the nearest that does, or a value that it cannot take.
    """
    fields = {f.name: str(f.type) for f in dataclasses.fields(Tokenizer)}
    for name, value in given.items():
        if name not in fields:
            raise unknown("field of a reading", name, fields)
        kinds = tuple(kind for word, kind in TAKES if word in fields[name])
        if not isinstance(value, kinds) or (
            isinstance(value, bool) and fields[name] != "bool"
        ):  # a bool is an int
            raise SettingError(
                f"{name} takes {fields[name]}, found {value!r} ({type(value).__name__})."
            )
    made: dict[str, Any] = {
        name: float(value) if fields[name] == "float" else value for name, value in given.items()
    }
    return Tokenizer(**made)


def is_document(texts: pl.Series) -> pl.Series:
    """Which of the texts are more than blanks."""
    return texts.str.contains(r"\S").fill_null(False)


def words_of(texts: pl.Series, reading: Tokenizer) -> pl.DataFrame:
    """The words of the texts in their order, without stop words: `document`, the number of the text, and `word`."""
    lists = _split(texts, reading)
    if reading.first is not None:
        lists = lists.list.head(reading.first)
    table = pl.DataFrame(
        {"document": pl.arange(0, len(lists), dtype=pl.Int64, eager=True), "word": lists}
    )
    table = table.explode("word").drop_nulls("word")
    if reading.numbers == "drop":
        table = table.filter(~pl.col("word").str.contains(NUMBER))
    elif reading.numbers == "one":
        is_number = pl.col("word").str.contains(NUMBER)
        table = table.with_columns(
            word=pl.when(is_number).then(pl.lit(ANY_NUMBER)).otherwise(pl.col("word"))
        )
    return table.filter(~pl.col("word").is_in(_stop_words(reading)))


def _split(texts: pl.Series, reading: Tokenizer) -> pl.Series:
    """The words of each text, as a list."""
    if reading.split == "words":
        texts = (
            texts.str.normalize("NFKC")
            .str.replace_all("[’ʼ]", "'")
            .str.replace_all("‐", "-")
            .str.replace_all("\xad", "")
        )
    if reading.lower:
        texts = texts.str.to_lowercase()
    if reading.split == "blanks":
        return texts.str.extract_all(r"\S+")
    return texts.str.replace_all(r"(?i)([\p{L}\p{M}\p{N}])'s\b", "${1}").str.extract_all(WORD)


def _stop_words(reading: Tokenizer) -> list[str]:
    """The words that are dropped.

    Raises: SettingError if scikit-learn is asked for its list and is not installed.
    """
    if reading.stop_words != ENGLISH:
        return list(reading.stop_words or ())
    try:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
    except ImportError as missing:
        raise SettingError(
            'stop_words="english" is scikit-learn\'s list, which is not installed: '
            "pip install 'recollect[text]', or stop_words=None."
        ) from missing
    return sorted(ENGLISH_STOP_WORDS)
