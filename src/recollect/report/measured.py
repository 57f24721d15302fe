"""What records say of a run: a record per split, of the candidate that validation chose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from recollect.experiment.planner import jobs_of
from recollect.experiment.results import Job, Record, Results, is_done
from recollect.experiment.spec import Part, RunSpec, Table, format_setting


@dataclass(frozen=True)
class Measured:
    """The records of a run, one per split of its table."""

    records: list[Record | None]
    jobs: list[Job | None]  # behind them; empty without data or a model
    failures: list[str]  # reasons, of all that was fitted
    chosen: str = ""  # the settings of the candidates that were chosen, split by split


class _Fit(NamedTuple):
    """A candidate on one split."""

    run: RunSpec
    job: Job
    record: Record | None


def measure(
    run: RunSpec, table: Table, part: Part, results: Results, facts: dict[str, Any]
) -> Measured:
    """The records of a run.

    Where it has candidates, each split has the record of the one with the best validation figure;
    none until all of them have figures.

    Args:
        run: of the table.
        table: it says how many splits there are.
        part: on which the run is made.
        results: the records.
        facts: those of the part's data.
    """
    n_splits = len(table.splits(part))
    by_split: list[list[_Fit]] = [[] for _ in range(n_splits)]

    for fit in run.fits:
        for position, job in enumerate(jobs_of(fit, table, part, facts)):
            by_split[position].append(_Fit(fit, job, results.read(job)))

    fits = [fit for of_split in by_split for fit in of_split]
    failures = [fit.record["failed"] for fit in fits if fit.record and not is_done(fit.record)]
    if not fits:
        return Measured([None] * n_splits, [], failures)

    best = [_choose(of_split, part) for of_split in by_split]

    return Measured(
        records=[fit.record if fit else None for fit in best],
        jobs=[fit.job if fit else None for fit in best],
        failures=failures,
        chosen=_describe_chosen(run, best),
    )


def _choose(fits: Sequence[_Fit], part: Part) -> _Fit | None:
    """The candidate with the best validation figure; None until all have one."""
    if len(fits) == 1:
        return fits[0]

    if not all(is_done(fit.record) for fit in fits):
        return None

    if part.events is None:
        return min(fits, key=_validation_error)

    return max(fits, key=partial(_validation_figure, metric=part.choosing_metric))


def _validation_error(fit: _Fit) -> float:
    assert fit.record is not None
    error: float | None = fit.record["valid_rmse"]
    return math.inf if error is None else error


def _validation_figure(fit: _Fit, metric: str) -> float:
    assert fit.record is not None
    figure: float = fit.record["valid"][metric]
    return figure


def _describe_chosen(run: RunSpec, best: Sequence[_Fit | None]) -> str:
    """The chosen values of each setting, one per split: reg = 200, 2000, 200; once if all agree."""
    if not run.candidates:
        return ""

    chosen = [fit.run.swept for fit in best if fit]
    parts = []

    for setting in chosen[0] if chosen else ():
        values = [format_setting(values[setting]) for values in chosen]
        distinct = list(dict.fromkeys(values))
        shown = distinct if len(distinct) == 1 else values
        parts.append(f"{setting} = {', '.join(shown)}")

    return "; ".join(parts)
