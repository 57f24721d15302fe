"""A whole store from one database to another, and whether a store agrees with itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recollect.errors import StoreError
from recollect.serve.store.database import Database, Row, Session
from recollect.serve.store.schema import migrate
from recollect.serve.store.store import open_database

# Each table, its columns, and the order in which its rows are compared.
TABLES: dict[str, tuple[str, str]] = {
    "meta": ("key, value", "key"),
    "users": ("row, id, first_seen, changed", "row"),
    "forgotten": ("hash, at", "hash"),
    "items": ("row, id, title, text, fields, available, starts, ends, changed", "row"),
    "events": ("seq, id, user_row, item_row, kind, value, time, received, recommendation", "seq"),
    "ratings": ("user_row, item_row, value, time, seq", "user_row, item_row"),
    "lists": (
        "id, user_row, version, experiment, arm, made, query, n, items, shown",
        "id",
    ),
    "models": ("version, folder, digest, kind, made, upto_seq, figures, state", "version"),
    "activations": ("number, version, since, why", "number"),
    "experiments": ("name, arms, started, ended", "name"),
    "keys": ("hash, name, scope, made, revoked", "hash"),
    "jobs": ("id, kind, state, made, ended, detail", "id"),
}
Sums = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Moved:
    """What was copied.

    Args:
        counts: rows of each table.
    """

    counts: dict[str, int]


def move(
    source: str | Path, target: str | Path, *, progress: Callable[[str], None] | None = None
) -> Moved:
    """Copy a store into an empty database, and compare every row afterwards.

    The source is not changed. Stop the service first: what is written to the source meanwhile is
    not copied.

    Args:
        source: the address of a store.
        target: the address of a database without a store.
        progress: called with the name of each table.

    Raises:
        StoreError: if the source has no store, the target has one, or the two differ afterwards.
    """
    first = open_database(source)
    try:
        second = open_database(target)
        try:
            return _move(first, second, progress)
        finally:
            second.close()
    finally:
        first.close()


def _move(first: Database, second: Database, progress: Callable[[str], None] | None) -> Moved:
    if not first.has_table(first.reader(), "meta"):
        raise StoreError("The source holds no store.")

    if second.has_table(second.reader(), "meta"):
        raise StoreError("The target holds a store already; name an empty database.")

    migrate(first)
    migrate(second)

    with first.snapshot() as source, second.transaction() as target:
        target.run("DELETE FROM meta")
        for table, (columns, _) in TABLES.items():
            if progress:
                progress(table)
            names = columns.split(", ")
            for block in source.blocks(f"SELECT {columns} FROM {table}"):
                target.insert(table, names, block)

        second.count_on(target)
        before = sums(source)
        after = sums(target)
        # Within the transaction: a copy that differs is none.
        if before != after:
            differing = [table for table in TABLES if before[table] != after[table]]
            raise StoreError(f"After the copy {', '.join(differing)} differ; nothing was kept.")

    return Moved({table: count for table, (count, _) in after.items()})


def sums(session: Session) -> Sums:
    """Of each table how many rows it has, and the SHA-256 of them all in order."""
    found = {}
    for table, (columns, order) in TABLES.items():
        digest = hashlib.sha256()
        count = 0
        # The two databases sort text differently: by the bytes in neither.
        rows = (
            row
            for block in session.blocks(f"SELECT {columns} FROM {table} ORDER BY {order}")
            for row in block
        )
        ordered = (
            rows if order not in ("key", "hash", "id", "name") else iter(sorted(rows, key=_key))
        )
        for row in ordered:
            digest.update(repr(_plain(row)).encode())
            count += 1
        found[table] = (count, digest.hexdigest())

    return found


def _key(row: Row) -> str:
    return str(row[0])


def _plain(row: Row) -> Row:
    """A row with values that both databases give alike."""
    return tuple(bytes(one) if isinstance(one, memoryview) else one for one in row)


CHECKS = {
    "ratings of users who are not there": (
        "SELECT count(*) FROM ratings r LEFT JOIN users u ON u.row = r.user_row WHERE u.row IS NULL"
    ),
    "ratings of items that are not there": (
        "SELECT count(*) FROM ratings r LEFT JOIN items i ON i.row = r.item_row WHERE i.row IS NULL"
    ),
    "ratings whose event is not in the log": (
        "SELECT count(*) FROM ratings r LEFT JOIN events e ON e.seq = r.seq WHERE e.seq IS NULL"
    ),
    "users who changed later than their last rating or event": (
        "SELECT count(*) FROM users WHERE changed > (SELECT coalesce(max(seq), 0) FROM events)"
    ),
    "events of users who are not there": (
        "SELECT count(*) FROM events e LEFT JOIN users u ON u.row = e.user_row"
        " WHERE e.user_row IS NOT NULL AND u.row IS NULL"
    ),
    "active versions that are not there": (
        "SELECT count(*) FROM activations a LEFT JOIN models m ON m.version = a.version"
        " WHERE m.version IS NULL"
    ),
}


def check(url: str | Path) -> list[str]:
    """What is wrong with a store, a sentence each; nothing if it is whole.

    Args:
        url: its address.

    Raises:
        StoreError: if it cannot be read, or holds no store.
    """
    database = open_database(url)
    try:
        faults = database.faults()
        with database.snapshot() as session:
            if not database.has_table(session, "meta"):
                raise StoreError("There is no store.")

            for what, query in CHECKS.items():
                row = session.one(query)
                if row and row[0]:
                    faults.append(f"There are {row[0]:,} {what}.")
    finally:
        database.close()

    return faults
