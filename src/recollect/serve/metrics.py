"""What Prometheus reads. With several processes each answers for all: they share a folder."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

# Read by the Prometheus client when it is imported: the parent sets it before its processes start.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Metrics:
    """The service's figures, in this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._histogram(
            "request_seconds", "Seconds of a request.", SECONDS, ("route", "status")
        )
        self.events = self._counter("events", "Events by what became of them.", "outcome")
        self.lists = self._counter("lists", "Lists by what they were made from.", "basis")
        self.listed = self._counter("listed_items", "Places of lists.", "basis")
        self.commit_seconds = self._histogram("commit_seconds", "Seconds of a commit.", SECONDS)
        self.commit_size = self._histogram("commit_requests", "Requests in a commit.", SIZES)
        self.queue = Gauge(
            "recollect_store_queue",
            "Requests that wait to be written.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.version = self._latest("model_version", "The version of the model that answers.")
        self.fitted = self._latest("model_fitted_timestamp", "When it was fitted.")
        self.events_since_fit = self._latest(
            "events_since_fit", "Ratings that the model has not learned from."
        )
        self.fit_seconds = self._latest("fit_seconds", "Seconds of the last fit.")
        self.gate_figure = self._latest(
            "gate_figure", "Figure of the last fitted version on the newest ratings."
        )
        self.catalogue = self._latest("catalogue_items", "Items in the catalogue.")

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(f"recollect_{name}", text, (label,), registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()
    ) -> Histogram:
        return Histogram(f"recollect_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _latest(self, name: str, text: str) -> Gauge:
        """A figure of which, of several processes, the last that was set counts."""
        return Gauge(
            f"recollect_{name}", text, multiprocess_mode="mostrecent", registry=self.registry
        )

    def text(self) -> bytes:
        """All figures in the text format of Prometheus."""
        if os.environ.get(SHARED_FOLDER):
            shared = CollectorRegistry()
            MultiProcessCollector(shared)
            return generate_latest(shared)

        return generate_latest(self.registry)


def forget_process(pid: int) -> None:
    """Take the gauges of a process that has ended out of the shared folder."""
    folder = os.environ.get(SHARED_FOLDER)
    if folder:
        for path in Path(folder).glob(f"gauge_live*_{pid}.db"):
            path.unlink(missing_ok=True)
