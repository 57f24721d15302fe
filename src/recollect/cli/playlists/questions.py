"""The verb playlists questions: lists of which a part is hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recollect.cli.options.fitting import Seed
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import table

QUESTIONS = "questions.json"
ANSWERS = "answers.json"


def questions(
    screen: Screen,
    lists: Annotated[
        Path,
        typer.Argument(metavar="LISTS", help="A file of whole lists in Melon's format."),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help=f"Where {QUESTIONS} and {ANSWERS} are written."),
    ],
    seed: Seed = 0,
) -> Answer:
    """Hide a part of each list, as the Melon challenge does."""
    from recollect.data.sources.melon import files
    from recollect.evaluation.playlists import ask

    asked = ask(files.read_lists(lists).drop("time", strict=False), seed=seed)
    dates = {
        str(entry["id"]): entry["updt_date"]
        for entry in files.read_json(lists)
        if "updt_date" in entry
    }
    entries = files.as_entries(asked.questions)
    for entry in entries:
        if str(entry["id"]) in dates:
            entry["updt_date"] = dates[str(entry["id"])]

    out.mkdir(parents=True, exist_ok=True)
    files.write_json(out / QUESTIONS, entries)
    files.write_json(out / ANSWERS, files.as_entries(asked.answers))
    counts = [(kind.name, int((asked.kind == n).sum())) for n, kind in enumerate(asked.kinds)]

    return Answer(
        {"questions": out / QUESTIONS, "answers": out / ANSWERS, "kinds": dict(counts)},
        [
            table(("shown", "lists"), counts),
            f"{len(entries):,} questions written to {out / QUESTIONS}, what is hidden to "
            f"{out / ANSWERS}.",
        ],
    )
