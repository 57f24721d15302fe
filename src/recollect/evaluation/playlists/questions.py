"""Questions: lists of which a part is shown, in the challenge's four kinds and their shares.

    songs             42%    half of the songs
    songs and tags    39%    half of the songs, half of the tags
    tags and title    11%    half of the tags, the title
    title              8%    the title

Of lists without titles the last two are one: half of the tags.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Int64

from recollect.data.playlists import kinds_in
from recollect.errors import DataError

TAGS = "tags"
MOST = {TAGS: 10}  # items that an answer names and that count as hidden, by kind
MOST_OTHERS = 100  # of every other kind


@dataclass(frozen=True)
class Question:
    """A kind of question.

    Args:
        name: in tables.
        shown: the kinds of which half of the items is shown.
        title: whether the title is shown.
        share: of all questions.
    """

    name: str
    shown: tuple[str, ...]
    title: bool
    share: float


@dataclass(frozen=True, eq=False)
class Asked:
    """Questions and what is to be found, list by list.

    Args:
        questions: tables of lists, with what is shown.
        answers: the same lists, with what is hidden.
        kinds: the kinds of question.
        kind: the index of each list's kind of question.
    """

    questions: pl.DataFrame
    answers: pl.DataFrame
    kinds: tuple[Question, ...]
    kind: Int64[np.ndarray, " lists"]


def most_of(kind: str) -> int:
    """How many items of a kind an answer names."""
    return MOST.get(kind, MOST_OTHERS)


def main_kind(lists: pl.DataFrame) -> str:
    """The kind of items that a table of lists has beside tags: songs.

    Raises:
        DataError: if there is none, or more than one.
    """
    others = [kind for kind in kinds_in(lists) if kind != TAGS]
    if len(others) != 1 or TAGS not in lists.columns:
        raise DataError(
            f"Questions are about tags and one more kind of items, such as songs; found "
            f"{kinds_in(lists)}."
        )

    return others[0]


def question_kinds(lists: pl.DataFrame) -> tuple[Question, ...]:
    """The kinds of question that can be asked of lists with these columns."""
    main = main_kind(lists)
    both = (
        Question(main, (main,), title=False, share=0.42),
        Question(f"{main} and tags", (main, TAGS), title=False, share=0.39),
    )
    if "title" not in lists.columns:
        return (*both, Question(TAGS, (TAGS,), title=False, share=0.19))

    return (
        *both,
        Question("tags and title", (TAGS,), title=True, share=0.11),
        Question("title", (), title=True, share=0.08),
    )


def ask(lists: pl.DataFrame, *, seed: int = 0) -> Asked:
    """Make questions of whole lists.

    Of a kind that is shown, half of the items, rounded down, are drawn; the others are to be found.
    Of a kind that is not, the first 100 (of tags: 10) are to be found, as the challenge has it.

    Args:
        lists: a table of lists (`data.playlists`), with tags and one more kind.
        seed: of what is drawn.

    Raises:
        DataError: if the lists do not have these kinds.
    """
    random = np.random.default_rng(seed)
    kinds = question_kinds(lists)
    number = _numbers(kinds, len(lists), random)
    shown: dict[str, list[list[str]]] = {}
    hidden: dict[str, list[list[str]]] = {}

    for kind in kinds_in(lists):
        halves = []

        for own, question in zip(lists[kind].to_list(), number, strict=True):
            halves.append(_halves(own or [], kind in kinds[question].shown, random))

        shown[kind] = [seen for seen, _ in halves]
        hidden[kind] = [others[: most_of(kind)] for _, others in halves]

    questions = lists.with_columns(_columns(shown))
    if "title" in lists.columns:
        titles = zip(lists["title"], number, strict=True)
        told = [title if kinds[question].title else "" for title, question in titles]
        questions = questions.with_columns(pl.Series("title", told, dtype=pl.String))

    return Asked(questions, lists.select("id").with_columns(_columns(hidden)), kinds, number)


def _numbers(
    kinds: tuple[Question, ...], n: int, random: np.random.Generator
) -> Int64[np.ndarray, " lists"]:
    """The kind of question of each list: every kind has its share, rounded."""
    ends = np.round(np.cumsum([kind.share for kind in kinds]) * n).astype(int)
    number = np.searchsorted(ends, np.arange(n), side="right")

    return random.permutation(np.minimum(number, len(kinds) - 1))


def _halves(
    items: list[str], is_shown: bool, random: np.random.Generator
) -> tuple[list[str], list[str]]:
    """What is shown of a list's items of a kind, and what is hidden, both in their order."""
    if not is_shown:
        return [], items

    seen = np.zeros(len(items), bool)
    seen[random.permutation(len(items))[: len(items) // 2]] = True

    return (
        [item for item, is_seen in zip(items, seen, strict=True) if is_seen],
        [item for item, is_seen in zip(items, seen, strict=True) if not is_seen],
    )


def _columns(lists: dict[str, list[list[str]]]) -> list[pl.Series]:
    return [pl.Series(kind, own, dtype=pl.List(pl.String)) for kind, own in lists.items()]
