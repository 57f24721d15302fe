"""The verbs run, report and tune: experiments as files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from recollect.cli.fit import Threads
from recollect.cli.output.screen import Answer, Screen, memory, seconds, table
from recollect.errors import SettingError

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        show_default=False,
        help="A part or a table of the file; repeat it for more.",
    ),
]
ResultsFolder = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="FOLDER",
        show_default=False,
        help="Where records are kept; the folder that the file names, or "
        "runs/results, if not stated.",
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
    list_: Annotated[bool, typer.Option("--list", help="Only show what there is to run.")] = False,
    results: ResultsFolder = None,
) -> Answer:
    """Run what an experiment's file asks for and has no result yet; a table of what there is."""
    from recollect.experiment import planner
    from recollect.experiment.parse import read
    from recollect.experiment.results import Results
    from recollect.experiment.spec import select

    experiment = read(file)
    selected = select(experiment, only or ())
    records = Results(results or experiment.records)
    data = planner.look_for_data(
        [part for _, part in selected], records, other_parts=experiment.parts.values()
    )

    for name in dict.fromkeys(part.source for _, part in selected):
        if "missing" in data[name]:
            screen.say(f"skipped: {data[name]['missing']}")

    planned = planner.plan(selected, data)
    todo = planner.tasks(experiment, planned, records, data, fresh=fresh)
    jobs = {job.key for one in planned for job in one.jobs}
    screen.say(f"{len(jobs)} runs, {len(jobs) - len(todo)} cached, {len(todo)} to do")
    if not list_:
        with _stoppable(records.folder):
            _work(screen, todo, processes)

    return _answer(
        experiment.name, planned, records, data, {task.job.key for task in todo}, listed=list_
    )


@contextmanager
def _stoppable(kept: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped. What is finished is kept in {kept}; the same command goes on."
        ) from None


def _work(screen: Screen, todo: Sequence[Any], processes: int | None) -> None:
    from recollect.experiment.runner import run_tasks

    with screen.steps("runs", len(todo)) as step:
        step(0, todo[0].label if todo else "")

        for done, (task, record) in enumerate(run_tasks(todo, processes=processes), start=1):
            screen.say(f"{task.label}: {_outcome(record)}")
            step(done, todo[done].label if done < len(todo) else "")


def _outcome(record: dict[str, Any]) -> str:
    if "failed" in record:
        return f"failed: {record['failed']}"
    return f"RMSE {record['test']['rmse']:.4f}, {seconds(record['seconds'])}, {memory(record['peak_memory_mb'])}"


def _answer(
    name: str,
    planned: Sequence[Any],
    kept: Any,
    data: dict[str, Any],
    new: set[str],
    *,
    listed: bool,
) -> Answer:
    """A row per run of a table, whatever of it is there."""
    rows = [_row(each, [(job, kept.read(job)) for job in each.jobs], data, new) for each in planned]
    failed = sum(bool(row["failed"]) for row in rows)
    shown = table(
        ("part", "table", "run", "splits", "test", "state"),
        [
            (
                row["part"],
                row["table"],
                row["run"],
                f"{row['done']} of {row['splits']}",
                row["value"],
                row["state"],
            )
            for row in rows
        ],
        title=name,
    )

    told = [
        f"{row['part']}, {row['table']}, {row['run']}: {why}"
        for row in rows
        for why in row["failed"]
    ]

    return Answer(
        {"experiment": name, "runs": rows}, [shown, *told], failed=bool(failed) and not listed
    )


def _row(
    each: Any, found: list[tuple[Any, dict[str, Any] | None]], data: dict[str, Any], new: set[str]
) -> dict[str, Any]:
    from recollect.experiment.results import is_done

    done = [record for _, record in found if record and is_done(record)]
    failed = sorted({record["failed"] for _, record in found if record and "failed" in record})
    cached = sum(job.key not in new for job, record in found if is_done(record))
    here = "missing" not in data[each.part.source]
    state = (
        each.run.note
        if each.run.model is None
        else "skipped: no data"
        if not here
        else "failed"
        if failed
        else "to do"
        if not done
        else "cached"
        if cached == len(done)
        else "new"
        if not cached
        else f"new, {cached} cached"
    )
    figures = [record["test"][each.part.metric] for record in done]

    return {
        "part": each.part.name,
        "table": each.table.name,
        "run": each.run.name,
        "splits": len(each.table.splits(each.part)),
        "done": len(done),
        "cached": cached,
        "state": state,
        "metric": each.part.metric,
        "value": statistics.fmean(figures) if figures else None,
        "failed": failed,
        "keys": [job.key for job, _ in found],
    }


def report(
    screen: Screen,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]…",
            show_default=False,
            help="Experiments; all in the folder experiments, if none is named.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Where to write report.html, a Markdown page for each, and their pictures.",
        ),
    ] = Path("runs/report"),
    results: ResultsFolder = None,
) -> Answer:
    """Write tables and figures, the paper's numbers beside ours with a verdict on each claim; nothing is run."""
    from recollect.experiment.parse import read
    from recollect.experiment.results import Results
    from recollect.report import render
    from recollect.report.tables import make_report

    paths = files or sorted(Path("experiments").glob("*.toml"))
    if not paths:
        raise SettingError("There is no folder experiments here with TOML files; name a file.")

    reports = []

    for experiment in map(read, paths):
        reports.append(make_report(experiment, Results(results or experiment.records)))

    written = render.write(reports, out)
    counts = {report.experiment.name: report.counts for report in reports}
    summaries = [f"{report.experiment.name}: {render.summary(report)}" for report in reports]
    waiting = [line for report in reports for line in report.open]
    pages = [path.name for path in written if path.suffix != ".png"]
    message = f"Written to {out}: {', '.join(pages)} and {len(written) - len(pages)} pictures."

    return Answer(
        {"written": written, "verdicts": counts, "open": waiting}, [*summaries, *waiting, message]
    )


def tune(
    screen: Screen,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="A search space: a TOML file.",
        ),
    ],
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Candidates in all, those of earlier runs included; the file's, if not stated.",
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Begin no candidate after so many minutes.")
    ] = None,
    threads: Threads = None,
    storage: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Where the study is kept; runs/tune/NAME.journal, if not stated."
        ),
    ] = None,
) -> Answer:
    """Choose settings by the validation ratings; the same command goes on with what was interrupted."""
    from recollect.experiment import tune as tuning

    space = tuning.read(file)
    kept = storage or Path("runs/tune") / f"{space.name}.journal"

    with _stoppable(kept), screen.steps("candidates", trials or space.trials) as step:

        def watch(done: int, told: str) -> None:
            screen.say(f"candidate {done}: {told}")
            step(done, told)

        study = tuning.tune(
            space,
            kept,
            trials=trials,
            minutes=minutes,
            threads=threads,
            watch=watch,
        )

    return _tuned(study, kept)


def _tuned(study: Any, kept: Path) -> Answer:
    names, best = list(study.space.search), study.best
    ranked = sorted(
        study.trials, key=lambda trial: (trial.state != "done", trial.rmse or float("inf"))
    )

    rows = [
        (
            trial.number,
            trial.rmse,
            *(as_text(trial.settings.get(name)) for name in names),
            seconds(trial.seconds),
            trial.state,
        )
        for trial in ranked[:12]
    ]

    data = {
        "storage": kept,
        "data": study.space.part.data,
        "split": study.space.part.split,
        "model": study.space.model,
        "trials": [vars(trial) for trial in ranked],
        "best": None if best is None else vars(best),
        "importance": study.importance,
    }

    shown: list[Any] = [
        table(
            ("number", "valid RMSE", *(name.replace("_", " ") for name in names), "time", "state"),
            rows,
            title=f"{study.space.model} on {study.space.part.data}, {len(ranked)} candidates",
        )
    ]

    if study.importance:
        shown += [
            "Share of the differences that goes with each setting: "
            + ", ".join(f"{name} {share:.0%}" for name, share in study.importance.items()),
            "",
        ]

    failed = dict.fromkeys(trial.why for trial in ranked if trial.state == "failed")
    shown += [f"failed: {why}" for why in failed]
    if best is None:
        return Answer(data, [*shown, "No candidate was finished."], failed=True)

    settings = {**study.space.settings, **best.settings}

    return Answer(
        data,
        [
            *shown,
            "The best, for a command and for a file of experiments:",
            "",
            " ".join(f"--set {key}={as_text(value)}" for key, value in settings.items()),
            "",
            *(f"{key} = {as_toml(value)}" for key, value in settings.items()),
        ],
    )


def as_text(value: Any) -> str:
    """A setting as --set takes it."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def as_toml(value: Any) -> str:
    """A setting as TOML has it."""
    return json.dumps(value)
