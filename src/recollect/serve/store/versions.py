"""Versions of the model, and which of them answers."""

from __future__ import annotations

import json
from typing import Any

from recollect.serve.store import meta
from recollect.serve.store.database import Row, Session
from recollect.serve.store.records import Version, now

CHANGES = "n_model_changes"  # counts up with every activation and every change of an experiment
COLUMNS = "version, folder, digest, kind, made, upto_seq, figures, state"
KEPT = "kept"
SET_ASIDE = "set aside"
REMOVED = "removed"


def _version(row: Row) -> Version:
    version, folder, digest, kind, made, upto_seq, figures, state = row
    return Version(
        version=version,
        folder=folder,
        digest=digest,
        kind=kind,
        made=made,
        upto_seq=upto_seq,
        figures=json.loads(figures),
        state=state,
    )


def add(
    session: Session,
    *,
    folder: str,
    digest: str,
    kind: str,
    upto_seq: int,
    figures: dict[str, Any],
    state: str = KEPT,
) -> int:
    """Note a fitted model; returns its number.

    Args:
        session: in a transaction.
        folder: where it lies.
        digest: of its files.
        kind: the model's name.
        upto_seq: the last event that it has learned from.
        figures: what was measured of it.
        state: KEPT or SET_ASIDE.
    """
    [version] = session.rows(
        "INSERT INTO models (folder, digest, kind, made, upto_seq, figures, state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING version",
        (folder, digest, kind, now(), upto_seq, json.dumps(figures), state),
    )[0]

    return int(version)


def every(session: Session) -> list[Version]:
    """All versions, the newest first."""
    rows = session.rows(f"SELECT {COLUMNS} FROM models ORDER BY version DESC")
    return [_version(row) for row in rows]


def find(session: Session, version: int) -> Version | None:
    """A version by its number; None if there is none."""
    row = session.one(f"SELECT {COLUMNS} FROM models WHERE version = ?", (version,))
    return None if row is None else _version(row)


def with_digest(session: Session, digest: str) -> Version | None:
    """The last version whose files have this digest."""
    row = session.one(
        f"SELECT {COLUMNS} FROM models WHERE digest = ? AND state <> ? ORDER BY version DESC",
        (digest, REMOVED),
    )
    return None if row is None else _version(row)


def set_state(session: Session, version: int, state: str) -> None:
    """Change what becomes of a version."""
    session.run("UPDATE models SET state = ? WHERE version = ?", (state, version))


def activate(session: Session, version: int, why: str) -> None:
    """Let a version answer from now on.

    Args:
        session: in a transaction.
        version: its number.
        why: for the history: "start", "refit", "asked", "rollback".
    """
    session.run(
        "INSERT INTO activations (version, since, why) VALUES (?, ?, ?)", (version, now(), why)
    )
    session.run("UPDATE models SET state = ? WHERE version = ?", (KEPT, version))
    meta.count_up(session, CHANGES)


def active(session: Session) -> int | None:
    """The version that answers; None before the first."""
    row = session.one("SELECT version FROM activations ORDER BY number DESC LIMIT 1")
    return None if row is None else int(row[0])


def before(session: Session, version: int) -> int | None:
    """The kept version that answered before this one became active; None if there is none."""
    row = session.one(
        "SELECT a.version FROM activations a JOIN models m ON m.version = a.version"
        " WHERE m.state = ? AND a.version <> ? AND a.number < (SELECT max(number) FROM activations"
        " WHERE version = ?) ORDER BY a.number DESC LIMIT 1",
        (KEPT, version, version),
    )
    return None if row is None else int(row[0])


def history(session: Session, n: int = 50) -> list[tuple[int, int, str]]:
    """The last activations: version, since when, and why."""
    return [
        (version, since, why)
        for version, since, why in session.rows(
            "SELECT version, since, why FROM activations ORDER BY number DESC LIMIT ?", (n,)
        )
    ]


def n_changes(session: Session) -> int:
    """The counter of activations and changed experiments."""
    return int(meta.get(session, CHANGES) or 0)
