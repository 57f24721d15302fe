"""What a list is to be, as it was asked for."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property

from recollect.lists.wishes import Wishes

MOST_ITEMS = 1000


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The wishes of a request. All but the first line are those of `recollect.top_n`.

    Args:
        allow: ids of candidates; None: all items are.
        deny: ids of items that are none.
        explain: how many reasons an item.
        interval: a probability, for intervals of the predictions; None: without.
        n: how many items.
        where: a query over the items' fields.
        seen: whether items are listed that the user has rated.
        rank_by: "both" or "rating"; None: as the model has it.
        at_most: how many items of a list may share a value of a field, by the field's name.
        diversity: how much similarity to the items above counts against an item.
        fresh: the share of items that are new.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    explain: int = 0
    interval: float | None = None
    n: int = 10
    where: str | None = None
    seen: bool = False
    rank_by: str | None = None
    at_most: tuple[tuple[str, int], ...] = ()
    diversity: float = 0.0
    fresh: float = 0.0

    @cached_property
    def key(self) -> tuple[object, ...]:
        """What the choice from scores depends on."""
        return (
            self.n,
            self.where,
            self.seen,
            self.rank_by,
            self.at_most,
            self.diversity,
            self.fresh,
        )

    def wishes(self) -> Wishes:
        """The same in the library's words.

        Raises:
            SettingError: for a wish that no list can fulfil.
        """
        return Wishes(
            n=self.n,
            where=self.where,
            seen=self.seen,
            rank_by=self.rank_by,
            at_most=dict(self.at_most) or None,
            diversity=self.diversity,
            fresh=self.fresh,
        )

    def as_json(self) -> str:
        """As text, to keep with the list."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Wanted:
        """What `as_json` wrote."""
        fields = json.loads(text)
        allow = fields.pop("allow")
        deny = fields.pop("deny")
        at_most = fields.pop("at_most")

        return cls(
            allow=None if allow is None else tuple(allow),
            deny=tuple(deny),
            at_most=tuple((name, most) for name, most in at_most),
            **fields,
        )
