"""PostgreSQL: the store in a server, for more than one machine or more than one file can take."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

import psycopg
from typing_extensions import override

from recollect.errors import StoreError
from recollect.serve.store.database import Database, Dialect, Row, Session, Values

WRITING = 0x5EC0113C  # the advisory lock of the one transaction that writes
LEADING = 0x5EC0113D  # that of the process that fits models
CONNECT_SECONDS = 5
BUSY_MS = 5000  # how long a writer waits for another process that writes
SERIALS = (
    ("users", "row"),
    ("items", "row"),
    ("events", "seq"),
    ("models", "version"),
    ("activations", "number"),
)


@cache
def _with_places(query: str) -> str:
    """A query with the marks that psycopg has for values."""
    return query.replace("?", "%s")


class PostgreSQLSession(Session):
    """A connection to the server."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self.connection = connection

    @override
    def rows(self, query: str, values: Values = ()) -> list[Row]:
        with _told():
            return self.connection.execute(_with_places(query), values).fetchall()

    @override
    def run(self, query: str, values: Values = ()) -> int:
        with _told():
            return self.connection.execute(_with_places(query), values).rowcount

    @override
    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with _told(), self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    @override
    def blocks(self, query: str, values: Values = (), size: int = 50_000) -> Iterator[list[Row]]:
        # The server keeps the rows that were not asked for yet, which needs a transaction.
        name = f"blocks_{uuid.uuid4().hex}"
        with (
            _told(),
            self.connection.transaction(),
            self.connection.cursor(name=name) as cursor,
        ):
            cursor.execute(_with_places(query), values)
            while rows := cursor.fetchmany(size):
                yield rows


class PostgreSQL(Database):
    """A database of a server.

    Args:
        url: postgresql://….

    Raises:
        StoreError: if it cannot be reached.
    """

    dialect = Dialect(serial="BIGSERIAL PRIMARY KEY", bytes="BYTEA", table_by_key="")

    def __init__(self, url: str) -> None:
        self.url = url
        self._of_thread = threading.local()
        self._open: list[psycopg.Connection[Row]] = []
        self._lock = threading.Lock()
        self._leading: psycopg.Connection[Row] | None = None
        self.reader().rows("SELECT 1")

    def _connect(self) -> psycopg.Connection[Row]:
        with _told():
            connection = psycopg.connect(self.url, autocommit=True, connect_timeout=CONNECT_SECONDS)
            connection.execute(f"SET lock_timeout = {BUSY_MS}")

        with self._lock:
            self._open = [known for known in self._open if not known.closed]
            self._open.append(connection)

        return connection

    def _session(self, name: str) -> PostgreSQLSession:
        session = getattr(self._of_thread, name, None)
        # A server that was away comes back with the next request.
        if session is None or session.connection.closed:
            session = PostgreSQLSession(self._connect())
            setattr(self._of_thread, name, session)

        return session

    @override
    def reader(self) -> Session:
        return self._session("reader")

    @override
    @contextmanager
    def transaction(self) -> Iterator[Session]:
        session = self._session("writer")
        with _told(), session.connection.transaction():
            # One writes at a time: places in the log are in the order of their commits.
            session.run("SELECT pg_advisory_xact_lock(?)", (WRITING,))
            yield session

    @override
    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        session = self._session("writer")
        with _told(), session.connection.transaction():
            session.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield session

    @override
    def has_table(self, session: Session, name: str) -> bool:
        return session.one("SELECT to_regclass(?)", (name,)) != (None,)

    @override
    def lead(self) -> bool:
        if self._leading is not None and not self._leading.closed:
            return True

        connection = self._connect()
        with _told():
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LEADING,)).fetchone()

        if row == (True,):
            self._leading = connection
            return True

        connection.close()

        return False

    @override
    def count_on(self, session: Session) -> None:
        for table, column in SERIALS:
            session.rows(
                f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'),"
                f" greatest(1, (SELECT max({column}) FROM {table})))"
            )

    @override
    def faults(self) -> list[str]:
        """None: the server checks its own pages."""
        return []

    @override
    def close(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(psycopg.Error):
                    connection.close()
            self._open.clear()

        self._of_thread = threading.local()
        self._leading = None


@contextmanager
def _told() -> Iterator[None]:
    """Errors of the server as ours, without the values of a statement."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as problem:
        raise StoreError(
            "Another process writes to the database for long; the same request may be sent again."
        ) from problem
    except psycopg.OperationalError as problem:
        kind = type(problem).__name__
        raise StoreError(
            f"The PostgreSQL server cannot be reached or cannot go on ({kind}): check its address "
            "and that it runs; the same request may be sent again."
        ) from problem
    except psycopg.Error as problem:
        primary = problem.diag.message_primary or type(problem).__name__
        raise StoreError(f"PostgreSQL refused: {primary}.") from problem
