"""Which ratings of a data set a part keeps: those of items with a document, of active users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import SettingError
from recollect.experiment.texts import Texts
from recollect.experiment.toml_file import refuse_unknown_keys

KEYS = {"documents", "user_ratings"}


@dataclass(frozen=True)
class Keep:
    """What a part keeps, in this order: items with a document, then users with enough ratings."""

    documents: bool = False  # only items that have a document
    user_ratings: int = 1  # only users with so many ratings or more, of the items that are left

    def __str__(self) -> str:
        parts = []
        if self.documents:
            parts.append("items with a document")

        if self.user_ratings > 1:
            parts.append(f"users with {self.user_ratings} ratings or more")

        return " and ".join(parts)

    def of(self, ratings: Ratings, texts: Texts | None, data: str) -> Ratings:
        """The ratings that are kept; users and items without any are no longer known.

        Args:
            ratings: the whole of a data set.
            texts: those of its items.
            data: its name.
        """
        kept = ratings
        if self.documents and texts is not None:
            ids = list(texts.items_with_document(data))
            has_document = np.isin(kept.items.ids.to_numpy(), ids)
            kept = kept.where(has_document[kept.item])

        is_active = kept.count("user") >= self.user_ratings

        return _without_absent(kept.where(is_active[kept.user]))


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
    keep = Keep(raw.get("documents", False), raw.get("user_ratings", 1))
    if not isinstance(keep.user_ratings, int) or keep.user_ratings < 1:
        raise SettingError(f"user_ratings is a number, 1 or more; found {keep.user_ratings!r}.")

    if not isinstance(keep.documents, bool) or (keep.documents and not has_texts):
        raise SettingError(
            "documents = true keeps the items that have a document of the part's text; found "
            f"documents = {keep.documents!r} {'with' if has_texts else 'without'} a text."
        )

    return keep


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
