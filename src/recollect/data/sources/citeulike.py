"""CiteULike: which scientific articles users keep in their libraries, and the words of the articles' titles and abstracts.

Source of "a": Wang, Blei. "Collaborative Topic Modeling for Recommending Scientific Articles." KDD 2011.
Source of "t": Wang, Chen, Li. "Collaborative Topic Regression with Social Regularization for Tag Recommendation." IJCAI 2013.
Licence: for research; cite the papers above.
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
USERS, BAGS, VOCABULARY = "users.dat", "mult.dat", "vocabulary.dat"


@dataclass(frozen=True)
class Variant:
    """One of the two sets."""

    folder: str  # where its files are looked for, in the homes of data
    users: int
    articles: int  # with and without likes
    likes: int | None  # None: papers and files differ by one
    words: int
    md5: dict[str, str]  # of its files, as far as they are known

    def __str__(self) -> str:
        likes = "205 thousand" if self.likes is None else f"{self.likes:,}"
        return (
            f"CiteULike: {likes} likes of {self.articles:,} articles by {self.users:,} users, without times; bags of "
            f"{self.words:,} words; research use"
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
    """The likes as events that count 1. Ids are row numbers, from 0; all articles are items, liked or not.

    Raises: FetchError if the file is not there and cannot be downloaded; DataError if a line is damaged or the counts are not
    the published ones.
    """
    release = VARIANTS[variant]
    path = _file(variant, USERS, folder)
    lists = [_numbers(line, path, number) for number, line in enumerate(_lines(path), start=1)]
    for number, (count, *items) in enumerate(lists, start=1):
        if len(items) != count:
            raise DataError(
                f"Line {number} of {path} announces {count} articles and names {len(items)}. The file is "
                "damaged; make or download it again."
            )
    item = np.concatenate([found[1:] for found in lists])
    user = np.repeat(np.arange(len(lists)), [len(found) - 1 for found in lists])
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
        notes=(
            "Users and articles have no ids: they are numbered from 0 in the order of the files.",
        ),
    )


def bags(variant: str, folder: Path | None = None) -> Corpus:
    """The words of every article, to go with the ratings: `replace(ratings, text=bags("t"))`.

    The files say how often an article has a word, not where: a word it has c times stands c times in a row. Models that count
    words lose nothing; those that read the words in their order read nonsense.

    Raises: FetchError if a file is not there and cannot be downloaded; DataError if a line is damaged or the counts are not
    the published ones.
    """
    release = VARIANTS[variant]
    words, path = _lines(_file(variant, VOCABULARY, folder)), _file(variant, BAGS, folder)
    _check(path.with_name(VOCABULARY), "words", len(words), release.words)
    found = [
        _bag(line, path, number, len(words)) for number, line in enumerate(_lines(path), start=1)
    ]
    _check(path, "articles", len(found), release.articles)
    distinct, length = np.concatenate(found), np.array([bag[:, 1].sum() for bag in found])
    empty = int((length == 0).sum())
    notes = (
        "Bags of words: what an article has c times stands c times in a row, as the order of its words is not known.",
        f"{empty:,} of {len(found):,} articles have no words.",
    )
    return Corpus(
        Vocab(words),
        np.concatenate([[0], np.cumsum(length)]),
        np.repeat(*distinct.T).astype(np.int32),
        np.bincount(distinct[:, 0], minlength=len(words)).astype(np.int32),
        Tokenizer(stop_words=None, first=None, n_words=len(words), most=1.0),
        notes=notes[: 1 + (empty > 0)],
    )


def find(variant: str, folder: Path | None = None) -> Path | None:
    """The file of likes in `folder` or one of the homes; None if it is not there."""
    return download.found([f"{VARIANTS[variant].folder}/{USERS}"], folder)


def _file(variant: str, name: str, folder: Path | None) -> Path:
    release = VARIANTS[variant]
    checksum = f"md5:{release.md5[name]}" if name in release.md5 else None
    return download.file(
        f"{release.folder}/{name}", ADDRESS.format(variant, name), checksum, folder=folder
    )


def _lines(path: Path) -> list[str]:
    """The lines of a file, which may lack the last one's end; words may hold any other kind of blank."""
    return path.read_bytes().decode().replace("\r\n", "\n").removesuffix("\n").split("\n")


def _bag(line: str, path: Path, number: int, n_words: int) -> Int64[np.ndarray, "words two"]:
    """The words of an article and how often it has each."""
    count, *pairs = _numbers(line.replace(":", " "), path, number)
    bag = np.array(pairs, np.int64)
    if (
        len(bag) != 2 * count
        or (bag.reshape(-1, 2)[:, 0] >= n_words).any()
        or (bag.reshape(-1, 2)[:, 1] == 0).any()
    ):
        raise DataError(
            f"Line {number} of {path} is {line[:60]!r}; expected how many words, then for each its number, below "
            f"{n_words}, a colon and how often, 1 or more. The file is damaged; make or download it again."
        )
    return bag.reshape(-1, 2)


def _numbers(line: str, path: Path, number: int) -> list[int]:
    """The numbers of a line, of which there is one at least and none is negative."""
    fields = line.split()
    if not fields or not all(field.isdecimal() for field in fields):
        raise DataError(
            f"Line {number} of {path} is {line[:60]!r}; expected whole numbers: how many, then which. The file is "
            "damaged; make or download it again."
        )
    return list(map(int, fields))


def _check(path: Path, what: str, found: int, published: int) -> None:
    if found != published:
        raise DataError(
            f"{path} holds {found:,} {what}; published are {published:,}. Make or download it again."
        )
