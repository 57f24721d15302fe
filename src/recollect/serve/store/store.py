"""A database with its writer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from recollect.errors import StoreError
from recollect.serve.store.database import Database, Session
from recollect.serve.store.schema import migrate
from recollect.serve.store.writer import Writer

Result = TypeVar("Result")
POSTGRES = ("postgresql://", "postgres://")


class Store:
    """Everything that a service keeps.

    Args:
        database: with today's tables.
        on_commit: called with the seconds and the number of requests of each commit.
    """

    def __init__(
        self, database: Database, on_commit: Callable[[float, int], None] | None = None
    ) -> None:
        self.database = database
        self.writer = Writer(database, on_commit)

    def reader(self) -> Session:
        """A session of this thread to read with.

        Raises:
            StoreError: if the database cannot be reached.
        """
        return self.database.reader()

    def write(self, write: Callable[[Session], Result]) -> Result:
        """Call a function with a session in a transaction; it returns when all is durable.

        Raises:
            StoreError: if it cannot be written.
        """
        return self.writer.write(write)

    def submit(self, write: Callable[[Session], Result]) -> Future[Result]:
        """As `write`, without waiting."""
        return self.writer.submit(write)

    def close(self) -> None:
        """Write what waits, and close all connections."""
        self.writer.close()
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def open_database(url: str | Path) -> Database:
    """A database by its address, without looking at its tables.

    Args:
        url: the path of a file, or postgresql://….

    Raises:
        StoreError: if it cannot be opened.
    """
    if str(url).startswith(POSTGRES):
        from recollect.serve.store.postgres import PostgreSQL

        return PostgreSQL(str(url))

    if "://" in str(url):
        raise StoreError(
            "A store is the path of a file, such as films.db, or an address that begins with "
            f"postgresql://; found one that begins with {str(url).partition('://')[0]}://."
        )

    from recollect.serve.store.sqlite import SQLite

    return SQLite(url)


def open_store(url: str | Path, on_commit: Callable[[float, int], None] | None = None) -> Store:
    """A store by its address, with today's tables; a file is made where there is none.

    Args:
        url: the path of a file, or postgresql://….
        on_commit: called with the seconds and the number of requests of each commit.

    Raises:
        StoreError: if it cannot be opened or written, or is newer than this version of Recollect.
    """
    database = open_database(url)

    try:
        migrate(database)
    except BaseException:
        database.close()
        raise

    return Store(database, on_commit)
