"""Rows whose records are lost, carried over from the pages of an earlier release.

`carried.json` in a folder of records has the figures as that release printed them: of a row its
mean, interval, seconds and memory; of a table the verdicts of its checks, which take errors of
single users or splits to compute. A row is identified by its jobs: after any change of its data,
splits, model, settings or seeds it is no longer used. Records of all its splits replace it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recollect.evaluation.significance import Interval
from recollect.experiment.results import Job, read_json

FILE = "carried.json"
DIGITS = 4  # after the point, as pages print figures


@dataclass(frozen=True)
class CarriedRow:
    """A row as it was printed."""

    interval: Interval  # of the part's metric
    metric: str
    n_splits: int
    fit_seconds: float  # median over the splits
    peak_memory_mb: float
    curve: list[tuple[int, float]]  # epoch and validation RMSE on the first split, if drawn


@dataclass(frozen=True)
class CarriedCheck:
    """The verdict of a check as it was printed, and the figures from which it was computed."""

    word: str
    text: str
    figures: Mapping[str, float]  # by the name of the run

    def stands(self, figures: Mapping[str, float]) -> bool:
        """Whether the verdict is about these figures."""
        printed = {name: round(value, DIGITS) for name, value in figures.items()}
        return printed == dict(self.figures)


@dataclass(frozen=True)
class CarriedTable:
    """What was printed of a table on one part, beside its rows."""

    release: str = ""
    n_test: Sequence[int] = ()  # the least and the most test ratings of a split
    n_cold: Sequence[int] = ()
    checks: Mapping[str, CarriedCheck] = field(default_factory=dict)  # by what the check says


@dataclass(frozen=True)
class Carried:
    """All rows and tables that were carried over."""

    made: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by experiment
    rows: Mapping[tuple[str, ...], CarriedRow] = field(default_factory=dict)  # by keys of jobs
    tables: Mapping[str, CarriedTable] = field(default_factory=dict)  # by experiment/table/part
    release: str = ""  # that printed them

    def row(self, jobs: Sequence[Job], metric: str) -> CarriedRow | None:
        """The row of these jobs, one per split; None if it was not carried over."""
        keys = tuple(job.key for job in jobs)
        row = self.rows.get(keys)
        if row is None or row.metric != metric:
            return None

        return row

    def table(self, experiment: str, table: str, part: str) -> CarriedTable:
        """What was printed of a table on a part; the release alone if it had no such table.

        Args:
            experiment: its name.
            table: the name of the table.
            part: the name of the part.
        """
        name = f"{experiment}/{table}/{part}"
        return self.tables.get(name, CarriedTable(release=self.release))


def read_carried(folder: Path) -> Carried:
    """What was carried over into a folder of records; nothing without a file.

    Raises: CheckpointError for a damaged file.
    """
    content = read_json(folder / FILE)
    if content is None:
        return Carried()

    rows = {}

    for raw in content["rows"]:
        keys = tuple(job.key for job in jobs_of_row(raw))
        rows[keys] = _read_row(raw)

    release = content["release"]
    tables = {name: _read_table(raw, release) for name, raw in content["tables"].items()}
    made = {name: {"release": release, **raw} for name, raw in content["made"].items()}

    return Carried(made, rows, tables, release)


def jobs_of_row(raw: Mapping[str, Any]) -> list[Job]:
    """The jobs of a row as the file has it, one per split."""
    return [
        Job(raw["fingerprint"], split, raw["model"], raw["settings"], seed)
        for split, seed in raw["splits"]
    ]


def _read_row(raw: Mapping[str, Any]) -> CarriedRow:
    # JSON has no NaN: an interval without limits has null for them.
    limits = [float("nan") if limit is None else limit for limit in raw["interval"]]
    mean, low, high = limits
    points = raw.get("curve", [])

    return CarriedRow(
        interval=Interval(mean, low, high),
        metric=raw["metric"],
        n_splits=len(raw["splits"]),
        fit_seconds=float(raw["fit_seconds"]),
        peak_memory_mb=float(raw["peak_memory_mb"]),
        curve=[(epoch, error) for epoch, error in points],
    )


def _read_table(raw: Mapping[str, Any], release: str) -> CarriedTable:
    checks = {says: CarriedCheck(**check) for says, check in raw["checks"].items()}
    return CarriedTable(
        release=release,
        n_test=raw["n_test"],
        n_cold=raw["n_cold"],
        checks=checks,
    )
