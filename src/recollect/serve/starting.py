"""What happens once before a service answers: the store gets what the model has learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recollect.errors import CheckpointError, SettingError
from recollect.serve.digests import digest_of
from recollect.serve.store import meta, versions
from recollect.serve.store.database import Session
from recollect.serve.store.store import Store

if TYPE_CHECKING:
    from recollect.model import Model
    from recollect.serve.store.tables import Imported


@dataclass(frozen=True)
class Started:
    """What was found and done.

    Args:
        version: the one that answers.
        is_new: whether the folder held a version that the store did not know.
        imported: the ratings of the model, if they were written to the store.
    """

    version: int
    is_new: bool
    imported: Imported | None


def prepare(store: Store, run: Path | None, trusted: tuple[str, ...] = ()) -> Started:
    """Let the store know a saved model, and a new store its ratings.

    Args:
        store: of the service.
        run: the folder of a saved model; None: the store has a version already.
        trusted: models from outside the package that may be loaded.

    Raises:
        CheckpointError: if there is no model in the folder, or it is damaged.
        SettingError: without a folder and without a version in the store; or if the ratings of the
            model are on disk.
        StoreError: if the store holds another kind of ratings.
    """
    if run is None:
        active = versions.active(store.reader())
        if active is None:
            raise SettingError(
                "The store has no model yet; name the folder of a saved one: "
                "recollect serve RUN --db …."
            )
        return Started(active, is_new=False, imported=None)

    # Of a version that the store has nothing is loaded here.
    digest = digest_of(run) if run.is_dir() else None
    known = None if digest is None else versions.with_digest(store.reader(), digest)
    if known is not None:
        active = versions.active(store.reader())
        assert active is not None
        return Started(active, is_new=False, imported=None)

    from recollect.checkpoint import load as load_model

    model = load_model(run, trusted=trusted)
    digest = digest_of(run)
    if digest is None:
        raise CheckpointError(f"{run} was removed while it was read.")

    # In a transaction of its own: a million ratings take longer than a request may.
    with store.database.transaction() as session:
        return _note(session, model, run.resolve(), digest)


def _note(session: Session, model: Model, folder: Path, digest: str) -> Started:
    """Write a model to the store, and let it answer."""
    from recollect import registry
    from recollect.serve.learning.folders import curve_of

    imported = _import_of(session, model) if meta.kind_of(session) is None else None
    check_kind(session, model)
    version = versions.add(
        session,
        folder=str(folder),
        digest=digest,
        kind=registry.name_of(model),
        # Of a store with ratings of its own nobody can say which of them the model has seen.
        upto_seq=imported.seq if imported else 0,
        figures={
            "seconds": round(model.seconds_, 2),
            "n_ratings": len(model.given_),
            "curve": curve_of(model),
        },
    )
    versions.activate(session, version, "start")

    return Started(version, is_new=True, imported=imported)


def _import_of(session: Session, model: Model) -> Imported:
    """Write what a model has learned from to a new store.

    Raises:
        SettingError: if it lies on disk.
    """
    from recollect.data.ratings import Ratings
    from recollect.serve.store.tables import import_ratings

    if not isinstance(model.given_, Ratings):
        raise SettingError(
            "This model was fitted on ratings on disk; write them to the store first: "
            "recollect store import FILE --db …."
        )

    return import_ratings(session, model.given_)


def check_kind(session: Session, model: Model) -> None:
    """Refuse a model that has learned from another kind of ratings than the store's.

    Raises:
        SettingError: saying what each of the two has.
    """
    kind = meta.expect_kind(session)
    given = model.given_
    is_same = kind.implicit == given.implicit
    if not given.implicit:
        is_same = is_same and (kind.low, kind.high) == given.scale

    if not is_same:
        model_has = "events" if given.implicit else f"ratings from {given.scale}"
        store_has = "events" if kind.implicit else f"ratings from {(kind.low, kind.high)}"
        raise SettingError(
            f"The model has learned from {model_has}, and the store holds {store_has}; use another "
            "store."
        )
