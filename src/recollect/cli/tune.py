"""The verb tune: settings chosen by the validation ratings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from recollect.cli.options.fitting import Threads
from recollect.cli.options.trust import Trust
from recollect.cli.output.interruption import resumable
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import seconds, table

if TYPE_CHECKING:
    from recollect.experiment.tune import Study, Trial

SHOWN = 12  # candidates in the table; --json has all


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
    trust: Trust = None,
) -> Answer:
    """Choose settings by the validation ratings; the same command resumes what was interrupted."""
    from recollect.experiment import tune as tuning

    space = tuning.read(file, trusted=trust or ())
    kept = storage or Path("runs/tune") / f"{space.name}.journal"

    with resumable(kept), screen.steps("candidates", trials or space.trials) as step:

        def watch(done: int, outcome: str) -> None:
            screen.say(f"candidate {done}: {outcome}")
            step(done, outcome)

        study = tuning.tune(
            space,
            kept,
            trials=trials,
            minutes=minutes,
            threads=threads,
            watch=watch,
        )

    return _answer(study, kept)


def _answer(study: Study, kept: Path) -> Answer:
    best = study.best
    ranked = sorted(study.trials, key=partial(_rank, metric=study.metric))
    data = {
        "storage": kept,
        "data": study.space.part.data,
        "split": study.space.part.split,
        "model": study.space.model,
        "metric": study.metric,
        "trials": [vars(trial) for trial in ranked],
        "best": None if best is None else vars(best),
        "importance": study.importance,
    }
    shown: list[Any] = [_table(study, ranked), *_importance(study.importance)]
    failures = dict.fromkeys(trial.why for trial in ranked if trial.state == "failed")
    shown += [f"failed: {reason}" for reason in failures]
    if best is None:
        return Answer(data, [*shown, "No candidate was finished."], failed=True)

    settings = {**study.space.settings, **best.settings}

    return Answer(data, [*shown, *_ready_for_use(settings)])


def _rank(trial: Trial, metric: str) -> tuple[bool, float]:
    """The best finished candidate first, those without a figure last."""
    from recollect.experiment.metric import more_is_better

    sign = -1 if more_is_better(metric) else 1
    error = float("inf") if trial.figure is None else sign * trial.figure

    return trial.state != "done", error


def _table(study: Study, ranked: Sequence[Trial]) -> Table:
    """The best candidates with their settings."""
    from recollect.experiment.metric import label

    names = list(study.space.search)
    words = [name.replace("_", " ") for name in names]
    columns = ("number", f"valid {label(study.metric)}", *words, "time", "state")
    rows = []

    for trial in ranked[:SHOWN]:
        settings = [as_text(trial.settings.get(name)) for name in names]
        rows.append((trial.number, trial.figure, *settings, seconds(trial.seconds), trial.state))

    title = f"{study.space.model} on {study.space.part.data}, {len(ranked)} candidates"

    return table(columns, rows, title=title)


def _importance(shares: Mapping[str, float]) -> list[str]:
    """The lines about how much each setting matters; none where that is not known."""
    if not shares:
        return []

    parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())

    return [f"Share of the differences that goes with each setting: {parts}", ""]


def _ready_for_use(settings: Mapping[str, Any]) -> list[str]:
    """The settings as options of a command, then as lines of TOML."""
    options = [f"--set {name}={as_text(value)}" for name, value in settings.items()]
    lines = [f"{name} = {as_toml(value)}" for name, value in settings.items()]

    return [
        "The best, for a command and for a file of experiments:",
        "",
        " ".join(options),
        "",
        *lines,
    ]


def as_text(value: Any) -> str:
    """A setting as --set takes it."""
    if isinstance(value, list):
        return ",".join(str(entry) for entry in value)

    return str(value)


def as_toml(value: Any) -> str:
    """A setting as TOML has it."""
    return json.dumps(value)
