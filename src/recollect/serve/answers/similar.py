"""Similar items and users."""

from __future__ import annotations

import time

from recollect.neighbors import similar
from recollect.serve.answers.catalogue import Items
from recollect.serve.answers.served import Served
from recollect.serve.store import users
from recollect.serve.store.database import Session

SPARE = 50  # further neighbors that are looked for, as some may not be shown


def similar_items(
    served: Served, items: Items, item_id: str, n: int
) -> list[tuple[int, float]] | None:
    """The items most similar to one: row numbers in the store, and similarity.

    Args:
        served: the model.
        items: the catalogue.
        item_id: of an item of the catalogue.
        n: how many.

    Returns: None if the model does not know the item.

    Raises:
        SettingError: if the model has no vectors.
    """
    column = served.columns(items)[items.row_of[item_id]]
    if column < 0 or not served.known_items[column]:
        return None

    own_id = served.model.given_.items.at([int(column)])
    frame = similar(served.model, item_ids=own_id, n=n + SPARE)
    may = items.may_be_listed(int(time.time()))
    pairs = []
    for neighbor, similarity in frame.select("neighbor_id", "similarity").iter_rows():
        row = items.row_of.get(neighbor, -1)
        if row >= 0 and may[row]:
            pairs.append((row, float(similarity)))

    return pairs[:n]


def similar_users(
    served: Served, session: Session, user_id: str, n: int
) -> list[tuple[str, float]] | None:
    """The users most similar to one, by id, and how similar; only those whom the store has.

    Returns: None if the model has not learned of the user.

    Raises:
        SettingError: if the model has no vectors.
    """
    if user_id not in served.user_rows:
        return None

    frame = similar(served.model, user_ids=[user_id], n=n + SPARE)
    kept = users.known(session, frame["neighbor_id"].to_list())
    pairs = frame.select("neighbor_id", "similarity").iter_rows()

    return [(str(id_), float(value)) for id_, value in pairs if id_ in kept][:n]
