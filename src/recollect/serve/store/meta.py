"""What is known of the store as a whole: what kind of ratings it has, and counters."""

from __future__ import annotations

import json
import secrets

from recollect.errors import StoreError
from recollect.serve.store.database import Session
from recollect.serve.store.records import Kind

KIND = "kind"
SALT = "salt"


def get(session: Session, key: str) -> str | None:
    """A value; None where there is none."""
    row = session.one("SELECT value FROM meta WHERE key = ?", (key,))
    return None if row is None else str(row[0])


def put(session: Session, key: str, value: str) -> None:
    """Write a value."""
    session.run(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def count_up(session: Session, key: str) -> int:
    """Raise a counter by one; returns it."""
    number = int(get(session, key) or 0) + 1
    put(session, key, str(number))
    return number


def kind_of(session: Session) -> Kind | None:
    """What the store's ratings are; None of a new store."""
    text = get(session, KIND)
    return None if text is None else Kind(**json.loads(text))


def expect_kind(session: Session) -> Kind:
    """What the store's ratings are.

    Raises:
        StoreError: if nothing was imported yet, and no model was served.
    """
    kind = kind_of(session)
    if kind is None:
        raise StoreError(
            "The store is empty and knows no rating scale yet; import ratings, or serve a model "
            "with it."
        )

    return kind


def set_kind(session: Session, kind: Kind) -> None:
    """Say what the store's ratings are.

    Raises:
        StoreError: if it has others already.
    """
    known = kind_of(session)
    if known is None:
        put(session, KIND, json.dumps(vars(kind)))
        return

    if (known.low, known.high, known.implicit) != (kind.low, kind.high, kind.implicit):
        raise StoreError(
            f"The store holds {_described(known)}, and these are {_described(kind)}; use another "
            "store."
        )


def _described(kind: Kind) -> str:
    return "events" if kind.implicit else f"ratings from {kind.low:g} to {kind.high:g}"


def salt(session: Session) -> str:
    """A random text of this store, made when it is first asked for; to hash ids with."""
    known = get(session, SALT)
    if known is None:
        known = secrets.token_hex(16)
        put(session, SALT, known)

    return known
