"""What prequential evaluation measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from recollect.errors import SettingError

POINTS = 400  # of a line in a figure, about


@dataclass
class Timing:
    """How long one way took.

    Args:
        learn: seconds of learning from events, the first fit aside.
        predict: seconds of predicting them.
        n_fits: number of fits after the first one.
    """

    learn: float = 0.0
    predict: float = 0.0
    n_fits: int = 0


@dataclass(frozen=True, kw_only=True)
class Prequential:
    """The value of every event after the first fit, by way, in order of time.

    Args:
        metric: "rmse", or "dcg@100".
        time: of each event, in seconds since 1970.
        value: by way the squared error of each event, or its discounted gain.
        timing: by way.
        about: of the data and the protocol.
    """

    metric: str
    time: Int64[np.ndarray, " events"]
    value: dict[str, Float64[np.ndarray, " events"]]
    timing: dict[str, Timing]
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        """Whether lower is better."""
        return self.metric == "rmse"

    def figure(self, way: str) -> float:
        """The RMSE, or the mean gain, of all events."""
        return float(self._figures(self.value[way].mean()))

    def gain_share(self, way: str) -> float | None:
        """Which share of what "refit" gains over "frozen" a way gains; None where it gains nothing,
        or without both."""
        if not {"frozen", "refit"} <= self.value.keys():
            return None

        sign = -1 if self.is_error else 1
        gain = {name: sign * (self.figure(name) - self.figure("frozen")) for name in self.value}

        return gain[way] / gain["refit"] if gain["refit"] > 0 else None

    def table(self) -> pl.DataFrame:
        """A row per way: its figure, its share of the gain, fits, and milliseconds an event."""
        n = max(1, len(self.time))
        rows = []

        for way, timing in self.timing.items():
            rows.append(
                {
                    "way": way,
                    self.metric: self.figure(way),
                    "gain_share": self.gain_share(way),
                    "fits": timing.n_fits,
                    "learn_ms": 1000 * timing.learn / n,
                    "predict_ms": 1000 * timing.predict / n,
                }
            )

        return pl.DataFrame(rows, infer_schema_length=None)

    def windows(self, size: int) -> pl.DataFrame:
        """The figure of each way over the last `size` events, at about 400 of them.

        Args:
            size: events in a window; of fewer events than that, all are one window.

        Returns: way, event (its number, from 1), time and the figure, named as the metric.
        """
        if size < 1:
            raise SettingError(f"A window has 1 or more events, found {size}.")

        n = len(self.time)
        size = min(size, n)
        last = np.unique(np.linspace(size, n, min(POINTS, n - size + 1)).astype(np.int64))
        parts = []

        for way, value in self.value.items():
            until = np.concatenate([[0.0], np.cumsum(value)])
            mean = (until[last] - until[last - size]) / size
            columns = {"event": last, "time": self.time[last - 1], self.metric: self._figures(mean)}
            parts.append(pl.DataFrame(columns).select(pl.lit(way).alias("way"), pl.all()))

        return pl.concat(parts)

    def _figures(self, mean: Any) -> Any:
        return np.sqrt(mean) if self.is_error else mean
