"""7 · The items or users that are most similar to some, by the cosine of a model's vectors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from recollect.arguments import expect_whole
from recollect.data.ratings import Side
from recollect.data.vocab import UNKNOWN
from recollect.errors import DataError, SettingError
from recollect.lists.frames import list_frame, with_titles
from recollect.lists.similarity import unit_vectors
from recollect.model import Model
from recollect.ranking import NEVER, first_n
from recollect.request import a_few, given_of, ids_in
from recollect.unseen import BLOCK_CELLS


def similar(
    model: Model,
    *,
    item_ids: Iterable[object] | None = None,
    user_ids: Iterable[object] | None = None,
    n: int = 10,
) -> pl.DataFrame:
    """The n most similar items of each item, or users of each user.

    Similarity is the cosine of the model's vectors, −1 to 1; items and users without ratings have
    none and are left out.

    Args:
        model: a fitted model.
        item_ids: the items; or
        user_ids: the users.
        n: how many each.

    Returns: columns item_id (user_id), rank, neighbor_id, title (of items), similarity.

    Raises:
        SettingError: if n is below 1, or neither or both are given.
        DataError: for an id that the model does not know.
    """
    if (item_ids is None) == (user_ids is None):
        raise SettingError("similar takes either item_ids or user_ids, one of the two.")

    given = given_of(model)
    expect_whole("n", n, at_least=1, what="how many are wanted")
    if item_ids is not None:
        frame = _neighbors(model, "item", ids_in("item_ids", item_ids), n)
        return with_titles(given, frame, "neighbor_id")

    return _neighbors(model, "user", ids_in("user_ids", user_ids), n)


def _neighbors(model: Model, side: Side, ids: pl.Series, n: int) -> pl.DataFrame:
    """The n entries of a side whose vectors are most similar to those of each id."""
    given = model.given_
    vocab = given.items if side == "item" else given.users
    known = model.known_items() if side == "item" else given.count("user") > 0
    rows = vocab.rows(ids)
    is_unknown = (rows == UNKNOWN) | ~known[rows]
    unknown = ids.filter(pl.Series(is_unknown, dtype=pl.Boolean))
    if len(unknown):
        preposition = "by user" if side == "user" else "of item"
        n_known = int(known.sum())
        examples = vocab.at(np.flatnonzero(known)[:3])
        raise DataError(
            f"The model knows no rating {preposition} {a_few(unknown)}; it knows "
            f"{n_known:,} {side}s such as {a_few(examples)}."
        )

    unit = unit_vectors(model, side)
    frames = []
    step = max(1, BLOCK_CELLS // len(vocab))

    for first in range(0, max(1, len(rows)), step):
        block = rows[first : first + step]
        cosine = np.clip(unit[block] @ unit.T, -1, 1).astype(np.float32, copy=False)
        cosine[:, ~known] = NEVER
        cosine[np.arange(len(block)), block] = NEVER  # nobody is their own neighbor
        ranked = first_n(min(n, len(vocab)), cosine)
        frame = list_frame(ids[first : first + step], cosine, ranked, vocab)
        frames.append(frame)

    names = {"of": f"{side}_id", "id": "neighbor_id", "score": "similarity"}

    return pl.concat(frames).drop("row", "column").rename(names)
