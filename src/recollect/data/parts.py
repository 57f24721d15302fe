"""Split: the parts of some ratings, and how they were cut. The ways to cut are in `split`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from recollect.data.ratings import Ratings


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
    seed: int | None = None         # None: nothing was drawn
    settings: dict[str, Any] = field(default_factory=dict)
    given: Ratings | None = None
    dropped: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.train, self.valid, self.test))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part} {len(ratings):,}" for part, ratings in self.parts.items())
        return f"Split({self._title()}: {sizes})"

    def __str__(self) -> str:
        lines = [f"{self._title()} ({', '.join(f'{name}={_plain(value)}' for name, value in self.settings.items())})"]
        for row in self.table().iter_rows(named=True):
            cold = [f"{row[f'cold_{what}']:,} {what}" for what in ("users", "items", "ratings") if row[f"cold_{what}"]]
            lines.append(f"  {row['part']:<6}{row['ratings']:>12,} ratings{row['users']:>10,} users"
                         f"{row['items']:>10,} items{'   not in train: ' + ', '.join(cold) if cold else ''}")
        return "\n".join(lines + [f"  left out {count:>9,} ratings: {why}" for why, count in self.dropped.items()])

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
            rows.append({
                "part": name, "ratings": len(part), "users": int(users.sum()), "items": int(items.sum()),
                "cold_users": int((users & ~has_user).sum()), "cold_items": int((items & ~has_item).sum()),
                "cold_ratings": int((~has_user[part.user] | ~has_item[part.item]).sum()),
            })
        return pl.DataFrame(rows)


def _plain(value: object) -> str:
    return " to ".join(map(str, value)) if isinstance(value, tuple) else str(value)
