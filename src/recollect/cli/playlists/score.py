"""The verb playlists score: the Melon challenge's score of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import facts


def score(
    screen: Screen,
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="The file of answers.")],
    answers: Annotated[Path, typer.Argument(metavar="ANSWERS", help="The file of what is hidden.")],
) -> Answer:
    """Score answers: 0.85 · NDCG of songs + 0.15 · NDCG of tags."""
    from recollect.data.sources.melon import files
    from recollect.evaluation.playlists import score as score_of

    scores = score_of(files.read_lists(results), files.read_lists(answers))
    figures = {f"{kind} ndcg": scores.mean(kind) for kind in scores.shares}
    figures["score"] = scores.score

    return Answer(figures, [facts(figures, title=f"{len(scores.per_list):,} lists")])
