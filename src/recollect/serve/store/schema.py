"""The tables, by version. A new version is a further entry of MIGRATIONS, never a changed one.

A database that is older gets the entries that it lacks, in one transaction.
"""

from __future__ import annotations

from recollect.errors import StoreError
from recollect.serve.store.database import Database, Session

FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    # `changed` is the seq of the user's last event; `row` is never given to another user.
    "CREATE TABLE users (row {serial}, id TEXT NOT NULL UNIQUE, first_seen BIGINT NOT NULL,"
    " changed BIGINT NOT NULL)",
    # Users who were forgotten, as hashes: an import must not bring them back.
    "CREATE TABLE forgotten (hash TEXT PRIMARY KEY, at BIGINT NOT NULL)",
    # `fields` is a JSON object; `starts` and `ends` bound when the item may be listed.
    "CREATE TABLE items (row {serial}, id TEXT NOT NULL UNIQUE, title TEXT, text TEXT,"
    " fields TEXT NOT NULL, available BIGINT NOT NULL, starts BIGINT, ends BIGINT,"
    " changed BIGINT NOT NULL)",
    "CREATE INDEX items_changed ON items (changed)",
    # The log: nothing is changed in it but what a forgotten user had said.
    "CREATE TABLE events (seq {serial}, id TEXT NOT NULL UNIQUE, user_row BIGINT,"
    " item_row BIGINT, kind TEXT NOT NULL, value DOUBLE PRECISION, time BIGINT,"
    " received BIGINT NOT NULL, recommendation TEXT)",
    "CREATE INDEX events_user ON events (user_row)",
    "CREATE INDEX events_recommendation ON events (recommendation)"
    " WHERE recommendation IS NOT NULL",
    # Now: of ratings the last by time, of events the sum.
    "CREATE TABLE ratings (user_row BIGINT NOT NULL, item_row BIGINT NOT NULL,"
    " value DOUBLE PRECISION NOT NULL, time BIGINT, seq BIGINT NOT NULL,"
    " PRIMARY KEY (user_row, item_row)) {table_by_key}",
    "CREATE INDEX ratings_seq ON ratings (seq)",
    # `items` are row numbers of items, 8 bytes each: those shown, and those of earlier pages.
    "CREATE TABLE lists (id TEXT PRIMARY KEY, user_row BIGINT, version BIGINT NOT NULL,"
    " experiment TEXT, arm TEXT, made BIGINT NOT NULL, query TEXT NOT NULL, n BIGINT NOT NULL,"
    " items {bytes} NOT NULL, shown BIGINT)",
    "CREATE INDEX lists_made ON lists (made)",
    "CREATE INDEX lists_user ON lists (user_row)",
    "CREATE TABLE models (version {serial}, folder TEXT NOT NULL, digest TEXT NOT NULL,"
    " kind TEXT NOT NULL, made BIGINT NOT NULL, upto_seq BIGINT NOT NULL,"
    " figures TEXT NOT NULL, state TEXT NOT NULL)",
    # Which version answers since when; the last row is the one in use.
    "CREATE TABLE activations (number {serial}, version BIGINT NOT NULL, since BIGINT NOT NULL,"
    " why TEXT NOT NULL)",
    "CREATE TABLE experiments (name TEXT PRIMARY KEY, arms TEXT NOT NULL, started BIGINT NOT NULL,"
    " ended BIGINT)",
    "CREATE TABLE keys (hash TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, scope TEXT NOT NULL,"
    " made BIGINT NOT NULL, revoked BIGINT)",
    "CREATE TABLE jobs (id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL,"
    " made BIGINT NOT NULL, ended BIGINT, detail TEXT NOT NULL)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (FIRST,)
VERSION = len(MIGRATIONS)


def migrate(database: Database) -> None:
    """Bring a database to today's version.

    Raises:
        StoreError: if it was written by a newer version of Recollect, or cannot be written.
    """
    with database.transaction() as session:
        version = version_of(database, session)
        if version > VERSION:
            raise StoreError(
                f"The database has version {version} of the tables, and this Recollect knows "
                f"versions up to {VERSION}; install a newer Recollect."
            )

        if version == VERSION:
            return

        words = vars(database.dialect)
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                session.run(statement.format(**words))

        session.run("DELETE FROM meta WHERE key = 'version'")
        session.run("INSERT INTO meta VALUES ('version', ?)", (str(VERSION),))


def version_of(database: Database, session: Session) -> int:
    """The version of the tables; 0 where there are none."""
    if not database.has_table(session, "meta"):
        return 0

    row = session.one("SELECT value FROM meta WHERE key = 'version'")

    return int(row[0]) if row else 0
