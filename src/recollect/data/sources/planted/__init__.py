"""Planted ratings: drawn from a known truth, at any size, with a known lowest possible error.

A rating of user u and item i is drawn from a normal distribution around mu + b_u + b_i + U_u·V_i.
It is clipped to the scale, and rounded where ratings come in steps. Popularity and activity have
long tails.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recollect.data.ratings import Ratings
from recollect.data.sources.planted.by_item import Block, planted_by_item
from recollect.data.sources.planted.by_user import Planted, planted
from recollect.data.sources.planted.texts import planted_texts
from recollect.data.sources.planted.truth import Truth

__all__ = [
    "VARIANTS",
    "Block",
    "Planted",
    "Truth",
    "Variant",
    "how_to_get",
    "is_here",
    "load",
    "planted",
    "planted_by_item",
    "planted_texts",
]


@dataclass(frozen=True)
class Variant:
    """Settings of `planted` under a name."""

    n_users: int
    n_items: int
    n_ratings: int
    settings: dict[str, Any] = field(default_factory=lambda: {"step": 1.0, "noise": 0.8})

    def __str__(self) -> str:
        ratings = f"{self.n_ratings:,} ratings"
        items = f"{self.n_items:,} items"
        users = f"{self.n_users:,} users"
        return f"made here: {ratings} of {items} by {users}; 1 to 5"


VARIANTS = {
    "tiny": Variant(60, 40, 800),
    "small": Variant(943, 1682, 100_000),
    "medium": Variant(6040, 3706, 1_000_000),
    "big": Variant(500_000, 100_000, 5_000_000),
    "netflix": Variant(480_189, 17_770, 100_480_507),
}


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The ratings of a variant, the same each time; nothing is read from `folder`."""
    made = VARIANTS[variant]
    whole = planted(made.n_users, made.n_items, made.n_ratings, **made.settings)
    return replace(whole.ratings, name=f"planted/{variant}", checked=True)


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Always: planted ratings are made, not read."""
    return True


def how_to_get(variant: str) -> str:
    """Nothing has to be done for ratings that are made here."""
    return "it is made when it is asked for"
