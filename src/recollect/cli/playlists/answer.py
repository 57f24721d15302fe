"""The verb playlists answer: the answers that the Melon challenge took."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from recollect.cli.options.asking import RunFolder, load_model
from recollect.cli.options.out_file import check_out
from recollect.cli.options.trust import Trust
from recollect.cli.output.screen import Answer, Screen


def answer(
    screen: Screen,
    run: RunFolder,
    questions: Annotated[
        Path,
        typer.Argument(metavar="QUESTIONS", help="A file of questions in Melon's format."),
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The file to write, such as results.json.")
    ],
    trust: Trust = None,
) -> Answer:
    """Answer each question with 100 songs and 10 tags, as the Melon challenge took them."""
    from recollect.data.sources.melon import files
    from recollect.evaluation.playlists import answer as answers_of

    check_out(screen, "--out", out, {"RUN": run, "QUESTIONS": questions})
    asked = files.read_lists(questions)
    model = load_model(run, None, trust)
    started = time.monotonic()

    with screen.steps("questions", len(asked)) as step:
        results = answers_of(
            model,
            asked,
            kinds=("songs", "tags"),
            progress=lambda done, total: step(done, ""),
        )

    seconds = time.monotonic() - started
    files.write_json(out, files.as_entries(results))

    return Answer(
        {"out": out, "questions": len(results), "seconds": round(seconds, 1)},
        [f"{len(results):,} answers written to {out}, in {seconds:.1f} s."],
    )
