"""An experiment and its results, put together: a table per table and part, with a row per run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recollect.evaluation.significance import Interval
from recollect.experiment.carried import Carried, CarriedTable, read_carried
from recollect.experiment.results import Job, Record, Results, UserSums, is_done
from recollect.experiment.spec import (
    Check,
    Claim,
    Experiment,
    Part,
    RunSpec,
    Table,
    format_setting,
)
from recollect.report.measured import measure
from recollect.report.outcome import Outcome
from recollect.report.sentences import (
    describe_carried,
    describe_counts,
    describe_data,
    describe_page,
    describe_published,
    describe_releases,
    describe_tuning,
)
from recollect.report.verdict import Verdict, judge_check, judge_claim, judge_claim_of_fold

WORDS = ("better", "confirmed", "missed", "not confirmed", "open")


@dataclass(frozen=True)
class ResultRow:
    """A run of a table: its figures beside the paper's."""

    outcome: Outcome
    n_splits: int  # of the table
    verdict: Verdict | None  # of its claim; None without a claim
    reason: str  # why there is no figure: "not run", "not built yet", "failed: …"; or empty
    chosen: str = ""  # which candidates the validation ratings chose, in words
    of_fold: float | None = None  # the figure of the fold that the claim is about

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


@dataclass(frozen=True)
class ResultTable:
    """The results of a table on one part."""

    table: Table
    part: Part
    rows: list[ResultRow]
    checks: list[tuple[Check, Verdict]]
    about: str = ""  # data, splits, number of test ratings and releases, in sentences
    missing: str = ""  # why nothing could be run: the data are missing
    item_counts: tuple[float, ...] = ()  # quantiles of the number of ratings per rated item

    @property
    def has_results(self) -> bool:
        """Whether any row has a figure."""
        counts = [row.outcome.n_done for row in self.rows]
        return any(counts)

    @property
    def n_carried(self) -> int:
        """The number of rows that an earlier release printed and whose records are lost."""
        carried = [row for row in self.rows if row.outcome.carried is not None]
        return len(carried)

    @property
    def records(self) -> list[Record]:
        """The records behind all rows."""
        records = []
        for row in self.rows:
            records += row.outcome.done
        return records


@dataclass(frozen=True)
class Report:
    """An experiment with all of its results."""

    experiment: Experiment
    tables: list[ResultTable]
    made: str  # when, with which versions
    counts: dict[str, int] = field(default_factory=dict)  # of verdicts on claims and checks

    @property
    def parts(self) -> list[Part]:
        """The parts about which the file says something."""
        parts = self.experiment.parts.values()
        return [part for part in parts if part.about]

    @property
    def open(self) -> list[str]:
        """What has not been run, in sentences."""
        missing = [f"no data: {table.missing}" for table in self.tables if table.missing]
        waiting: dict[str, list[str]] = {}

        for table in self.tables:
            if not table.missing and not table.has_results:
                waiting.setdefault(table.part.name, []).append(table.table.name)

        command = f"recollect run experiments/{self.experiment.name}.toml --only"
        not_run = []

        for part, names in waiting.items():
            listed = ", ".join(names)
            not_run.append(f"{part}: {listed} not run yet (`{command} {part}`)")

        return [*dict.fromkeys(missing), *not_run]


def make_report(experiment: Experiment, results: Results) -> Report:
    """Everything that a folder of records says about an experiment."""
    data = results.data()
    carried = read_carried(results.folder)
    tables = []

    for table in experiment.tables.values():
        for name in table.runs:
            part = experiment.parts[name]
            facts = data.get(part.source, {})
            printed = carried.table(experiment.name, table.name, name)
            tables.append(_make_table(table, part, results, facts, carried, printed))

    records = [record for table in tables for record in table.records]
    n_carried = sum(table.n_carried for table in tables)
    made = describe_page(records, n_carried, carried.made.get(experiment.name))

    return Report(experiment, tables, made, _count_verdicts(tables))


def _make_table(
    table: Table,
    part: Part,
    results: Results,
    facts: dict[str, Any],
    carried: Carried,
    printed: CarriedTable,
) -> ResultTable:
    rows = [_make_row(run, table, part, results, facts, carried) for run in table.runs[part.name]]
    outcomes = [row.outcome for row in rows]
    checks = []

    for check in table.checks:
        if check.concerns(part):
            verdict = judge_check(check.on(part), outcomes, printed.checks.get(check.says))
            checks.append((check, verdict))

    result = ResultTable(
        table=table,
        part=part,
        rows=rows,
        checks=checks,
        missing=facts.get("missing", ""),
        item_counts=tuple(facts.get("item_counts", ())),
    )

    return replace(result, about=_describe(result, facts, printed))


def _describe(result: ResultTable, facts: Mapping[str, Any], printed: CarriedTable) -> str:
    """What was measured on what, and by which code."""
    sentences = [describe_data(result.table, result.part, facts)]
    sentences += describe_published(result.part, facts)
    n_test = [record["n_test"] for record in result.records]
    n_cold = [record["n_cold"] for record in result.records]
    if result.n_carried:
        n_test += printed.n_test
        n_cold += printed.n_cold

    if n_test:
        sentences.append(describe_counts(n_test, n_cold))

    if result.has_results:
        sentences += describe_tuning(result.table, result.part)

    if result.records:
        sentences.append(describe_releases(result.records))

    if result.n_carried:
        sentences.append(describe_carried(result.n_carried, printed.release))

    return " ".join(sentences)


def _make_row(
    run: RunSpec,
    table: Table,
    part: Part,
    results: Results,
    facts: dict[str, Any],
    carried: Carried,
) -> ResultRow:
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
        return judge_claim_of_fold(claim, _figure_of_fold(outcome, table, part))

    return judge_claim(claim, interval)


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
    """Reads errors by user when a test needs them: most tables do not."""

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


def _count_verdicts(tables: Sequence[ResultTable]) -> dict[str, int]:
    words = []

    for table in tables:
        verdicts = [row.verdict for row in table.rows]
        verdicts += [verdict for _, verdict in table.checks]
        words += [verdict.word for verdict in verdicts if verdict is not None]

    return {word: words.count(word) for word in WORDS}
