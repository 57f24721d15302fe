"""Split: the parts of some ratings, and how they were cut; and what the ways to cut share (they are in `split`, `hold_out`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Int, Int8, Int64

from recollect.data.ratings import Ratings
from recollect.errors import DataError, SettingError

log = logging.getLogger("recollect")

Share = float | int  # between 0 and 1

TRAIN, VALID, TEST, GIVEN = range(4)
DROPPED = -1  # codes from here downwards: the reasons why a rating is in no part


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """The parts of some ratings, and how they were cut; `train, valid, test = split` unpacks it.

    `valid` is None if none was asked for. `given` is what may be looked at to predict for users who are not in train
    (`new_user_split`), else None. `dropped` counts the ratings that are in no part, by reason.
    """

    train: Ratings
    valid: Ratings | None
    test: Ratings
    how: str
    seed: int | None = None  # None: nothing was drawn
    settings: dict[str, Any] = field(default_factory=dict)
    given: Ratings | None = None
    dropped: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.train, self.valid, self.test))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part} {len(ratings):,}" for part, ratings in self.parts.items())
        return f"Split({self._title()}: {sizes})"

    def __str__(self) -> str:
        lines = [
            f"{self._title()} ({', '.join(f'{name}={_plain(value)}' for name, value in self.settings.items())})"
        ]
        for row in self.table().iter_rows(named=True):
            cold = [
                f"{row[f'cold_{what}']:,} {what}"
                for what in ("users", "items", "ratings")
                if row[f"cold_{what}"]
            ]
            lines.append(
                f"  {row['part']:<6}{row['ratings']:>12,} ratings{row['users']:>10,} users"
                f"{row['items']:>10,} items{'   not in train: ' + ', '.join(cold) if cold else ''}"
            )
        return "\n".join(
            lines
            + [f"  left out {count:>9,} ratings: {why}" for why, count in self.dropped.items()]
        )

    def _title(self) -> str:
        return f"{self.how}{'' if self.seed is None else f', seed {self.seed}'}"

    @property
    def parts(self) -> dict[str, Ratings]:
        """The parts that there are, by name."""
        every = {"train": self.train, "valid": self.valid, "given": self.given, "test": self.test}
        return {name: part for name, part in every.items() if part is not None}

    def table(self) -> pl.DataFrame:
        """A row per part: its ratings, users and items, and how many of these train does not have.

        `cold_ratings` are the ratings whose user or item has no rating in train: no model can have learned about them.
        """
        has_user, has_item = self.train.count("user") > 0, self.train.count("item") > 0
        rows = []
        for name, part in self.parts.items():
            users, items = part.count("user") > 0, part.count("item") > 0
            rows.append(
                {
                    "part": name,
                    "ratings": len(part),
                    "users": int(users.sum()),
                    "items": int(items.sum()),
                    "cold_users": int((users & ~has_user).sum()),
                    "cold_items": int((items & ~has_item).sum()),
                    "cold_ratings": int((~has_user[part.user] | ~has_item[part.item]).sum()),
                }
            )
        return pl.DataFrame(rows)


def _plain(value: object) -> str:
    return " to ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def cut_by(
    ratings: Ratings,
    part: Int8[np.ndarray, " ratings"],
    how: str,
    seed: int | None,
    settings: dict[str, Any],
    reasons: Sequence[str] = (),
) -> Split:
    """The split whose parts the codes name: TRAIN, VALID, TEST, GIVEN, or from DROPPED downwards one for each of the reasons.

    Raises: DataError if train or test would be empty, or valid where a setting asks for it.
    """
    wants_valid = any(value for name, value in settings.items() if name.startswith("valid"))
    parts = {}
    for code, name in enumerate(("train", "valid", "test", "given")):
        mask = part == code
        if mask.any():
            parts[code] = ratings.where(mask, name=f"{ratings.name} {name}")
        elif code in (TRAIN, TEST) or (code == VALID and wants_valid):
            raise DataError(
                f"The {name} part of {len(ratings):,} ratings ({how}, {settings}) would be empty; ask "
                "for a larger one, or bring more ratings."
            )
    dropped = {why: int((part == DROPPED - j).sum()) for j, why in enumerate(reasons)}
    split = Split(
        parts[TRAIN],
        parts.get(VALID),
        parts[TEST],
        how,
        seed,
        settings,
        parts.get(GIVEN),
        {why: count for why, count in dropped.items() if count},
    )
    log.info("%s: %r", ratings.name, split)
    return split


def check_shares(**shares: Share) -> None:
    """Refuse what is not above 0 and below 1; a share for validation, by its name, may be 0.

    Raises: SettingError with the name.
    """
    for name, share in shares.items():
        may_be_none = name.startswith("valid")
        if not 0 <= share < 1 or (share == 0 and not may_be_none):
            raise SettingError(
                f"{name}={share} is not a share; give a number above 0 and below 1, such as 0.1"
                f"{', or 0 for none' if may_be_none else ''}."
            )


def times_of(ratings: Ratings, asked: str) -> Int64[np.ndarray, " ratings"]:
    """When each rating was given; `asked` is who wants to know.

    Raises: DataError if there are no times.
    """
    if ratings.time is None:
        raise DataError(
            f"{asked} needs to know when each rating was given, but {ratings.name!r} has no times; read a "
            "file with a timestamp column, or use random_split."
        )
    return ratings.time


def place_in_group(group: Int[np.ndarray, " entries"]) -> Int64[np.ndarray, " entries"]:
    """0, 1, 2, … within each run of equal numbers."""
    starts = np.concatenate([[True], group[1:] != group[:-1]])[: len(group)]
    place = np.arange(len(group))
    return place - np.maximum.accumulate(np.where(starts, place, 0))
