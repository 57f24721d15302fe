"""What there is to do: which jobs a selection of tables needs, and which have no record yet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recollect import registry
from recollect.data.ratings import Ratings
from recollect.experiment.carried import Carried
from recollect.experiment.part_data import load_part, reason_missing
from recollect.experiment.results import Job, Results, is_done, job_of
from recollect.experiment.spec import PUBLISHED, Experiment, Part, RunSpec, SplitSpec, Table
from recollect.memory_estimate import Shape
from recollect.system.atomic_files import checksum

DataFacts = dict[str, dict[str, Any]]  # by the name of the data: as in data.json


@dataclass(frozen=True)
class PlannedRun:
    """A run of a table on a part, and its jobs, one per split; none without data."""

    part: Part
    table: Table
    run: RunSpec
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Task:
    """A job, and what a process needs to do it."""

    job: Job
    part: Part
    split: SplitSpec
    results: Results
    label: str  # for people
    memory: int  # bytes, as predicted
    threads: int | None = None
    device: str = "cpu"
    keeps_user_sums: bool = False


def look_for_data(
    parts: Sequence[Part], results: Results, *, other_parts: Iterable[Part] = ()
) -> DataFacts:
    """What can be said of the data of parts today; what is measured is kept with the results.

    Args:
        parts: those to be run; their data are loaded if they exist.
        results: where facts are kept.
        other_parts: for these it is only noted whether their data are missing.

    Returns: by the name of the data, `missing` with the reason, or fingerprint and shape.
    """
    wanted = {part.source: part for part in parts}
    others = {part.source: part for part in other_parts}
    data: DataFacts = {}

    for source, part in (others | wanted).items():
        reason = reason_missing(part)
        if reason:
            data[source] = {"missing": reason}
        elif source in wanted:
            data[source] = _describe_part(part)
        else:
            data[source] = {}

        results.note_data(source, data[source])

    return data


def _describe_part(part: Part) -> dict[str, Any]:
    """The facts of a part's data. Whose reviews its models read is part of the fingerprint."""
    facts = describe(load_part(part))
    if part.texts is not None and part.texts.depend_on_split:
        facts["fingerprint"] = checksum(
            {"data": facts["fingerprint"], "reviews": part.texts.among}
        )[:16]

    return facts


def describe(ratings: Ratings) -> dict[str, Any]:
    """The facts of a data set that plans and pages need."""
    counts = ratings.count("item")
    counts = counts[counts > 0]
    quantiles = np.quantile(counts, np.linspace(0, 1, 201))
    deviation = counts - counts.mean()

    return {
        "fingerprint": ratings.fingerprint,
        "users": ratings.n_users,
        "items": ratings.n_items,
        "rated_items": len(counts),
        "ratings": len(ratings),
        "timed": ratings.time is not None,
        "item_skewness": float((deviation**3).mean() / max(counts.std(), 1e-12) ** 3),
        "item_counts": quantiles.tolist(),
    }


def jobs_of(run: RunSpec, table: Table, part: Part, facts: dict[str, Any]) -> tuple[Job, ...]:
    """The jobs of a run, one per split of the table; none without a model or a fingerprint.

    Args:
        run: a run of the table.
        table: it says how many splits there are.
        part: the part on which it is run.
        facts: those of the part's data.
    """
    fingerprint = facts.get("fingerprint")
    if run.model is None or fingerprint is None:
        return ()

    jobs = [job_of(run, split, fingerprint) for split in table.splits(part)]

    return tuple(jobs)


def plan(selected: Sequence[tuple[Table, Part]], data: DataFacts) -> list[PlannedRun]:
    """Every run of the selected tables, with its jobs as far as the data exist."""
    planned = []

    for table, part in selected:
        facts = data.get(part.source, {})

        for run in table.runs[part.name]:
            for fit in run.fits:
                jobs = jobs_of(fit, table, part, facts)
                planned.append(PlannedRun(part, table, fit, jobs))

    return planned


def without_figures(planned: Iterable[PlannedRun], carried: Carried) -> list[PlannedRun]:
    """The planned runs of which no earlier release has printed a figure.

    Args:
        planned: runs of tables.
        carried: the rows of that release.
    """
    return [run for run in planned if carried.row(run.jobs, run.part.metric) is None]


def tasks(
    experiment: Experiment,
    planned: Sequence[PlannedRun],
    results: Results,
    data: DataFacts,
    *,
    fresh: bool = False,
) -> list[Task]:
    """What must be run: each job without figures, once.

    Args:
        experiment: the whole of it; its other tables may need sums by user of a job.
        planned: the runs that were selected.
        results: the records that exist.
        data: facts of the data, from `look_for_data`.
        fresh: run jobs that have figures too (default: leave them out).
    """
    with_user_sums = _jobs_with_user_sums(experiment, data)
    by_key: dict[str, Task] = {}

    for plan_ in planned:
        for job, split in zip(plan_.jobs, plan_.table.splits(plan_.part), strict=False):
            if job.key in by_key or (not fresh and is_done(results.read(job))):
                continue

            by_key[job.key] = Task(
                job=job,
                part=plan_.part,
                split=split,
                results=results,
                label=_label(plan_, split),
                memory=_predict_memory(job, data[plan_.part.source]),
                keeps_user_sums=job.key in with_user_sums,
            )

    return list(by_key.values())


def _jobs_with_user_sums(experiment: Experiment, data: DataFacts) -> set[str]:
    """Keys of the jobs that some table of the experiment compares over users."""
    keys = set()
    planned = plan(_all_tables(experiment), data)

    for run in planned:
        if run.table.needs_user_sums(run.part):
            keys |= {job.key for job in run.jobs}

    return keys


def _all_tables(experiment: Experiment) -> list[tuple[Table, Part]]:
    return [
        (table, experiment.parts[part])
        for table in experiment.tables.values()
        for part in table.runs
    ]


def _label(planned: PlannedRun, split: SplitSpec) -> str:
    is_fold = split.settings["how"] == PUBLISHED
    kind = "fold" if is_fold else "seed"
    part = planned.part.name
    table = planned.table.name
    run = planned.run.name

    return f"{part}, {table}, {run}, {kind} {split.seed}"


def _predict_memory(job: Job, facts: dict[str, Any]) -> int:
    """Bytes that the job will need at most: as if all ratings were training ratings."""
    n_ratings = int(facts["ratings"])
    shape = Shape(
        n_users=facts["users"],
        n_items=facts["items"],
        n_train=n_ratings,
        n_valid=n_ratings // 20,
        timed=facts["timed"],
    )
    model = registry.make(job.model, **job.settings)

    return model.memory(shape).peak


def processes_that_fit(needs: Sequence[int], *, cores: int, available: int | None) -> int:
    """How many jobs may run at a time: as many as there are cores and as fit into memory.

    Args:
        needs: the predicted bytes of each job.
        cores: processor cores.
        available: bytes of memory; None: unknown, cores alone decide.

    Returns: 1 or more, so that the largest job is always tried.
    """
    largest = sorted(needs, reverse=True)
    most = max(1, min(cores, len(needs)))

    for n in range(most, 1, -1):
        if available is None or sum(largest[:n]) <= available:
            return n

    return 1


def available_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
