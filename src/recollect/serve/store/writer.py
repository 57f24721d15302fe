"""One thread that writes for all: what is waiting goes into one commit.

A commit costs a write to the disk, whatever its size. While one is under way, requests gather, and
the next commit takes them together: the load sets the size of the group, and a single request waits
for nobody.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from typing import Any, TypeVar

from recollect.errors import StoreError
from recollect.serve.store.database import Database, Session

Result = TypeVar("Result")
Write = Callable[[Session], Any]
Waiting = tuple[Write, "Future[Any]"]

MOST = 500  # requests in a commit
LONGEST_QUEUE = 10_000
PATIENCE = 15.0  # seconds until a request that waits is told that the store is too slow


class Writer:
    """Executes writes one after another, durably.

    Args:
        database: what is written to.
        on_commit: called with the seconds and the number of requests of each commit.
    """

    def __init__(
        self, database: Database, on_commit: Callable[[float, int], None] | None = None
    ) -> None:
        self.database = database
        self.on_commit = on_commit
        self._queue: queue.Queue[Waiting | None] = queue.Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._work, name="recollect-writer", daemon=True)
        self._is_closed = False
        self._thread.start()

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return self._queue.qsize()

    def submit(self, write: Callable[[Session], Result]) -> Future[Result]:
        """Have something written; the future ends when it is durable.

        Args:
            write: called with a session in a transaction, in the writer's thread. What it raises
                undoes its own changes and is raised by the future.

        Raises:
            StoreError: if too many requests wait, or the store is closed.
        """
        future: Future[Result] = Future()
        if self._is_closed:
            raise StoreError("The store is closed.")

        try:
            self._queue.put_nowait((write, future))
        except queue.Full:
            raise StoreError(
                f"{LONGEST_QUEUE:,} requests wait for the database; send fewer at a time."
            ) from None

        return future

    def write(self, write: Callable[[Session], Result]) -> Result:
        """As `submit`, and wait until it is durable.

        Raises:
            StoreError: if it cannot be written, or not in time.
        """
        try:
            return self.submit(write).result(PATIENCE)
        except TooLate:
            raise StoreError(
                f"The database did not answer within {PATIENCE:g} seconds; the same request may be "
                "sent again."
            ) from None

    def close(self) -> None:
        """Write what waits, then stop."""
        self._is_closed = True
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        is_open = True
        while is_open:
            group = [self._queue.get()]
            while len(group) < MOST and not self._queue.empty():
                group.append(self._queue.get())

            is_open = None not in group
            self._commit([waiting for waiting in group if waiting is not None])

    def _commit(self, group: list[Waiting]) -> None:
        """Write a group of requests in one transaction, and tell each what came of it."""
        if not group:
            return

        started = time.perf_counter()
        outcomes: list[tuple[Future[Any], Any, Exception | None]] = []

        try:
            with self.database.transaction() as session:
                for write, future in group:
                    outcomes.append((future, *_attempt(session, write)))
        except Exception as problem:
            # Nothing of the group is in the database.
            for _, future in group:
                future.set_exception(problem)
            return

        if self.on_commit:
            self.on_commit(time.perf_counter() - started, len(group))

        for future, result, refusal in outcomes:
            if refusal is None:
                future.set_result(result)
            else:
                future.set_exception(refusal)


def _attempt(session: Session, write: Write) -> tuple[Any, Exception | None]:
    """The result of one request, or its error; then its changes are undone, not the others'."""
    session.run("SAVEPOINT request")

    try:
        result = write(session)
    except StoreError:
        # The database itself failed: so does the whole transaction.
        raise
    except Exception as problem:
        session.run("ROLLBACK TO SAVEPOINT request")
        session.run("RELEASE SAVEPOINT request")
        return None, problem

    session.run("RELEASE SAVEPOINT request")

    return result, None
