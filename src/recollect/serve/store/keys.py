"""Keys: who may ask. The store has their hashes only."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from recollect.errors import SettingError
from recollect.serve.store import meta
from recollect.serve.store.database import Session
from recollect.serve.store.records import now

SCOPES = ("read", "write", "admin")  # each may do what those before it may
CHANGES = "n_key_changes"
PREFIX = "rk_"


@dataclass(frozen=True)
class Key:
    """What is known of a key.

    Args:
        name: that it was given.
        scope: one of SCOPES.
        hash: SHA-256 of the key.
        made: seconds since 1970.
        revoked: seconds since 1970; None: it is valid.
    """

    name: str
    scope: str
    hash: str
    made: int
    revoked: int | None


def hashed(key: str) -> str:
    """What the store keeps of a key. Keys are random, so that no salt is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def add(session: Session, name: str, scope: str) -> str:
    """Make a key; the answer is the only place where it can be read.

    Raises:
        SettingError: for an unknown scope, or a name that another key has.
    """
    if scope not in SCOPES:
        raise SettingError(f"scope is one of {', '.join(SCOPES)}; found {scope!r}.")

    if session.one("SELECT 1 FROM keys WHERE name = ?", (name,)):
        raise SettingError(f"There is a key {name!r} already; choose another name.")

    key = PREFIX + secrets.token_urlsafe(32)
    session.run(
        "INSERT INTO keys (hash, name, scope, made) VALUES (?, ?, ?, ?)",
        (hashed(key), name, scope, now()),
    )
    meta.count_up(session, CHANGES)

    return key


def revoke(session: Session, name: str) -> None:
    """Make a key invalid.

    Raises:
        SettingError: if there is no valid key of this name.
    """
    n = session.run("UPDATE keys SET revoked = ? WHERE name = ? AND revoked IS NULL", (now(), name))
    if not n:
        raise SettingError(f"There is no valid key {name!r}.")

    meta.count_up(session, CHANGES)


def every(session: Session) -> list[Key]:
    """All keys, the oldest first."""
    return [
        Key(*row)
        for row in session.rows("SELECT name, scope, hash, made, revoked FROM keys ORDER BY made")
    ]


def n_changes(session: Session) -> int:
    """The counter of changes."""
    return int(meta.get(session, CHANGES) or 0)
