"""What a model learns of newer ratings and items without a fit."""

from __future__ import annotations

import copy
from typing import Any

import polars as pl

from recollect.data.from_objects import from_frame
from recollect.errors import DataError, NotUpdatableError
from recollect.families.text_model import TextModel
from recollect.model import Model
from recollect.serve.answers.catalogue import Catalogue, Items
from recollect.serve.answers.served import Served
from recollect.serve.store import log
from recollect.serve.store.database import Session
from recollect.serve.store.tables import ratings_table

# Ratings that an update is worth: it copies all that the model has learned from.
LEAST = 100
LEAST_SHARE = 0.001  # of these


def updated(served: Served, session: Session, catalogue: Catalogue) -> Served | None:
    """A version that has learned what is new since it was fitted; None if nothing is.

    A model that reads texts gets the items that have one and that it does not know. A model that
    can be updated gets the newer ratings, with their users and items. Others get nothing: their
    users are folded in, and new items wait for the next fit.

    Args:
        served: a version; it is not touched.
        session: to read with.
        catalogue: of the store.
    """
    fresh = served
    if isinstance(served.model, TextModel):
        fresh = _with_texts(served, served.model, catalogue.now(session)) or fresh

    if _can_be_updated(served.model):
        fresh = _with_ratings(fresh, session) or fresh

    return None if fresh is served else fresh


def _can_be_updated(model: Model) -> bool:
    try:
        return bool(model.updatable)
    except NotUpdatableError:
        return False


def _with_ratings(served: Served, session: Session) -> Served | None:
    """The version with the ratings that came since; None if they are few."""
    given = served.model.given()
    n_newer = log.n_events_since(session, served.upto_seq)
    if n_newer < max(LEAST, LEAST_SHARE * len(given)):
        return None

    newer = ratings_table(session, since=served.upto_seq)
    upto = newer["seq"].max()
    model = copy.copy(served.model)
    how: dict[str, Any] = {"implicit": True} if given.implicit else {"scale": given.scale}
    if newer["timestamp"].null_count():
        newer = newer.drop("timestamp")

    # What the copy learns is computed beside the arrays that requests are answered from.
    model.update(from_frame(newer.drop("seq"), **how))
    fresh = Served(served.version, model)
    # Whoever has changed since is folded in, as before.
    fresh.upto_seq = int(str(upto))

    return fresh


def _with_texts(served: Served, model: TextModel, items: Items) -> Served | None:
    """The version with the items that have a text and that it does not know; None without any."""
    columns = served.columns(items)
    tried: set[tuple[int, str | None]] = served.keep("texts", set)
    new = {
        items.ids[row]: items.texts[row]
        for row in sorted(items.row_of.values())
        if columns[row] < 0 and items.texts[row] and (row, items.texts[row]) not in tried
    }
    if not new:
        return None

    tried.update((items.row_of[id_], text) for id_, text in new.items())
    documents = pl.DataFrame({"item_id": list(new), "text": list(new.values())})

    try:
        extended = model.with_items(documents)
    except DataError:
        # No word of the new texts is known to the model: the next fit will learn them.
        return None

    fresh = Served(served.version, extended)
    fresh.upto_seq = served.upto_seq
    fresh.keep("texts", lambda: tried)

    return fresh
