"""A row of a table: a run's figures beside the paper's, or why there are none."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recollect.evaluation.significance import Interval
from recollect.experiment.carried import Carried
from recollect.experiment.results import Job, Record, Results, UserSums, is_done
from recollect.experiment.spec import Claim, Part, RunSpec, Table, format_setting
from recollect.report.measured import measure
from recollect.report.outcome import Outcome
from recollect.report.verdict import Verdict, judge_claim, judge_claim_of_fold


@dataclass(frozen=True)
class ResultRow:
    """A run of a table: its figures beside the paper's."""

    outcome: Outcome
    n_splits: int  # of the table
    verdict: Verdict | None  # of its claim; None without a claim
    reason: str  # why there is no figure: "not run", "not built yet", "failed: …"; or empty
    chosen: str = ""  # which candidates the validation ratings chose, in words
    of_fold: float | None = None  # the figure of the fold that the claim is about
    also: tuple[str, ...] = ()  # further metrics of lists that the table shows

    @property
    def run(self) -> RunSpec:
        """What was run."""
        return self.outcome.run

    @property
    def claim(self) -> Claim | None:
        """The paper's number."""
        return self.run.claim

    @property
    def interval(self) -> Interval | None:
        """Mean over the splits, with limits if there are enough of them."""
        return self.outcome.interval

    @property
    def fit_seconds(self) -> float | None:
        """Median over the splits of the seconds of a fit."""
        if self.outcome.carried is not None:
            return self.outcome.carried.fit_seconds

        seconds = [record["fit_seconds"] for record in self.outcome.done]
        if not seconds:
            return None

        return statistics.median(seconds)

    @property
    def peak_memory_mb(self) -> float | None:
        """The highest peak over the splits of a process's memory."""
        if self.outcome.carried is not None:
            return self.outcome.carried.peak_memory_mb

        peaks = [record["peak_memory_mb"] for record in self.outcome.done]

        return max(peaks, default=None)

    def mean_of(self, metric: str) -> float | None:
        """Mean over the splits of another metric of lists; None without a figure."""
        records = self.outcome.records
        done = [j for j, record in enumerate(records) if is_done(record)]
        return self.outcome.mean_on(done, metric) if done else None

    @property
    def settings(self) -> str:
        """The model and the settings that differ from its defaults; empty without a model."""
        if self.run.model is None:
            return ""

        stated = []

        for key, value in self.run.changed_settings.items():
            stated.append(f"{key} = {format_setting(value)}")

        words = ", ".join(stated) or "defaults"

        return f"{self.run.model}: {words}"


def make_row(
    run: RunSpec,
    table: Table,
    part: Part,
    results: Results,
    facts: dict[str, Any],
    carried: Carried,
) -> ResultRow:
    """The row of a run.

    Args:
        run: of the table.
        table: it says how many splits there are.
        part: on which the run is made.
        results: the records.
        facts: those of the part's data.
        carried: rows of an earlier release.
    """
    measured = measure(run, table, part, results, facts)
    records = measured.records
    carried_row = None
    if not run.candidates and not all(is_done(record) for record in records):
        jobs = [job for job in measured.jobs if job is not None]
        carried_row = carried.row(jobs, part.metric)

    outcome = Outcome(
        run=run,
        records=[None] * len(records) if carried_row is not None else records,
        metric=part.metric,
        test_share=_test_share(part, records),
        user_sums=_UserSumsOf(results, measured.jobs),
        carried=carried_row,
    )
    reason = _reason(run, outcome, measured.failures, facts)

    return ResultRow(
        outcome=outcome,
        n_splits=len(records),
        verdict=_judge_row(outcome, table, part, reason),
        reason=reason,
        chosen=measured.chosen,
        of_fold=_figure_of_fold(outcome, table, part),
        also=table.also,
    )


def _judge_row(outcome: Outcome, table: Table, part: Part, reason: str) -> Verdict | None:
    """The verdict of a row's claim; None without a claim."""
    claim = outcome.run.claim
    if claim is None:
        return None

    interval = outcome.interval
    if interval is None:
        return Verdict("open", reason)

    if claim.fold is not None:
        return judge_claim_of_fold(claim, _figure_of_fold(outcome, table, part), part.metric)

    return judge_claim(claim, interval, part.metric)


def _figure_of_fold(outcome: Outcome, table: Table, part: Part) -> float | None:
    """The figure of the fold that a row's claim is about; None if it is about the mean."""
    claim = outcome.run.claim
    if claim is None or claim.fold is None:
        return None

    for position, split in enumerate(table.splits(part)):
        if split.seed == claim.fold:
            return outcome.value(position)

    return None


@dataclass(frozen=True)
class _UserSumsOf:
    """Reads values by user when a test needs them: most tables do not."""

    results: Results
    jobs: Sequence[Job | None]

    def __call__(self, split: int) -> UserSums | None:
        job = self.jobs[split]
        if job is None:
            return None

        return self.results.user_sums(job)


def _reason(
    run: RunSpec, outcome: Outcome, failures: Sequence[str], facts: Mapping[str, Any]
) -> str:
    """Why a row has no figure, or not that of every split."""
    if failures:
        return f"failed: {failures[0]}"

    if outcome.n_done:
        return ""

    if run.model is None:
        return run.note

    return "no data" if "missing" in facts else "not run"


def _test_share(part: Part, records: Sequence[Record | None]) -> float | None:
    """The share of the ratings in test, if repetitions of the split overlap."""
    done = [record for record in records if record and is_done(record)]
    if not done or not part.overlaps:
        return None

    first = done[0]
    n_test = first["n_test"]
    n_ratings = first["n_train"] + first["n_valid"] + n_test

    return float(n_test / n_ratings)
