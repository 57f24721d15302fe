"""What ranks every item for a person, from the ratings that the store has of them now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from recollect.data.sparse_rows import Rows
from recollect.recommend import ranked_by
from recollect.serve.answers.catalogue import Items
from recollect.serve.answers.served import Served
from recollect.serve.store.records import Person

Basis = Literal["model", "fold_in", "popular", "fresh"]


@dataclass(frozen=True)
class Scored:
    """A person's scores.

    Args:
        basis: "model", the person as the model learned them; "fold_in", from ratings that are newer
            than the model; "popular", what is best for everyone, as nothing is known of them.
        row: their ratings, of items that the model knows, in its row numbers.
        user: the model's row number of the person; -1: folded in, or unknown.
        predicted: raw predictions of every item.
        scores: by which the items are ranked; a new array.
        n_left_out: ratings of items that the model does not know.
    """

    basis: Basis
    row: Rows
    user: int
    predicted: Float32[np.ndarray, "1 n_items"]
    scores: Float32[np.ndarray, "1 n_items"]
    n_left_out: int


def row_of(served: Served, items: Items, person: Person) -> Rows:
    """A person's ratings of the items that the model knows, as one row in its row numbers."""
    column = served.columns(items)[person.items]
    usable = column >= 0
    usable[usable] = served.known_items[column[usable]]
    value = person.values[usable].astype(np.float32)
    nobody_else = np.zeros(int(usable.sum()), np.int64)
    row, _ = Rows.group(
        nobody_else,
        column[usable],
        value,
        n_rows=1,
        n_columns=len(served.known_items),
    )

    return row


def known_user(served: Served, person: Person, row: Rows) -> int:
    """The model's row number of a person whose ratings are those it learned from; -1 of others."""
    if person.id is None or person.changed > served.upto_seq:
        return -1

    user = served.user_rows.get(person.id, -1)
    # A model that was given to the service later learned from other ratings.
    if user >= 0 and served.model.given_.count("user")[user] != row.n_cells:
        return -1

    return user


def score(served: Served, items: Items, person: Person, rank_by: str | None) -> Scored:
    """What ranks every item for a person.

    Args:
        served: the model.
        items: the catalogue.
        person: as the store knows them now.
        rank_by: as `recollect.top_n`.

    Raises:
        SettingError: as `recollect.top_n`.
    """
    model = served.model
    row = row_of(served, items, person)
    user = known_user(served, person, row)
    basis: Basis = "fold_in"
    if not row.n_cells:
        basis = "popular"
        predicted = served.everyones_best[None, :]
    elif user >= 0:
        basis = "model"
        predicted = model.scores(np.array([user]), model.given_)
    else:
        predicted = model.fold_in(row)

    scores = ranked_by(model, predicted, row, rank_by)

    return Scored(basis, row, user, predicted, scores, len(person.items) - row.n_cells)
