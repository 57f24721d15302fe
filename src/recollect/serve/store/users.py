"""Users: who they are, what they have rated, and that they can be forgotten."""

from __future__ import annotations

import hashlib

import numpy as np

from recollect.serve.store import meta
from recollect.serve.store.database import Row, Session
from recollect.serve.store.records import FORGOTTEN, Person, now

NO_ITEMS = np.zeros(0, np.int64)
NO_VALUES = np.zeros(0, np.float64)


def row_of_user(session: Session, user_id: str) -> int:
    """The row number of a user, who becomes one if they are none yet."""
    row = session.one("SELECT row FROM users WHERE id = ?", (user_id,))
    if row is not None:
        return int(row[0])

    [made] = session.rows(
        "INSERT INTO users (id, first_seen, changed) VALUES (?, ?, 0) RETURNING row",
        (user_id, now()),
    )[0]

    return int(made)


def person(session: Session, user_id: str) -> Person:
    """A user with all their ratings; one without any where the id is unknown."""
    found = session.one("SELECT row, changed FROM users WHERE id = ?", (user_id,))
    if found is None:
        return Person(user_id, None, 0, NO_ITEMS, NO_VALUES)

    row, changed = found
    ratings = session.rows("SELECT item_row, value FROM ratings WHERE user_row = ?", (row,))
    items = np.fromiter((item for item, _ in ratings), np.int64, len(ratings))
    values = np.fromiter((value for _, value in ratings), np.float64, len(ratings))

    return Person(user_id, int(row), int(changed), items, values)


def ratings_page(session: Session, user_row: int, *, after: int, n: int) -> list[Row]:
    """A user's ratings in the order of the log.

    Args:
        session: to read with.
        user_row: of the user.
        after: the last place in the order that was read before; 0: the first page.
        n: how many at most.

    Returns: for each its place, the item's id and title, value and time.
    """
    return session.rows(
        "SELECT r.item_row, i.id, i.title, r.value, r.time FROM ratings r"
        " JOIN items i ON i.row = r.item_row WHERE r.user_row = ? AND r.item_row > ?"
        " ORDER BY r.item_row LIMIT ?",
        (user_row, after, n),
    )


def known(session: Session, user_ids: list[str]) -> set[str]:
    """Those of the ids that are users of the store."""
    if not user_ids:
        return set()

    places = ", ".join("?" * len(user_ids))

    return {
        row[0] for row in session.rows(f"SELECT id FROM users WHERE id IN ({places})", user_ids)
    }


def search(session: Session, beginning: str, n: int) -> list[tuple[str, int]]:
    """Users whose id begins with a text, with how many ratings each has."""
    return [
        (str(id_), int(count))
        for id_, count in session.rows(
            "SELECT u.id, (SELECT count(*) FROM ratings r WHERE r.user_row = u.row) FROM users u"
            " WHERE substr(u.id, 1, ?) = ? ORDER BY length(u.id), u.id LIMIT ?",
            (len(beginning), beginning, n),
        )
    ]


def forget(session: Session, user_id: str) -> int | None:
    """Delete a user and all that they said; returns how many ratings, None if they are unknown.

    The ids of their events stay in the log without anything else, so that an event that is sent
    again does not bring them back; a hash of the user's id stays, so that no import does.
    """
    found = session.one("SELECT row FROM users WHERE id = ?", (user_id,))
    if found is None:
        return None

    n_ratings = session.run("DELETE FROM ratings WHERE user_row = ?", found)
    session.run("DELETE FROM lists WHERE user_row = ?", found)
    session.run(
        "UPDATE events SET user_row = NULL, item_row = NULL, value = NULL, time = NULL,"
        f" recommendation = NULL, kind = '{FORGOTTEN}' WHERE user_row = ?",
        found,
    )
    session.run("DELETE FROM users WHERE row = ?", found)
    session.run(
        "INSERT INTO forgotten (hash, at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING",
        (hashed(meta.salt(session), user_id), now()),
    )
    meta.count_up(session, "n_forgotten")

    return n_ratings


def hashed(salt: str, user_id: str) -> str:
    """What is kept of a forgotten user."""
    return hashlib.sha256(f"{salt}:{user_id}".encode()).hexdigest()


def forgotten(session: Session) -> set[str]:
    """The hashes of all forgotten users."""
    return {row[0] for row in session.rows("SELECT hash FROM forgotten")}
