"""SQLite: the store in one file, without a server.

Write-ahead logging lets readers go on while one connection writes. `synchronous=FULL` brings every
commit to the disk: with NORMAL a power cut could take the last ones. The file must lie on a local
disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from typing_extensions import override

from recollect.errors import StoreError
from recollect.serve.store.database import Database, Dialect, Row, Session, Values
from recollect.system.locks import Lock

BUSY_MS = 5000  # how long a writer waits for another process that writes
APPLICATION = 0x5EC0113C  # in the file's header: that it is one of ours


class SQLiteSession(Session):
    """A connection to the file."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path

    @override
    def rows(self, query: str, values: Values = ()) -> list[Row]:
        with _told(self.path):
            return self.connection.execute(query, values).fetchall()

    @override
    def run(self, query: str, values: Values = ()) -> int:
        with _told(self.path):
            return self.connection.execute(query, values).rowcount

    @override
    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        places = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
        with _told(self.path):
            self.connection.executemany(statement, rows)

    @override
    def blocks(self, query: str, values: Values = (), size: int = 50_000) -> Iterator[list[Row]]:
        with _told(self.path), closing(self.connection.execute(query, values)) as cursor:
            while rows := cursor.fetchmany(size):
                yield rows


class SQLite(Database):
    """A file; it is made where there is none.

    Args:
        path: of the file.

    Raises:
        StoreError: if it cannot be opened, or is something else.
    """

    dialect = Dialect(
        serial="INTEGER PRIMARY KEY AUTOINCREMENT", bytes="BLOB", table_by_key="WITHOUT ROWID"
    )

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._of_thread = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._leading: Lock | None = None
        self._check_header()
        with _told(self.path):
            connection = self._connect()
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.close()

    def _check_header(self) -> None:
        """Refuse a file that holds something else before anything is written to it."""
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder; name a file, such as films.db.")

        if not self.path.parent.is_dir():
            raise StoreError(
                f"There is no folder {self.path.parent} for {self.path.name}; make it."
            )

        if not self.path.exists() or not self.path.stat().st_size:
            return

        with _told(self.path), closing(sqlite3.connect(self.path)) as connection:
            [application] = connection.execute("PRAGMA application_id").fetchone()
            n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

        if application != APPLICATION and n_tables:
            raise StoreError(
                f"{self.path} is an SQLite file of another program; name another file."
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        with self._lock:
            self._open.append(connection)

        return connection

    def _session(self, name: str) -> SQLiteSession:
        session = getattr(self._of_thread, name, None)
        if session is None:
            with _told(self.path):
                session = SQLiteSession(self._connect(), self.path)
            setattr(self._of_thread, name, session)

        return session

    @override
    def reader(self) -> Session:
        return self._session("reader")

    @override
    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._within("BEGIN IMMEDIATE") as session:
            yield session

    @override
    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        with self._within("BEGIN") as session:
            yield session

    @contextmanager
    def _within(self, begin: str) -> Iterator[Session]:
        session = self._session("writer")
        session.run(begin)

        try:
            yield session
            session.run("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction already.
            if session.connection.in_transaction:
                session.run("ROLLBACK")
            raise

    @override
    def has_table(self, session: Session, name: str) -> bool:
        found = session.one(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
        )
        return found is not None

    @override
    def lead(self) -> bool:
        if self._leading is None:
            try:
                self._leading = Lock.take(self.path.parent / f".{self.path.name}.learner")
            except OSError as problem:
                raise StoreError(
                    f"The folder of {self.path.name} cannot be written: {problem.strerror}."
                ) from problem

        return self._leading is not None

    @override
    def count_on(self, session: Session) -> None:
        """Nothing is to be done: AUTOINCREMENT follows whatever was written."""

    @override
    def faults(self) -> list[str]:
        answers = [str(row[0]) for row in self.reader().rows("PRAGMA integrity_check")]
        return [] if answers == ["ok"] else answers

    @override
    def close(self) -> None:
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()

        self._of_thread = threading.local()
        if self._leading is not None:
            self._leading.__exit__(None, None, None)
            self._leading = None


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of SQLite as ours, saying what to do."""
    try:
        yield
    except sqlite3.Error as problem:
        text = str(problem)
        if "locked" in text or "busy" in text:
            hint = "another process writes to it for long; the same request may be sent again"
        elif "full" in text:
            hint = "free some space on its disk; nothing of the request was written"
        elif "not a database" in text or "malformed" in text:
            hint = "it is damaged or no SQLite file; restore a copy"
        else:
            hint = "check the file and its folder"
        raise StoreError(f"The database {path.name} cannot be used ({text}): {hint}.") from problem
