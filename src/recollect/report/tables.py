"""An experiment and its results, put together: a table per table and part, with a row per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recollect.experiment.carried import Carried, CarriedTable, read_carried
from recollect.experiment.results import Record, Results
from recollect.experiment.spec import Check, Experiment, Part, Table
from recollect.report.rows import ResultRow, make_row
from recollect.report.sentences import (
    describe_carried,
    describe_counts,
    describe_data,
    describe_event_counts,
    describe_page,
    describe_published,
    describe_releases,
    describe_skewness,
    describe_tuning,
)
from recollect.report.verdict import Verdict, judge_check

WORDS = ("better", "confirmed", "missed", "not confirmed", "open")


@dataclass(frozen=True)
class ResultTable:
    """The results of a table on one part."""

    table: Table
    part: Part
    rows: list[ResultRow]
    checks: list[tuple[Check, Verdict]]
    about: str = ""  # data, splits, number of test ratings and releases, in sentences
    missing: str = ""  # why nothing could be run: the data are missing
    # Quantiles of the number of ratings per rated item, on each part of the table that has data.
    item_counts: dict[str, tuple[float, ...]] = field(default_factory=dict)

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
    n_without_data: int = 0  # verdicts that are open because data are missing
    parts: dict[str, str] = field(default_factory=dict)  # what is to be said of a part, by name

    @property
    def open(self) -> list[str]:
        """What has not been run, in sentences."""
        missing = [f"no data: {table.missing}" for table in self.tables if table.missing]
        waiting: dict[str, list[str]] = {}

        for table in self.tables:
            name = _describe_missing_rows(table)
            if not table.missing and name:
                waiting.setdefault(table.part.name, []).append(name)

        command = f"recollect run experiments/{self.experiment.name}.toml --only"
        not_run = []

        for part, names in waiting.items():
            listed = ", ".join(names)
            not_run.append(f"{part}: {listed} not run yet (`{command} {part}`)")

        return [*dict.fromkeys(missing), *not_run]


def _describe_missing_rows(table: ResultTable) -> str:
    """The name of a table that is not complete, with how much of it is missing; else empty."""
    rows = [row for row in table.rows if row.run.model]
    lacking = [row for row in rows if row.outcome.n_done < row.n_splits]
    if not lacking:
        return ""

    if len(lacking) == len(rows):
        return table.table.name

    return f"{table.table.name} ({len(lacking)} of {len(rows)} rows)"


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
            result = _make_table(table, part, results, facts, carried, printed)
            tables.append(replace(result, item_counts=_item_counts(table, experiment, data)))

    records = [record for table in tables for record in table.records]
    n_carried = sum(table.n_carried for table in tables)
    made = describe_page(records, n_carried, carried.made.get(experiment.name))

    missing = [result for result in tables if result.missing]

    return Report(
        experiment=experiment,
        tables=tables,
        made=made,
        counts=_count_verdicts(tables),
        n_without_data=_count_verdicts(missing)["open"],
        parts=_describe_parts(experiment, data),
    )


def _describe_parts(experiment: Experiment, data: Mapping[str, Any]) -> dict[str, str]:
    """What the file says of its parts, and the paper's counts of their data beside ours."""
    described = {}

    for name, part in experiment.parts.items():
        facts = data.get(part.source, {})
        sentences = [part.about] if part.about else []
        sentences += describe_published(part, facts)
        if sentences:
            described[name] = " ".join(sentences)

    return described


def _item_counts(
    table: Table, experiment: Experiment, data: Mapping[str, Any]
) -> dict[str, tuple[float, ...]]:
    """The numbers of ratings of items on each part of a table, as quantiles."""
    counts = {}

    for name in table.runs:
        facts = data.get(experiment.parts[name].source, {})
        if "item_counts" in facts:
            counts[name] = tuple(facts["item_counts"])

    return counts


def _make_table(
    table: Table,
    part: Part,
    results: Results,
    facts: dict[str, Any],
    carried: Carried,
    printed: CarriedTable,
) -> ResultTable:
    rows = [make_row(run, table, part, results, facts, carried) for run in table.runs[part.name]]
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
    )

    return replace(result, about=_describe(result, facts, printed))


def _describe(result: ResultTable, facts: Mapping[str, Any], printed: CarriedTable) -> str:
    """What was measured on what, and by which code."""
    sentences = [describe_data(result.table, result.part, facts)]
    if result.table.figure == "counts":
        sentences += describe_skewness(facts)

    n_test = [record["n_test"] for record in result.records]
    n_cold = [record["n_cold"] for record in result.records]
    if result.n_carried:
        n_test += printed.n_test
        n_cold += printed.n_cold

    if result.part.events is not None and result.records:
        sentences.append(describe_event_counts(result.records))
    elif n_test:
        sentences.append(describe_counts(n_test, n_cold))

    if result.has_results:
        sentences += describe_tuning(result.table, result.part)

    if result.records:
        sentences.append(describe_releases(result.records))

    if result.n_carried:
        sentences.append(describe_carried(result.n_carried, printed.release))

    return " ".join(sentences)


def _count_verdicts(tables: Sequence[ResultTable]) -> dict[str, int]:
    words = []

    for table in tables:
        verdicts = [row.verdict for row in table.rows]
        verdicts += [verdict for _, verdict in table.checks]
        words += [verdict.word for verdict in verdicts if verdict is not None]

    return {word: words.count(word) for word in WORDS}
