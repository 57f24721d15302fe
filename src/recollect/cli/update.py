"""The verb update: a saved model learns from further ratings, without a fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

import recollect as rc
from recollect.cli.options.asking import RunFolder
from recollect.cli.options.folder_in_use import in_use
from recollect.cli.options.source import Columns, ratings_for
from recollect.cli.options.trust import Trust
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import facts, seconds


def update(
    screen: Screen,
    run: RunFolder,
    columns: Columns,
    ratings: Annotated[
        str,
        typer.Argument(
            metavar="RATINGS",
            show_default=False,
            help="A file of the new ratings or events alone, of what the model has learned from.",
        ),
    ],
    retract: Annotated[
        bool,
        typer.Option(
            "--retract", help="Take these ratings or events back, where a model can without a fit."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="NEWRUN",
            show_default=False,
            help="Write the model to this folder and leave RUN as it is (default: RUN is replaced "
            "at the end, by all of the new model or not at all).",
        ),
    ] = None,
    trust: Trust = None,
) -> Answer:
    """Let a saved model learn from further ratings without a fit.

    New users and items join; what waits for the next fit is said.
    """
    from recollect.checkpoint.destination import check_destination

    folder = run if out is None else out
    check_destination(folder)

    # Held from before the model is read: an update that comes in between would be lost.
    with in_use(folder):
        model = rc.load_model(run, trusted=trust or ())
        new = ratings_for(model, ratings, columns)
        done = model.update(new, retract=retract)
        if done.ratings or out is not None:
            rc.save(model, folder)
            screen.say(f"Written to {folder}.")

    return _answer(done, run=run, folder=folder, notes=[*new.notes, *done.notes], retract=retract)


def _answer(done: Any, *, run: Path, folder: Path, notes: list[str], retract: bool) -> Answer:
    taken = "taken back" if retract else "taken in"
    shown: dict[str, Any] = {
        f"ratings {taken}": done.ratings,
        "users": f"{done.users_new:,} new, {done.users_changed:,} known",
        "items": f"{done.items_new:,} new, {done.items_changed:,} known",
    }
    shown |= {f"left out, {reason}": n for reason, n in done.dropped.items()}
    shown |= {"learned": done.learned, "waits for a fit": done.waits or "nothing"}
    shown |= {"time": seconds(done.seconds)}
    if not done.ratings:
        shown["written"] = "nothing: the model has not changed" if folder == run else str(folder)

    data = {"run": run, "out": folder, **dataclasses.asdict(done), "notes": notes}

    return Answer(data, [facts(shown), *done.notes])
