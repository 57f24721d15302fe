"""Tokenizer: how a document is split into words, and which words a vocabulary keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from recollect.errors import SettingError, unknown
from recollect.settings import check_ranges, setting

SPLITS = ("words", "blanks")
NUMBERS = ("keep", "drop", "one")
CHOICES = ("tf-idf", "count")
ENGLISH = "english"
# A number such as 1,000 or 3.5; otherwise letters and digits, which ' and - may join.
WORD = r"\p{Nd}+(?:[.,]\p{Nd}+)+|[\p{L}\p{M}\p{N}]+(?:['-][\p{L}\p{M}\p{N}]+)*"
NUMBER = r"^\p{Nd}+(?:[.,]\p{Nd}+)*$"
POSSESSIVE = r"(?i)([\p{L}\p{M}\p{N}])'s\b"
ANY_NUMBER = "0"  # replaces every number with numbers="one"; files of word vectors have it

# The Python types that a field accepts, by a word of its annotation.
ACCEPTED_TYPES = (
    ("str", str),
    ("bool", bool),
    ("int", int),
    ("float", int),
    ("float", float),
    ("Sequence", list),
    ("Sequence", tuple),
    ("None", type(None)),
)


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """How documents are split into words, and which words are kept.

    With `split="words"` a word is a run of letters and digits of any script, which ' and - may
    join; a final 's is removed. With `split="blanks"` it is whatever stands between blanks,
    unchanged, as ConvMF's authors have it.

    Raises:
        SettingError: for a value that a field cannot take.
    """

    split: str = setting("words", one_of=SPLITS)  # at the ends of "words", or at "blanks" only
    lower: bool = True  # whether capitals become small letters
    numbers: str = setting("keep", one_of=NUMBERS)  # "one": every number becomes the same word
    stop_words: str | Sequence[str] | None = ENGLISH  # dropped: scikit-learn's list, or your own
    first: int | None = setting(300, at_least=1)  # words read per document, stop words included
    n_words: int = setting(8000, at_least=1)  # size of the vocabulary at most
    by: str = setting("tf-idf", one_of=CHOICES)  # words with the largest sum of this are kept
    most: float = setting(0.5, above=0, at_most=1)  # words in a larger share of texts are dropped
    least: int = setting(1, at_least=1)  # words in fewer documents are dropped

    def __post_init__(self) -> None:
        check_ranges(self)
        if isinstance(self.stop_words, str) and self.stop_words != ENGLISH:
            raise SettingError(
                f"stop_words is {ENGLISH!r}, None or a list of words; found {self.stop_words!r}."
            )

        if self.stop_words is not None and not isinstance(self.stop_words, str):
            object.__setattr__(self, "stop_words", tuple(self.stop_words))


def tokenizer_of(fields: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer with fields as files and commands state them: lists for tuples, 1 for 1.0.

    Raises:
        SettingError: for an unknown field, with the nearest known one, or a value of a wrong type.
    """
    types = {field.name: str(field.type) for field in dataclasses.fields(Tokenizer)}
    values: dict[str, Any] = {}

    for name, value in fields.items():
        if name not in types:
            raise unknown("field of a tokenizer", name, types)

        _check_type(name, types[name], value)
        values[name] = float(value) if types[name] == "float" else value

    return Tokenizer(**values)


def _check_type(name: str, annotation: str, value: object) -> None:
    """Refuse a value whose type the field's annotation does not name.

    Raises:
        SettingError: naming the field, its type and the value.
    """
    accepted = tuple(kind for word, kind in ACCEPTED_TYPES if word in annotation)
    # bool is a subclass of int, and True is no number of words.
    is_misplaced_bool = isinstance(value, bool) and annotation != "bool"
    if isinstance(value, accepted) and not is_misplaced_bool:
        return

    found = f"{value!r} ({type(value).__name__})"
    raise SettingError(f"{name} takes {annotation}, found {found}.")


def is_document(texts: pl.Series) -> pl.Series:
    """Which of the texts hold more than blanks."""
    return texts.str.contains(r"\S").fill_null(False)


def words_of(texts: pl.Series, tokenizer: Tokenizer) -> pl.DataFrame:
    """The words of the texts in their order, without stop words.

    Returns:
        A table of `document`, the index of the text, and `word`.

    Raises:
        SettingError: if scikit-learn's stop words are wanted and scikit-learn is not installed.
    """
    lists = _split(texts, tokenizer)
    if tokenizer.first is not None:
        lists = lists.list.head(tokenizer.first)

    document = pl.arange(0, len(lists), dtype=pl.Int64, eager=True)
    table = pl.DataFrame({"document": document, "word": lists})
    table = table.explode("word").drop_nulls("word")
    is_number = pl.col("word").str.contains(NUMBER)
    if tokenizer.numbers == "drop":
        table = table.filter(~is_number)
    elif tokenizer.numbers == "one":
        any_number = pl.lit(ANY_NUMBER)
        table = table.with_columns(
            word=pl.when(is_number).then(any_number).otherwise(pl.col("word"))
        )

    return table.filter(~pl.col("word").is_in(_stop_words(tokenizer)))


def _split(texts: pl.Series, tokenizer: Tokenizer) -> pl.Series:
    """The words of each text, as a list."""
    if tokenizer.split == "words":
        texts = texts.str.normalize("NFKC")
        texts = texts.str.replace_all("[’ʼ]", "'")
        texts = texts.str.replace_all("‐", "-")
        texts = texts.str.replace_all("\xad", "")  # soft hyphens

    if tokenizer.lower:
        texts = texts.str.to_lowercase()

    if tokenizer.split == "blanks":
        return texts.str.extract_all(r"\S+")

    return texts.str.replace_all(POSSESSIVE, "${1}").str.extract_all(WORD)


def _stop_words(tokenizer: Tokenizer) -> list[str]:
    """The words that are dropped.

    Raises:
        SettingError: if scikit-learn's list is wanted and scikit-learn is not installed.
    """
    if tokenizer.stop_words != ENGLISH:
        return list(tokenizer.stop_words or ())

    try:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
    except ImportError as missing:
        raise SettingError(
            'stop_words="english" is scikit-learn\'s list, which is not installed: '
            "pip install 'recollect[text]', or stop_words=None."
        ) from missing

    return sorted(ENGLISH_STOP_WORDS)
