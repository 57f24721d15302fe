"""What someone has chosen, by kinds of items, and lists of items of some kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from recollect.data.kinds import Kinds, qualified
from recollect.data.playlists import WORDS
from recollect.data.text.pieces import pieces
from recollect.data.vocab import UNKNOWN
from recollect.errors import SettingError, warn

TITLE = "title"  # stands for the words of a title


def is_by_kind(events: Any) -> bool:
    """Whether events are lists of ids by kind: {"songs": [17, 4], "title": "rainy day"}."""
    if not isinstance(events, Mapping) or not events:
        return False

    return all(_is_list(own) or kind == TITLE for kind, own in events.items())


def _is_list(own: Any) -> bool:
    return isinstance(own, Iterable) and not isinstance(own, str | bytes | Mapping)


def item_ids_by_kind(kinds: Kinds, events: Mapping[Any, Any]) -> list[str]:
    """The item ids of lists of ids by kind; of a title, those of its words that are known.

    Args:
        kinds: of the model's items.
        events: lists of ids by kind, and the text of a title.

    Raises:
        SettingError: for a kind that there is not, or a title where no lists have titles.
    """
    item_ids: list[str] = []

    for kind, own in events.items():
        if kind == TITLE:
            item_ids += _words_of(kinds, str(own))
            continue

        ids = [str(id_) for id_ in own]
        rows = kinds.rows(str(kind), ids)
        names = qualified(str(kind), ids).to_list()
        known = kinds.item_ids.gather(np.maximum(rows, 0)).to_list()
        pairs = zip(rows, known, names, strict=True)
        # Unknown ids go on, and are counted with those of other doors.
        item_ids += [item_id if row != UNKNOWN else name for row, item_id, name in pairs]

    return item_ids


def _words_of(kinds: Kinds, title: str) -> list[str]:
    """The item ids of the words and pieces of words of a title that are known."""
    if WORDS not in kinds.names:
        raise SettingError(
            "This model learned from lists without titles, and a title says nothing to it; leave "
            "it out."
        )

    rows = kinds.rows(WORDS, pieces(title))
    known = rows[rows != UNKNOWN]
    if not len(known):
        warn(f"No word or piece of a word of the title {title!r} is known to this model.")

    return kinds.item_ids.gather(known).to_list()


def items_of_kind(kinds: Kinds, kind: str, among: pl.Series | None) -> pl.Series:
    """The ids of the items of a kind.

    Args:
        kinds: of the model's items.
        kind: one of them.
        among: the ids that are candidates; None: all.

    Raises:
        SettingError: for a kind that there is not.
    """
    own = kinds.item_ids.filter(pl.Series(kinds.mask(kind)))
    return own if among is None else among.filter(among.is_in(own.implode()))


def checked_kinds(kinds: Any) -> list[str]:
    """The kinds as a list of texts.

    Raises:
        SettingError: for anything else.
    """
    is_list = isinstance(kinds, Sequence) and not isinstance(kinds, str)
    if not is_list or not all(isinstance(kind, str) for kind in kinds) or not len(kinds):
        raise SettingError(
            f"kinds is a list of kinds of items, such as ['songs'], found {kinds!r}."
        )

    return list(kinds)
