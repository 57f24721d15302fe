"""Lists that were answered: for further pages, for what was shown, and for what came of it."""

from __future__ import annotations

import numpy as np

from recollect.serve.store.database import Session
from recollect.serve.store.records import ShownList, now

COLUMNS = "id, user_row, version, experiment, arm, query, n, items, made"
MOST = 1_000_000  # lists that are kept; older ones go
KEPT_SECONDS = 30 * 86_400


def add(session: Session, shown: ShownList) -> None:
    """Keep a list."""
    session.run(
        f"INSERT INTO lists ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            shown.id,
            shown.user_row,
            shown.version,
            shown.experiment,
            shown.arm,
            shown.query,
            shown.n,
            shown.items.astype("<i8").tobytes(),
            shown.made,
        ),
    )


def find(session: Session, list_id: str) -> ShownList | None:
    """A list by its id; None if it is unknown or was removed."""
    row = session.one(f"SELECT {COLUMNS} FROM lists WHERE id = ?", (list_id,))
    if row is None:
        return None

    id_, user_row, version, experiment, arm, query, n, items, made = row

    return ShownList(
        id=id_,
        user_row=user_row,
        version=version,
        experiment=experiment,
        arm=arm,
        query=query,
        n=n,
        items=np.frombuffer(items, "<i8").astype(np.int64),
        made=made,
    )


def mark_shown(session: Session, list_id: str) -> bool:
    """Note that a list was seen; returns whether there is such a list."""
    n = session.run("UPDATE lists SET shown = ? WHERE id = ?", (now(), list_id))
    return n > 0


def remove_old(session: Session) -> int:
    """Remove lists beyond the time and the number that are kept; returns how many."""
    n = session.run("DELETE FROM lists WHERE made < ?", (now() - KEPT_SECONDS,))
    row = session.one("SELECT made FROM lists ORDER BY made DESC LIMIT 1 OFFSET ?", (MOST,))
    if row is not None:
        n += session.run("DELETE FROM lists WHERE made <= ?", row)

    return n


def outcomes(session: Session) -> list[tuple[int, str | None, str | None, int, int]]:
    """Of each version, experiment and arm: how many lists, and how many led to an event."""
    return [
        (version, experiment, arm, int(n_lists), int(n_hits))
        for version, experiment, arm, n_lists, n_hits in session.rows(
            "SELECT l.version, l.experiment, l.arm, count(*), sum(CASE WHEN EXISTS"
            " (SELECT 1 FROM events e WHERE e.recommendation = l.id) THEN 1 ELSE 0 END)"
            " FROM lists l WHERE l.n > 0 GROUP BY l.version, l.experiment, l.arm"
            " ORDER BY l.version, l.experiment, l.arm"
        )
    ]
