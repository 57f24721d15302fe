"""What the store needs of a database. Two classes give it: `SQLite` and `PostgreSQL`.

All queries are written once, with `?` for values, in SQL that both understand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]
Values = Sequence[Any]


@dataclass(frozen=True)
class Dialect:
    """The words in which the two databases differ.

    Args:
        serial: the type of a row number that the database counts up and never gives twice.
        bytes: the type of bytes.
        table_by_key: what follows the columns of a table that is stored in the order of its key.
    """

    serial: str
    bytes: str
    table_by_key: str


class Session(ABC):
    """A connection of one thread."""

    @abstractmethod
    def rows(self, query: str, values: Values = ()) -> list[Row]:
        """All rows of a query.

        Raises:
            StoreError: if the database refuses or cannot be reached.
        """

    @abstractmethod
    def run(self, query: str, values: Values = ()) -> int:
        """Execute a statement; returns how many rows it changed.

        Raises:
            StoreError: as `rows`.
        """

    @abstractmethod
    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Insert many rows at once.

        Args:
            table: its name.
            columns: their names.
            rows: their values; none of the rows may be in the table yet.

        Raises:
            StoreError: as `rows`.
        """

    @abstractmethod
    def blocks(self, query: str, values: Values = (), size: int = 50_000) -> Iterator[list[Row]]:
        """The rows of a large query, so many at a time.

        Args:
            query: with `?` for values.
            values: of the query.
            size: of a block.

        Raises:
            StoreError: as `rows`.
        """

    def one(self, query: str, values: Values = ()) -> Row | None:
        """The first row of a query; None without any."""
        rows = self.rows(query, values)
        return rows[0] if rows else None


class Database(ABC):
    """A database that several threads and processes use at once."""

    dialect: Dialect

    @abstractmethod
    def reader(self) -> Session:
        """The session of this thread, to read with. It sees all that is committed.

        Raises:
            StoreError: if the database cannot be reached.
        """

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Session]:
        """A session to write with: all is committed, durably, when the block ends, or nothing is.

        One transaction writes at a time, whatever thread or process it is of.

        Raises:
            StoreError: if the database cannot be reached, is locked or full.
        """

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Session]:
        """A session in which all queries see the same state.

        Raises:
            StoreError: as `transaction`.
        """

    @abstractmethod
    def has_table(self, session: Session, name: str) -> bool:
        """Whether there is a table of this name."""

    @abstractmethod
    def lead(self) -> bool:
        """Whether this process is the one that fits models: the first that asks, while it lives.

        Raises:
            StoreError: if the database cannot be reached.
        """

    @abstractmethod
    def count_on(self, session: Session) -> None:
        """Let row numbers that the database gives follow those that were written with rows."""

    @abstractmethod
    def faults(self) -> list[str]:
        """What the database itself finds damaged, a sentence each."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""
