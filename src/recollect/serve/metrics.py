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
        own = {"registry": self.registry, "namespace": "recollect"}
        latest = {**own, "multiprocess_mode": "mostrecent"}
        self.requests = Histogram(
            "request_seconds", "Seconds of a request.", ("route", "status"), buckets=SECONDS, **own
        )
        self.events = Counter("events", "Events by what became of them.", ("outcome",), **own)
        self.lists = Counter("lists", "Lists by what they were made from.", ("basis",), **own)
        self.listed = Counter("listed_items", "Places of lists.", ("basis",), **own)
        self.repeated = Counter(
            "repeated_items", "Places of lists that the user's last list had as well.", **own
        )
        self.commit_seconds = Histogram(
            "commit_seconds", "Seconds of a commit of the store.", buckets=SECONDS, **own
        )
        self.commit_size = Histogram(
            "commit_requests", "Requests in a commit.", buckets=SIZES, **own
        )
        self.queue = Gauge(
            "store_queue", "Requests that wait to be written.", multiprocess_mode="livesum", **own
        )
        self.version = Gauge("model_version", "The version of the model that answers.", **latest)
        self.fitted = Gauge("model_fitted_timestamp", "When it was fitted.", **latest)
        self.events_since_fit = Gauge(
            "events_since_fit", "Ratings that the model has not learned from.", **latest
        )
        self.fit_seconds = Gauge("fit_seconds", "Seconds of the last fit.", **latest)
        self.gate_figure = Gauge(
            "gate_figure", "Figure of the last fitted version on the newest ratings.", **latest
        )
        self.catalogue = Gauge("catalogue_items", "Items in the catalogue.", **latest)

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
