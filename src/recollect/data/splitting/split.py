"""Split: the parts of some ratings and how they were chosen."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Int8

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import DataError

log = logging.getLogger("recollect")

TRAIN, VALID, TEST, GIVEN = range(4)
DROPPED = -1  # this and every lower code is a reason why a rating is in no part
NAMES = {TRAIN: "train", VALID: "valid", TEST: "test", GIVEN: "given"}


@dataclass(
    frozen=True,
    eq=False,
    repr=False,
)
class Split:
    """The parts of some ratings and how they were chosen; `train, valid, test = split` unpacks it.

    Args:
        train: ratings to learn from.
        valid: ratings to choose settings by and to stop early; None if none were requested.
        test: ratings to measure the error on; None if none were requested.
        how: the way to split, in words.
        seed: of the random draws; None if nothing was drawn.
        settings: the arguments of the split, by name.
        given: known ratings of users who are not in train (`new_user_split`), to predict from; else
            None.
        dropped: number of ratings that are in no part, by reason.
    """

    train: Ratings
    valid: Ratings | None
    test: Any  # Ratings, or None
    how: str
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    given: Ratings | None = None
    dropped: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        parts = (self.train, self.valid, self.test)
        return iter(parts)

    def __repr__(self) -> str:
        sizes = []
        for name, part in self.parts.items():
            sizes.append(f"{name} {len(part):,}")

        joined = ", ".join(sizes)
        return f"Split({self._title()}: {joined})"

    def __str__(self) -> str:
        settings = [f"{name}={_as_words(value)}" for name, value in self.settings.items()]
        joined = ", ".join(settings)
        lines = [f"{self._title()} ({joined})"]

        for row in self.table().iter_rows(named=True):
            lines.append(_part_line(row))

        for reason, count in self.dropped.items():
            lines.append(f"  left out {count:>9,} ratings: {reason}")

        return "\n".join(lines)

    def _title(self) -> str:
        if self.seed is None:
            return self.how

        return f"{self.how}, seed {self.seed}"

    @property
    def parts(self) -> dict[str, Ratings]:
        """The parts that exist, by name."""
        parts = {
            "train": self.train,
            "valid": self.valid,
            "given": self.given,
            "test": self.test,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def table(self) -> pl.DataFrame:
        """A row per part: its ratings, users and items, and how many of these train lacks.

        `cold_ratings` have a user or an item without a rating in train, so no model can have
        learned about them.
        """
        in_train = _Rated.of(self.train)
        return pl.DataFrame(
            [_part_row(name, part, in_train) for name, part in self.parts.items()],
        )


@dataclass(frozen=True)
class _Rated:
    """Which users and items have a rating."""

    user: Bool[np.ndarray, " n_users"]
    item: Bool[np.ndarray, " n_items"]

    @classmethod
    def of(cls, ratings: Ratings) -> _Rated:
        has_user = ratings.count("user") > 0
        has_item = ratings.count("item") > 0
        return cls(has_user, has_item)


def _part_row(name: str, part: Ratings, in_train: _Rated) -> dict[str, Any]:
    """A row of `Split.table`."""
    in_part = _Rated.of(part)
    cold_user = in_part.user & ~in_train.user
    cold_item = in_part.item & ~in_train.item
    is_warm = in_train.user[part.user] & in_train.item[part.item]

    return {
        "part": name,
        "ratings": len(part),
        "users": int(in_part.user.sum()),
        "items": int(in_part.item.sum()),
        "cold_users": int(cold_user.sum()),
        "cold_items": int(cold_item.sum()),
        "cold_ratings": int((~is_warm).sum()),
    }


def _part_line(row: dict[str, Any]) -> str:
    """A row of `Split.table` as a line of text."""
    line = f"  {row['part']:<6}{row['ratings']:>12,} ratings"
    line += f"{row['users']:>10,} users{row['items']:>10,} items"
    words = []

    for what in ("users", "items", "ratings"):
        count = row[f"cold_{what}"]
        if count:
            words.append(f"{count:,} {what}")

    if words:
        line += f"   not in train: {', '.join(words)}"

    return line


def _as_words(value: object) -> str:
    if isinstance(value, tuple):
        return " to ".join(map(str, value))

    return str(value)


def split_by_part(
    ratings: Ratings,
    part: Int8[np.ndarray, " ratings"],
    *,
    how: str,
    seed: int | None,
    settings: dict[str, Any],
    reasons: Sequence[str] = (),
) -> Split:
    """The split in which each rating belongs to the part that its code names.

    Args:
        ratings: the whole.
        part: code of each rating: TRAIN, VALID, TEST, GIVEN, or DROPPED and below.
        how: the way to split, in words.
        seed: of the random draws; None if nothing was drawn.
        settings: the arguments of the split, by name.
        reasons: why ratings with the codes DROPPED, DROPPED - 1, … are in no part.

    Raises:
        DataError: if train or test would be empty, or valid although a setting requests it.
    """
    parts = {}

    for code, name in NAMES.items():
        mask = part == code
        if mask.any():
            parts[code] = ratings.where(mask, name=f"{ratings.name} {name}")
        elif _is_required(code, settings):
            raise DataError(
                f"The {name} part of {len(ratings):,} ratings ({how}, {settings}) would be empty; "
                "ask for a larger one, or bring more ratings."
            )

    split = Split(
        train=parts[TRAIN],
        valid=parts.get(VALID),
        test=parts.get(TEST),
        how=how,
        seed=seed,
        settings=settings,
        given=parts.get(GIVEN),
        dropped=_count_dropped(part, reasons),
    )
    log.info("%s: %r", ratings.name, split)

    return split


def _is_required(code: int, settings: dict[str, Any]) -> bool:
    """Whether a part must not be empty."""
    if code == VALID:
        return any(value for name, value in settings.items() if name.startswith("valid"))
    if code == TEST:
        return settings.get("test") != 0
    return code == TRAIN


def _count_dropped(part: Int8[np.ndarray, " ratings"], reasons: Sequence[str]) -> dict[str, int]:
    """How many ratings are in no part, by reason."""
    counts = {}

    for j, reason in enumerate(reasons):
        is_dropped = part == DROPPED - j
        count = int(is_dropped.sum())
        if count:
            counts[reason] = count

    return counts


def shared_pairs(a: Ratings, b: AnyRatings) -> int:
    """How many (user, item) pairs both contain.

    Raises:
        DataError: if their vocabularies differ.
    """
    if a.users != b.users or a.items != b.items:
        raise DataError(
            f"{a!r} and {b!r} have different vocabularies, so their pairs cannot be compared; use "
            "parts of one split, or read both into one Ratings first."
        )

    return b.shared(a)
