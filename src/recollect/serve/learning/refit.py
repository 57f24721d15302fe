"""A fit from the store, in a process of its own: `fit_version` is what that process calls."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recollect import registry
from recollect.checkpoint import load as load_model
from recollect.checkpoint import save
from recollect.data.from_objects import from_frame
from recollect.data.ratings import Ratings
from recollect.data.with_items import with_items
from recollect.data.with_texts import with_texts
from recollect.errors import TrainingError
from recollect.model import Model
from recollect.run import Run
from recollect.serve.answers.catalogue import Catalogue
from recollect.serve.digests import digest_of
from recollect.serve.learning.folders import curve_of
from recollect.serve.learning.gate import LEAST, MOST, SHARE, judge
from recollect.serve.store import jobs, meta
from recollect.serve.store.records import Kind, Version
from recollect.serve.store.store import Store, open_database
from recollect.serve.store.tables import ratings_table

REFIT = "refit"


@dataclass(frozen=True)
class FitRequest:
    """What the process that fits is given.

    Args:
        db: the store's address.
        active: the version in use, whose settings the new one has.
        folder: where the new version is written.
        trusted: models from outside the package that may be loaded.
    """

    db: str
    active: Version
    folder: Path
    trusted: tuple[str, ...]


@dataclass(frozen=True)
class Fitted:
    """What that process answers.

    Args:
        kind: the model's name.
        digest: of its files.
        upto_seq: the last event that it has learned from.
        passes: whether it may take over.
        figures: for the store.
        why: what the gate said.
    """

    kind: str
    digest: str
    upto_seq: int
    passes: bool
    figures: dict[str, Any]
    why: str


def request_refit(store: Store, why: str) -> str:
    """Ask for a fit; the process that fits begins with it soon. Returns the job's id.

    Args:
        store: of the service.
        why: for the history.
    """
    return store.write(lambda session: jobs.add(session, REFIT, {"why": why}))


def fit_version(request: FitRequest) -> Fitted:
    """Fit a new version on what the store has, save it, and judge it beside the one in use.

    The newest ratings, which the version in use has not learned from, are left out of the fit: they
    judge both. The service folds them in, as all that comes after them.

    Raises:
        TrainingError: if there are too few ratings, or the fit fails.
        DataError: if the ratings cannot be fitted.
    """
    data = _read(request.db)
    active = load_model(request.active.folder, trusted=request.trusted)
    is_newest, upto_seq = newest_ratings(data.ratings, active, request.active.upto_seq)
    given = _ratings(data.ratings.filter(~is_newest), data.kind, data.catalogue)
    if "text" in active.capabilities.needs:
        given = with_texts(given, data.texts)

    started = time.monotonic()
    model = active.second_fit().fit(given, run=Run(seed=active.seed_, threads=1))
    seconds = time.monotonic() - started
    newest = None
    if is_newest.any():
        newest = _ratings(data.ratings.filter(is_newest), data.kind, None)

    verdict = judge(model, active, newest, given)
    save(model, request.folder)
    figures = {
        "seconds": round(seconds, 2),
        "n_ratings": len(given),
        "gate": verdict.as_dict(),
        "curve": curve_of(model),
    }
    digest = digest_of(request.folder)
    assert digest is not None

    return Fitted(registry.name_of(model), digest, upto_seq, verdict.passes, figures, verdict.why)


@dataclass(frozen=True)
class Data:
    """What the store has at one moment.

    Args:
        kind: what its ratings are.
        ratings: with their places in the log.
        catalogue: the fields of the items.
        texts: of the items that have one.
    """

    kind: Kind
    ratings: pl.DataFrame
    catalogue: pl.DataFrame
    texts: dict[str, str]


def _read(db: str) -> Data:
    """Everything that a fit is made from, of one moment."""
    database = open_database(db)

    try:
        with database.snapshot() as session:
            items = Catalogue().now(session)
            texts = {items.ids[row]: items.texts[row] for row in items.row_of.values()}
            return Data(
                meta.expect_kind(session),
                ratings_table(session),
                items.table,
                {id_: text for id_, text in texts.items() if text},
            )
    finally:
        database.close()


def newest_ratings(table: pl.DataFrame, active: Model, upto_seq: int) -> tuple[pl.Series, int]:
    """Which ratings judge, and the last event of the log that the fit may learn from.

    Args:
        table: all ratings, with their places in the log.
        active: the version in use: pairs that it has learned from cannot judge it.
        upto_seq: the last event that it has learned from.

    Raises:
        TrainingError: if there are no ratings.
    """
    if not len(table):
        raise TrainingError("The store has no ratings to fit a model on.")

    n_wanted = min(MOST, round(SHARE * len(table)))
    newer = table["seq"] > upto_seq
    last = int(str(table["seq"].max()))
    none = pl.Series(np.zeros(len(table), bool))
    if int(newer.sum()) < LEAST or n_wanted < LEAST:
        return none, last

    cut = max(upto_seq, int(table["seq"].sort(descending=True)[n_wanted - 1]) - 1)
    is_new_pair = ~_has_pair(active, table)
    is_newest = pl.Series((table["seq"] > cut).to_numpy() & is_new_pair)
    if int(is_newest.sum()) < LEAST:
        return none, last

    return is_newest, cut


def _has_pair(model: Model, table: pl.DataFrame) -> np.ndarray:
    """Which pairs of a user and an item the model has learned from."""
    given = model.given_
    assert isinstance(given, Ratings)
    user = given.users.rows(table["user_id"]).astype(np.int64)
    item = given.items.rows(table["item_id"]).astype(np.int64)
    return np.isin(user * given.n_items + item, given.pair) & (user >= 0) & (item >= 0)


def _ratings(table: pl.DataFrame, kind: Kind, catalogue: pl.DataFrame | None) -> Ratings:
    """Ratings from the store's table, with the fields of their items."""
    columns = table.select("user_id", "item_id", "rating", "timestamp")
    if columns["timestamp"].null_count():
        # Without the times of all there is no order.
        columns = columns.drop("timestamp")

    how: dict[str, Any] = {"implicit": True} if kind.implicit else {"scale": (kind.low, kind.high)}
    ratings = from_frame(columns, name=kind.name, **how)
    if catalogue is None:
        return ratings

    has_fact = catalogue.width > 2 or catalogue["title"].null_count() < len(catalogue)

    return with_items(ratings, catalogue) if has_fact else ratings
