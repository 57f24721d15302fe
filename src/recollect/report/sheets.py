"""An experiment and its results, put together: a sheet per table and part, with a line per run."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from recollect.evaluation.significance import Interval
from recollect.experiment.file import (
    OVERLAPPING,
    PUBLISHED,
    Check,
    Claim,
    Entry,
    Experiment,
    Part,
    Table,
    changed,
    shown,
)
from recollect.experiment.results import Results, is_done, is_old, job_of
from recollect.report.verdict import Outcome, Verdict, of_check, of_claim


@dataclass(frozen=True)
class Line:
    """A run of a table: ours beside the paper's."""

    outcome: Outcome
    n_splits: int  # asked for
    verdict: Verdict | None  # of its claim; None without a claim
    why: str  # it has no figure: "not run", "not built yet", "failed: …"; else ""
    old: bool  # some of it was made by other source code than today's

    @property
    def entry(self) -> Entry:
        """What was run."""
        return self.outcome.entry

    @property
    def claim(self) -> Claim | None:
        """The paper's number."""
        return self.entry.claim

    @property
    def interval(self) -> Interval | None:
        """Mean over the splits, and its interval if there are enough."""
        return self.outcome.interval

    @property
    def seconds(self) -> float | None:
        """Of a fit, the median."""
        return (
            statistics.median(record["fit_seconds"] for record in self.outcome.done)
            if self.outcome.done
            else None
        )

    @property
    def memory_mb(self) -> float | None:
        """The highest peak of a process."""
        return (
            max(record["peak_memory_mb"] for record in self.outcome.done)
            if self.outcome.done
            else None
        )

    @property
    def settings(self) -> str:
        """What differs from the model's defaults."""
        return (
            ""
            if self.entry.model is None
            else f"{self.entry.model}: "
            + (
                ", ".join(f"{key} = {shown(value)}" for key, value in changed(self.entry).items())
                or "as it comes"
            )
        )


@dataclass(frozen=True)
class Sheet:
    """A table on one part."""

    table: Table
    part: Part
    lines: list[Line]
    checks: list[tuple[Check, Verdict]]
    about: str  # data, split, how many test ratings, in a sentence or two
    missing: str = ""  # why nothing could be run: the data are not here
    item_counts: tuple[
        float, ...
    ] = ()  # ratings per rated item: the least, the most, between them by equal shares

    @property
    def has_results(self) -> bool:
        """Whether anything was run."""
        return any(line.outcome.done for line in self.lines)


@dataclass(frozen=True)
class Chapter:
    """An experiment's file with all of its results."""

    experiment: Experiment
    sheets: list[Sheet]
    made: str  # by which versions, when
    counts: dict[str, int] = field(default_factory=dict)  # verdicts on claims and checks

    @property
    def parts(self) -> list[Part]:
        """The parts with something to say about them."""
        return [part for part in self.experiment.parts.values() if part.about]

    @property
    def open(self) -> list[str]:
        """What has not been run, in sentences."""
        found = dict.fromkeys(f"skipped: {sheet.missing}" for sheet in self.sheets if sheet.missing)
        rest = dict.fromkeys(
            sheet.part.name for sheet in self.sheets if not sheet.missing and not sheet.has_results
        )
        command = f"recollect run experiments/{self.experiment.name}.toml --only"
        waiting = [
            f"{part}: {', '.join(s.table.name for s in self.sheets if s.part.name == part and not s.has_results)} not "
            f"run yet (`{command} {part}`)"
            for part in rest
        ]
        return [*found, *waiting]


def gather(experiment: Experiment, results: Results) -> Chapter:
    """Everything that the results folder has about the experiment."""
    data = results.data()
    sheets = [
        _sheet(table, experiment.parts[part], results, data.get(experiment.parts[part].source, {}))
        for table in experiment.tables.values()
        for part in table.entries
    ]
    verdicts = [
        verdict
        for sheet in sheets
        for verdict in [
            *(line.verdict for line in sheet.lines),
            *(verdict for _, verdict in sheet.checks),
        ]
        if verdict is not None
    ]
    counts = {
        word: sum(verdict.word == word for verdict in verdicts)
        for word in ("better", "confirmed", "missed", "not confirmed", "open")
    }
    return Chapter(experiment, sheets, _made(sheets), counts)


def _sheet(table: Table, part: Part, results: Results, data: dict[str, Any]) -> Sheet:
    lines = [_line(entry, table, part, results, data) for entry in table.entries[part.name]]
    done = [line.outcome for line in lines]
    checks = [
        (check, of_check(check, done))
        for check in table.checks
        if not check.parts or part.name in check.parts
    ]
    return Sheet(
        table,
        part,
        lines,
        checks,
        _about(table, part, lines, data),
        data.get("missing", ""),
        tuple(data.get("item_counts", ())),
    )


def _line(entry: Entry, table: Table, part: Part, results: Results, data: dict[str, Any]) -> Line:
    cuts, fingerprint = table.cuts(part), data.get("fingerprint")
    jobs = [job_of(entry, cut, fingerprint) for cut in cuts] if entry.model and fingerprint else []
    records = [results.read(job) for job in jobs] or [None for _ in cuts]
    outcome = Outcome(
        entry, records, partial(_errors, results, jobs), part.metric, _test_share(part, records)
    )
    failed = [record["failed"] for record in records if record and not is_done(record)]
    why = (
        ""
        if outcome.done and not failed
        else entry.note
        if entry.model is None
        else "skipped: no data"
        if "missing" in data
        else f"failed: {failed[0]}"
        if failed
        else "not run"
    )
    verdict = None
    if entry.claim is not None:
        verdict = (
            of_claim(entry.claim, outcome.interval)
            if outcome.interval is not None
            else Verdict("open", why)
        )
    return Line(outcome, len(cuts), verdict, why, any(is_old(record) for record in outcome.done))


def _errors(results: Results, jobs: list[Any], split: int) -> dict[str, Any]:
    return results.errors(jobs[split])


def _test_share(part: Part, records: list[dict[str, Any] | None]) -> float | None:
    """The share of the ratings in test, if repeated splits overlap."""
    done = next((record for record in records if record and is_done(record)), None)
    if done is None or part.split["how"] not in OVERLAPPING:
        return None
    return done["n_test"] / (done["n_train"] + done["n_valid"] + done["n_test"])


def _about(table: Table, part: Part, lines: list[Line], data: dict[str, Any]) -> str:
    """What was measured on what."""
    done = [record for line in lines for record in line.outcome.done]
    fingerprint = f" (fingerprint {data['fingerprint']})" if "fingerprint" in data else ""
    said = f"{part.source}{fingerprint}: {how_split(part, table)}."
    if done:
        tests, cold = sorted({r["n_test"] for r in done}), sorted({r["n_cold"] for r in done})
        said += (
            f" All {_range(tests)} test ratings of a split are scored, {_range(cold)} of them cold."
        )
    return said


def _range(numbers: list[int]) -> str:
    return f"{numbers[0]:,}" if numbers[0] == numbers[-1] else f"{numbers[0]:,} to {numbers[-1]:,}"


def how_split(part: Part, table: Table) -> str:
    """The splits in words."""
    cuts = table.cuts(part)
    rest = {k: v for k, v in cuts[0].settings.items() if k not in ("how", "fold")}
    told = ", ".join(
        f"{key} {' to '.join(value) if isinstance(value, list) else value}"
        for key, value in rest.items()
    )
    seeds = [cut.seed for cut in cuts]
    which = (
        str(seeds[0])
        if len(seeds) == 1
        else f"{seeds[0]} to {seeds[-1]}"
        if seeds == list(range(seeds[0], seeds[-1] + 1))
        else ", ".join(map(str, seeds))
    )
    if part.split["how"] == PUBLISHED:
        return f"published fold{'s' * (len(seeds) > 1)} {which}" + (f" ({told})" if told else "")
    name = f"{part.split['how'].replace('_', ' ')} split{'s' * (len(seeds) > 1)}"
    return f"{name} ({told}{', ' * bool(told)}seed{'s' * (len(seeds) > 1)} {which})"


def _made(sheets: list[Sheet]) -> str:
    done = [record for sheet in sheets for line in sheet.lines for record in line.outcome.done]
    if not done:
        return "Nothing has been run yet."
    newest = max(done, key=lambda record: record["made"]["finished"])["made"]
    versions = ", ".join(f"{name} {version}" for name, version in newest["versions"].items())
    days = sorted({record["made"]["date"][:10] for record in done})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"Made {when} with {versions}; CPU, {_range(sorted({record['made']['threads'] for record in done}))} thread(s) a fit."
