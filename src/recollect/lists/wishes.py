"""All that can be wished of a list beside its length, as it was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from recollect.arguments import expect_number, expect_whole, found
from recollect.errors import SettingError
from recollect.lists.query import Term, parse, terms_of
from recollect.system.door import words

Where = str | Mapping[Any, Any] | pl.Expr


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a list is to be. Without any wish it is the best n items that the user has not rated.

    Args:
        n: how many items.
        items: the candidates, by their ids; None: all.
        exclude: ids that are no candidates, or the path of a file of them; None: none.
        where: a query (`query.py`), a mapping of fields to values, or a Polars expression over the
            catalogue; None: every item fits.
        seen: whether items are listed that the user has rated.
        rank_by: as `ranking.checked_rank_by`.
        at_most: the most items of a list that may share a value of a field, by the field's name.
        diversity: how much an item's similarity to those above it counts against it: 0 not at all,
            below 1.
        fresh: the least share of fresh items (`fresh.py`) in a list, 0 to 1.
    """

    n: int
    items: Iterable[object] | None = None
    exclude: Any = None
    where: Where | None = None
    seen: bool = False
    rank_by: str | None = None
    at_most: Mapping[str, int] | None = None
    diversity: float = 0.0
    fresh: float = 0.0
    terms: tuple[Term, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        """Read the query, and refuse what no list can be.

        Raises:
            SettingError: naming the wish.
        """
        expect_whole("n", self.n, at_least=1, what="how many are wanted")
        _expect_share("diversity", self.diversity, "such as 0.3, from 0 to below 1")
        if self.diversity == 1:
            raise SettingError("diversity is 1, and the scores would count nothing; take less.")

        _expect_share("fresh", self.fresh, "of fresh items in a list, 0 to 1")
        self._check_limits()
        self._read_where()

    def _check_limits(self) -> None:
        if self.at_most is None:
            return

        form = words('at_most={"artist": 2}', "--at-most artist=2")
        if not isinstance(self.at_most, Mapping):
            raise SettingError(
                f"at_most is {found(self.at_most)}; write how many items of a list may share a "
                f"value of which field: {form}."
            )

        for name, most in self.at_most.items():
            expect_whole(f"at_most of {name!r}", most, at_least=1, what="how many items of a value")

    def _read_where(self) -> None:
        where = self.where
        if where is None or isinstance(where, pl.Expr):
            return

        if isinstance(where, Mapping):
            object.__setattr__(self, "terms", tuple(terms_of(where)))
            return

        if not isinstance(where, str):
            raise SettingError(
                f"where is {found(where)}; pass a query such as 'genre:Drama year>=1990', a "
                "mapping of fields to values, or a Polars expression."
            )

        terms, seen = parse(where)
        object.__setattr__(self, "terms", tuple(terms))
        if seen is False and self.seen:
            option = words("seen=True", "--seen")
            raise SettingError(f"where has -seen, and {option} asks for the opposite; leave one.")

        if seen is not None:
            object.__setattr__(self, "seen", seen)

    @property
    def rearranges(self) -> bool:
        """Whether a list may be another than the best n candidates."""
        return bool(self.at_most) or self.diversity > 0 or self.fresh > 0


def _expect_share(name: str, value: Any, what: str) -> None:
    expect_number(name, value, f"a share {what}")
    if not 0 <= value <= 1:
        raise SettingError(f"{name} is a share {what}; found {found(value)}.")


def is_path(value: Any) -> bool:
    """Whether a value names a file, rather than being ids."""
    return isinstance(value, os.PathLike)
