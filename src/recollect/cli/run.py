"""The verb run: the fits of an experiment's file, and a table of their results."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from recollect.cli.options.fitting import Device
from recollect.cli.options.records import ResultsFolder
from recollect.cli.options.trust import Trust
from recollect.cli.output.interruption import resumable
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import memory, seconds, table

if TYPE_CHECKING:
    from recollect.experiment.carried import Carried
    from recollect.experiment.planner import PlannedRun, Task
    from recollect.experiment.results import Results
    from recollect.experiment.spec import Part

TO_DO = "to do"

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        show_default=False,
        help="A part or a table of the file; repeat it for more.",
    ),
]


def run(
    screen: Screen,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="An experiment: a TOML file.",
        ),
    ],
    only: Only = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Fits at a time; as many as cores and memory allow, if not stated."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what has a result.")] = False,
    missing: Annotated[
        bool,
        typer.Option(
            "--missing", help="Leave out rows whose figures an earlier release has printed."
        ),
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Only show what there is to run.")] = False,
    device: Device = "cpu",
    results: ResultsFolder = None,
    trust: Trust = None,
) -> Answer:
    """Run what an experiment's file asks for and has no result yet; a table of what there is."""
    from recollect.experiment import planner
    from recollect.experiment.carried import read_carried
    from recollect.experiment.parse import read
    from recollect.experiment.results import Results
    from recollect.experiment.spec import select

    experiment = read(file, trusted=trust or ())
    selected = select(experiment, only or ())
    records = Results(results or experiment.records)
    parts = [part for _, part in selected]
    data = planner.look_for_data(parts, records, other_parts=experiment.parts.values())
    _say_skipped(screen, parts, data)
    planned = planner.plan(selected, data)
    carried = read_carried(records.folder)
    needed = planner.without_figures(planned, carried) if missing else planned
    todo = planner.tasks(experiment, needed, records, data, fresh=fresh)
    jobs = {job.key for planned_run in planned for job in planned_run.jobs}
    wanted = {job.key for planned_run in needed for job in planned_run.jobs}
    left_out = jobs - wanted
    counts = [f"{len(jobs)} runs", f"{len(wanted) - len(todo)} cached"]
    if left_out:
        counts.append(f"{len(left_out)} of an earlier release")
    screen.say(", ".join([*counts, f"{len(todo)} to do"]))
    if not list_:
        with resumable(records.folder):
            _carry_out(screen, todo, processes, device)

    new = {task.job.key for task in todo}
    rows = [_row(planned_run, records, data, new, carried) for planned_run in planned]
    has_failed = any(row["failed"] for row in rows)

    return Answer(
        {"experiment": experiment.name, "runs": rows},
        [_table(experiment.name, rows), *_failures(rows)],
        failed=has_failed and not list_,
    )


def _say_skipped(screen: Screen, parts: Sequence[Part], data: Mapping[str, Any]) -> None:
    """A line for each data set that is missing, and whose parts are therefore skipped."""
    for source in dict.fromkeys(part.source for part in parts):
        if "missing" in data[source]:
            screen.say(f"skipped: {data[source]['missing']}")


def _carry_out(screen: Screen, todo: Sequence[Task], processes: int | None, device: str) -> None:
    """Run the tasks, with a line for each that ends and the name of the next on the bar."""
    from recollect.experiment.runner import run_tasks

    labels = [task.label for task in todo]
    # After the last task there is none to name.
    labels.append("")

    fits = run_tasks(todo, processes=processes, device=device)

    with screen.steps("runs", len(todo)) as step:
        step(0, labels[0])

        for done, (task, record) in enumerate(fits, start=1):
            screen.say(f"{task.label}: {_outcome(record, task.part)}")
            step(done, labels[done])


def _outcome(record: Mapping[str, Any], part: Part) -> str:
    """The figure of a record: of events by the part's metric, of ratings the RMSE."""
    from recollect.experiment.metric import label

    if "failed" in record:
        return f"failed: {record['failed']}"

    metric = "rmse" if part.events is None else part.metric
    figure = record["test"][metric]
    duration = seconds(record["seconds"])
    peak = memory(record["peak_memory_mb"])

    return f"{label(metric)} {figure:.4f}, {duration}, {peak}"


def _row(
    planned: PlannedRun,
    results: Results,
    data: Mapping[str, Any],
    new: set[str],
    carried: Carried,
) -> dict[str, Any]:
    """What there is of a run of a table: the state and mean figure of its splits.

    Args:
        planned: the run.
        results: the records.
        data: what is known of each data set by its source.
        new: keys of the jobs that this command runs.
        carried: rows of an earlier release; one stands where there is no record.
    """
    from recollect.experiment.results import is_done

    part = planned.part
    records = [(job.key, results.read(job)) for job in planned.jobs]
    present = [(key, record) for key, record in records if record]
    done = [(key, record) for key, record in present if is_done(record)]
    failed = {record["failed"] for _, record in present if "failed" in record}
    n_cached = sum(key not in new for key, _ in done)
    figures = [record["test"][part.metric] for _, record in done]
    state = _state(planned, data, failed, n_done=len(done), n_cached=n_cached)
    row = carried.row(planned.jobs, part.metric)
    if state == TO_DO and row is not None:
        state = "of an earlier release"
        figures = [row.interval.mean]

    return {
        "part": part.name,
        "table": planned.table.name,
        "run": planned.run.name,
        "splits": len(planned.table.splits(part)),
        "done": len(done),
        "cached": n_cached,
        "state": state,
        "metric": part.metric,
        "value": statistics.fmean(figures) if figures else None,
        "failed": sorted(failed),
        "keys": [job.key for job in planned.jobs],
    }


def _state(
    planned: PlannedRun, data: Mapping[str, Any], failed: set[str], *, n_done: int, n_cached: int
) -> str:
    """The state of a run: why there is nothing of it, or what there is."""
    if planned.run.model is None:
        return planned.run.note

    if "missing" in data[planned.part.source]:
        return "skipped: no data"

    if failed:
        return "failed"

    return _state_of_done(n_done, n_cached)


def _state_of_done(n_done: int, n_cached: int) -> str:
    """Whether results are new, from earlier, or both."""
    if not n_done:
        return TO_DO

    if n_cached == n_done:
        return "cached"

    return f"new, {n_cached} cached" if n_cached else "new"


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows for people; keys and failures are left out."""
    from recollect.experiment.metric import label

    columns = ("part", "table", "run", "splits", "metric", "test", "state")
    cells = []

    for row in rows:
        splits = f"{row['done']} of {row['splits']}"
        place = (row["part"], row["table"], row["run"])
        cells.append((*place, splits, label(row["metric"]), row["value"], row["state"]))

    return table(columns, cells, title=name)


def _failures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each distinct failure of each run."""
    lines = []

    for row in rows:
        place = f"{row['part']}, {row['table']}, {row['run']}"
        lines += [f"{place}: {reason}" for reason in row["failed"]]

    return lines
