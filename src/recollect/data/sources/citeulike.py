"""CiteULike: the scientific articles in users' libraries, and the words of titles and abstracts.

Source of "a": Wang, Blei. "Collaborative Topic Modeling for Recommending Scientific Articles."
KDD 2011.
Source of "t": Wang, Chen, Li. "Collaborative Topic Regression with Social Regularization for Tag
Recommendation." IJCAI 2013.
License: for research; cite the papers above.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from recollect.data import download
from recollect.data.ratings import Ratings
from recollect.data.text.corpus import Corpus
from recollect.data.text.tokenizer import Tokenizer
from recollect.data.vocab import Vocab
from recollect.errors import DataError

ADDRESS = "https://raw.githubusercontent.com/js05212/citeulike-{}/master/{}"
USERS = "users.dat"
BAGS = "mult.dat"
VOCABULARY = "vocabulary.dat"


NO_IDS = "Users and articles have no ids: they are numbered from 0 in the order of the files."
ORDER_UNKNOWN = (
    "Bags of words: a word that an article has c times stands c times in a row, as the order of "
    "its words is not known."
)


@dataclass(frozen=True)
class Variant:
    """One of the two sets."""

    folder: str  # where its files are looked for, in the data homes
    users: int
    articles: int  # with and without likes
    likes: int | None  # None: papers and files differ by one
    words: int
    md5: dict[str, str]  # of its files, where it is known

    def __str__(self) -> str:
        likes = "205 thousand" if self.likes is None else f"{self.likes:,}"
        return (
            f"CiteULike: {likes} likes of {self.articles:,} articles by {self.users:,} users, "
            f"without times; bags of {self.words:,} words; research use"
        )


VARIANTS = {
    "a": Variant("citeulike-a", 5551, 16_980, None, 8000, {}),
    "t": Variant(
        "citeulike-t",
        7947,
        25_975,
        134_860,
        20_000,
        {
            USERS: "4e6b896cc923445803c1b8f12eb1c3bd",
            BAGS: "b8fdefb63bdd4c9b56bc5b7c488b3184",
            VOCABULARY: "83b7909eaeb1ce5d3400d48b412edc70",
        },
    ),
}


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The likes as events that count 1. Ids are row numbers, from 0; all articles are items.

    Args:
        variant: a key of VARIANTS.
        folder: where to look for it and download it to; default: the data homes.

    Raises:
        FetchError: if the file is not there and cannot be downloaded.
        DataError: if a line is damaged or the counts are not the published ones.
    """
    release = VARIANTS[variant]
    path = _file(variant, USERS, folder)
    lists = [_numbers(line, path, number) for number, line in enumerate(_lines(path), start=1)]

    for number, (count, *items) in enumerate(lists, start=1):
        if len(items) != count:
            raise DataError(
                f"Line {number} of {path} announces {count} articles and names {len(items)}. The "
                "file is damaged; make or download it again."
            )

    item = np.concatenate([items for _, *items in lists])
    user = np.repeat(np.arange(len(lists)), [count for count, *_ in lists])
    _check(path, "users", len(lists), release.users)
    if release.likes is not None:
        _check(path, "likes", len(item), release.likes)

    return Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        np.ones(len(item), np.float32),
        Vocab(range(len(lists))),
        Vocab(range(release.articles)),
        scale=(0.0, 1.0),
        implicit=True,
        name=f"citeulike/{variant}",
        notes=(NO_IDS,),
    )


def bags(variant: str, folder: Path | None = None) -> Corpus:
    """The words of every article, to go with the ratings: `replace(ratings, text=bags("t"))`.

    The files say how often an article has a word, not where: a word that it has c times stands c
    times in a row. Models that count words lose nothing; those that read words in their order read
    nonsense.

    Args:
        variant: a key of VARIANTS.
        folder: where to look for it and download it to; default: the data homes.

    Raises:
        FetchError: if a file is not there and cannot be downloaded.
        DataError: if a line is damaged or the counts are not the published ones.
    """
    release = VARIANTS[variant]
    vocabulary = _file(variant, VOCABULARY, folder)
    words = _lines(vocabulary)
    _check(vocabulary, "words", len(words), release.words)
    path = _file(variant, BAGS, folder)
    bags_ = _bags_of(path, len(words))
    _check(path, "articles", len(bags_), release.articles)
    distinct = np.concatenate(bags_)
    length = np.array([bag[:, 1].sum() for bag in bags_])
    notes = [ORDER_UNKNOWN]
    if n_empty := int((length == 0).sum()):
        notes.append(f"{n_empty:,} of {len(bags_):,} articles have no words.")

    word = distinct[:, 0]
    count = distinct[:, 1]
    n_documents = np.bincount(word, minlength=len(words))

    return Corpus(
        Vocab(words),
        np.concatenate([[0], np.cumsum(length)]),
        np.repeat(word, count).astype(np.int32),
        n_documents.astype(np.int32),
        Tokenizer(
            stop_words=None,
            first=None,
            n_words=len(words),
            most=1.0,
        ),
        notes=tuple(notes),
    )


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether the file of likes is in `folder` or one of the data homes."""
    release = VARIANTS[variant]
    path = download.found([f"{release.folder}/{USERS}"], folder)
    return path is not None


def how_to_get(variant: str) -> str:
    """What to do where a set is not here."""
    command = f"recollect data fetch citeulike/{variant}"
    release = VARIANTS[variant]
    return f"`{command}` gets it, or put it at $RECOLLECT_DATA/{release.folder}"


def _file(variant: str, name: str, folder: Path | None) -> Path:
    """The path of one of the files, downloaded if it is not there."""
    release = VARIANTS[variant]
    checksum = None
    if name in release.md5:
        checksum = f"md5:{release.md5[name]}"

    address = ADDRESS.format(variant, name)
    return download.file(f"{release.folder}/{name}", address, checksum, folder=folder)


def _lines(path: Path) -> list[str]:
    """The lines of a file; only line ends divide, for words may hold other kinds of blanks.

    Raises:
        DataError: if it is not UTF-8.
    """
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as problem:
        raise DataError(
            f"{path} is not UTF-8 at its byte {problem.start:,}. The file is damaged; make or "
            "download it again."
        ) from problem

    text = text.replace("\r\n", "\n").removesuffix("\n")
    return text.split("\n")


def _bags_of(path: Path, n_words: int) -> list[Int64[np.ndarray, "words two"]]:
    """The bag of each article in a file, for a vocabulary of so many words."""
    bags_ = []

    for number, line in enumerate(_lines(path), start=1):
        bags_.append(_bag(line, path, number, n_words))

    return bags_


def _bag(line: str, path: Path, number: int, n_words: int) -> Int64[np.ndarray, "words two"]:
    """The words of an article and how often it has each.

    Args:
        line: how many words; then, for each, its number, a colon and how often.
        path: of the file, for messages.
        number: of the line, for messages.
        n_words: in the vocabulary.
    """
    count, *numbers = _numbers(line.replace(":", " "), path, number)
    is_bag = len(numbers) == 2 * count
    if is_bag:
        bag = np.array(numbers, np.int64).reshape(-1, 2)  # a row per word: its number, how often
        is_word = bag[:, 0] < n_words
        occurs = bag[:, 1] > 0
        is_bag = bool(is_word.all() and occurs.all())

    if not is_bag:
        raise DataError(
            f"Line {number} of {path} is {line[:60]!r}; expected how many words, then for each its "
            f"number, below {n_words}, a colon and how often, 1 or more. The file is damaged; make "
            "or download it again."
        )

    return bag


def _numbers(line: str, path: Path, number: int) -> list[int]:
    """The numbers of a line: at least one, none negative."""
    fields = line.split()
    if not fields or not all(map(_is_small_number, fields)):
        raise DataError(
            f"Line {number} of {path} is {line[:60]!r}; expected whole numbers: how many, then "
            "which. The file is damaged; make or download it again."
        )

    return list(map(int, fields))


def _is_small_number(field: str) -> bool:
    """Whether a field is a whole number in ASCII that fits 32 bits; larger ones are damage."""
    return field.isascii() and field.isdecimal() and len(field) < 10


def _check(path: Path, what: str, n: int, published: int) -> None:
    """Refuse a file whose number of something is not the published one."""
    if n != published:
        raise DataError(
            f"{path} holds {n:,} {what}; published are {published:,}. Make or download it again."
        )
