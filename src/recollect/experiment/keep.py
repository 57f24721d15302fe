"""Which ratings of a data set a part keeps: those of items with a document, of active users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from recollect.data.ratings import Ratings, Side
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError
from recollect.experiment.texts import Texts
from recollect.experiment.toml_file import refuse_unknown_keys

KEYS = {"documents", "user_ratings", "item_ratings", "core"}


@dataclass(frozen=True)
class Keep:
    """What a part keeps, in this order: items with a document, items and then users with enough
    ratings, and of these the core."""

    documents: bool = False  # only items that have a document
    item_ratings: int = 1  # only items with so many ratings or more
    user_ratings: int = 1  # only users with so many ratings or more, of the items that are left
    core: int = 1  # only users and items with so many ratings or more of each other

    def __str__(self) -> str:
        parts = []
        if self.documents:
            parts.append("items with a document")

        for side, least in (("items", self.item_ratings), ("users", self.user_ratings)):
            if least > 1:
                parts.append(f"{side} with {least} ratings or more")

        if self.core > 1:
            parts.append(f"the {self.core}-core of users and items")

        return " and ".join(parts)

    def of(self, ratings: Ratings, texts: Texts | None, data: str) -> Ratings:
        """The ratings that are kept; users and items without any are no longer known.

        Args:
            ratings: the whole of a data set.
            texts: those of its items.
            data: its name.

        Raises: DataError if none is left.
        """
        kept = ratings
        if self.documents and texts is not None:
            ids = list(texts.items_with_document(data))
            has_document = np.isin(kept.items.ids.to_numpy(), ids)
            kept = kept.where(has_document[kept.item])

        kept = _with_enough(kept, "item", self.item_ratings)
        kept = _with_enough(kept, "user", self.user_ratings)

        kept = core_of(kept, self.core)
        if not len(kept):
            raise DataError(f"None of {ratings!r} is left of {self}; keep more of them.")

        return _without_absent(kept)


def read_keep(raw: Mapping[str, Any] | None, *, has_texts: bool) -> Keep | None:
    """What the key `keep` of a part says; None without it.

    Args:
        raw: its table as read.
        has_texts: whether the part has documents.

    Raises: SettingError for keys that do not exist, a number below 1, or documents without texts.
    """
    if raw is None:
        return None

    refuse_unknown_keys(raw, KEYS, "key of keep")
    keep = Keep(**raw)

    for name in ("item_ratings", "user_ratings", "core"):
        number = getattr(keep, name)
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise SettingError(f"{name} is a number, 1 or more; found {number!r}.")

    if not isinstance(keep.documents, bool) or (keep.documents and not has_texts):
        raise SettingError(
            "documents = true keeps the items that have a document of the part's text; found "
            f"documents = {keep.documents!r} {'with' if has_texts else 'without'} a text."
        )

    return keep


def core_of(ratings: Ratings, k: int) -> Ratings:
    """The k-core: users and items without k ratings of each other go, until none is left.

    Args:
        ratings: the whole.
        k: the fewest ratings of a user and of an item.
    """
    n_before = len(ratings) + 1

    while len(ratings) < n_before:
        n_before = len(ratings)
        ratings = _with_enough(_with_enough(ratings, "user", k), "item", k)

    return ratings


def _with_enough(ratings: Ratings, side: Side, least: int) -> Ratings:
    """The ratings of users or items with so many ratings or more."""
    row = ratings.user if side == "user" else ratings.item
    has_enough = ratings.count(side) >= least
    return ratings.where(has_enough[row])


def _without_absent(ratings: Ratings) -> Ratings:
    """The same ratings, of users and items that have one."""
    users, user = _present(ratings.user, ratings.users)
    items, item = _present(ratings.item, ratings.items)
    return replace(
        ratings,
        users=users,
        items=items,
        user=user,
        item=item,
        text=None,
    )


def _present(
    row: Int32[np.ndarray, " ratings"], vocab: Vocab
) -> tuple[Vocab, Int32[np.ndarray, " ratings"]]:
    """The ids that occur, in their order, and each rating's row among them."""
    occurs: Bool[np.ndarray, " ids"] = np.zeros(len(vocab), bool)
    occurs[row] = True
    row_of = np.cumsum(occurs, dtype=np.int32) - 1
    kept = Vocab(vocab.ids.filter(occurs))
    return kept, row_of[row].astype(np.int32)
