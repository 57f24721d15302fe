"""The figures of a fitted model on its test ratings in short, for a file beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recollect.data.ratings import Ratings
from recollect.evaluation.protocols import Scores, full_ranking, held_out
from recollect.model import Model
from recollect.system.atomic_files import replacing
from recollect.system.strict_json import to_json

FILE = "scores.json"


def figure(scores: Scores, name: str) -> dict[str, float]:
    """A figure and the limits of its 95% interval: value, low, high."""
    interval = scores.interval(name)
    return {
        "value": scores[name],
        "low": interval.low,
        "high": interval.high,
    }


def summarize(model: Model, test: Ratings) -> tuple[Scores, dict[str, Any]]:
    """The scores of a model on test ratings, and the figures to show.

    A model that predicts ratings has `rmse`, `mae`, and the numbers of `ratings` and of `cold`
    ones among them; a model of scores has `ndcg@10`, `capped_recall@10`, `events` and `users`.

    Args:
        model: fitted.
        test: with the model's vocabularies, and not seen by the model.

    Raises:
        LeakError: if test shares pairs with what the model was fitted on.
    """
    if model.output == "scores":
        scores = full_ranking(model, test)
        figures = {name: figure(scores, name) for name in ("ndcg@10", "capped_recall@10")}
        counts = {"events": scores.about["n_test"], "users": scores.about["n_users"]}
    else:
        scores = held_out(model, test)
        figures = {name: figure(scores, name) for name in ("rmse", "mae")}
        counts = {"ratings": scores.about["n_test"], "cold": scores.about["n_cold"]}

    return scores, {**figures, **counts}


def write_scores(model: Model, test: Ratings, folder: str | Path) -> dict[str, Any]:
    """Score a model on test ratings, write scores.json into its folder, and return the figures.

    Args:
        model: fitted.
        test: as `summarize` takes them.
        folder: of the saved model.

    Raises:
        LeakError: if test shares pairs with what the model was fitted on.
    """
    scores, figures = summarize(model, test)
    text = to_json({**scores.about, **figures})

    with replacing(Path(folder) / FILE) as fresh:
        fresh.write_text(text)

    return figures
