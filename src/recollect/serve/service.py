"""One process of a service: the store, the catalogue, the models and what is measured."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable

from recollect.errors import RecollectError
from recollect.serve.access import Access
from recollect.serve.answers.catalogue import Catalogue, Items
from recollect.serve.answers.served import Served
from recollect.serve.learning.active import Models
from recollect.serve.metrics import Metrics
from recollect.serve.settings import ServeSettings
from recollect.serve.store import log as event_log
from recollect.serve.store.database import Session
from recollect.serve.store.store import Store, open_store

log = logging.getLogger("recollect.serve")

LOOK_SECONDS = 0.25  # between two looks at what is active
UPDATE_SECONDS = 2.0  # between two looks at what may be learned without a fit


class Service:
    """What the endpoints of one process use.

    Args:
        settings: what the service was started with.

    Raises:
        StoreError: if the store cannot be opened.
        CheckpointError: if the active version cannot be loaded.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.store: Store = open_store(settings.db, self._committed)
        self.catalogue = Catalogue()
        self.access = Access(settings.rate)
        self.models = Models(
            self.store, self.catalogue, trusted=settings.trusted, on_swap=self._swapped
        )
        self.started = time.time()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def open(self) -> None:
        """Load what is active, and begin to look after it.

        Raises:
            RecollectError: as when it is made.
        """
        self.models.refresh()
        self.access.refresh(self.store.reader())
        # What is there now stays: a collection that looked through all of it again would hold up
        # every request for a third of a second.
        gc.collect()
        gc.freeze()
        self._begin(self._look, LOOK_SECONDS)
        self._begin(self._learn, UPDATE_SECONDS)

    def _begin(self, task: Callable[[], None], seconds: float) -> None:
        def repeat() -> None:
            while not self._stop.wait(seconds):
                try:
                    task()
                except RecollectError as problem:
                    # The store is gone or a folder is damaged: what is loaded goes on answering.
                    log.warning("look_failed", extra={"problem": str(problem)})

        thread = threading.Thread(target=repeat, name=f"recollect-{task.__name__}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _look(self) -> None:
        session = self.store.reader()
        self.access.refresh(session)
        self.models.refresh()
        self.metrics.queue.set(self.store.writer.depth)

    def _learn(self) -> None:
        self.models.update()
        state = self.models.state
        since = state.loaded[state.active].upto_seq
        n_events = event_log.n_events_since(self.store.reader(), since)
        self.metrics.events_since_fit.set(n_events)

    def _committed(self, seconds: float, n_requests: int) -> None:
        self.metrics.commit_seconds.observe(seconds)
        self.metrics.commit_size.observe(n_requests)

    def _swapped(self, served: Served) -> None:
        self.metrics.version.set(served.version.version)
        self.metrics.fitted.set(served.version.made)
        log.info("version_active", extra={"version": served.version.version})

    def reader(self) -> Session:
        """A session of this thread to read with."""
        return self.store.reader()

    def items(self) -> Items:
        """The catalogue as it is now."""
        items = self.catalogue.now(self.store.reader())
        self.metrics.catalogue.set(len(items.row_of))
        return items

    def close(self) -> None:
        """Write what waits and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

        self.store.close()
