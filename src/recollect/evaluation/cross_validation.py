"""k-fold cross-validation of one model: every rating is a test rating once."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import polars as pl

from recollect import registry
from recollect.arguments import expect, expect_ratings
from recollect.data.levels import relevant_from
from recollect.data.ratings import Ratings
from recollect.data.splitting import k_folds
from recollect.data.splitting.shares import Share
from recollect.evaluation.protocols import full_ranking, held_out
from recollect.evaluation.ranked_lists import learned_from
from recollect.model import Model
from recollect.run import Run


def cross_validate(
    model: Model | str,
    ratings: Ratings,
    *,
    k: int = 5,
    valid: Share = 0.0,
    seed: int = 0,
    ranking: bool = False,
    n: int = 10,
    relevant: int | float | None = None,
    run: Run | None = None,
) -> pl.DataFrame:
    """Fit a copy of the model on each of k folds and score it on the fold that it has not seen.

    `significance.mean_interval` makes an interval of a column: mean_interval(table["rmse"],
    test_share=1 / k). A model of events learns from ratings as events; its lists are judged by the
    test ratings that are high.

    Args:
        model: unfitted, or its name; it is not changed.
        ratings: to divide; ratings or events.
        k: number of folds.
        valid: share of the ratings outside a fold that choose when to stop.
        seed: of the folds, and of every fit.
        ranking: whether to rank all items for each user, too; always done for a model of events.
        n: length of the lists.
        relevant: the rating from which on a test item is relevant; None: three quarters up the
            scale (4 of 1 to 5), for events every one.
        run: how the fits run; None: as `Model.fit`.

    Returns: a row per fold: fold, seconds, and the figures by name; n_test and n_cold.

    Raises:
        SettingError: for an impossible k or share.
        DataError: for fewer ratings than folds.
    """
    recipe = registry.make(model) if isinstance(model, str) else model
    expect("model", recipe, Model, "a model, such as recollect.make('bias'), or its name")
    expect_ratings("ratings", ratings, Ratings)
    run = dataclasses.replace(run or Run(), seed=seed)
    threshold = relevant_from(ratings) if relevant is None else relevant
    rows = []

    for fold, split in enumerate(k_folds(ratings, k=k, valid=valid, seed=seed), start=1):
        fitted = dataclasses.replace(copy.copy(recipe))
        fitted.fit(*learned_from(fitted, split.train, split.valid), run)
        row: dict[str, Any] = {"fold": fold, "seconds": fitted.seconds_}
        if fitted.output == "ratings":
            scores = held_out(fitted, split.test)
            row |= {name: scores[name] for name in scores.names()}
            row["n_cold"] = scores.about["n_cold"]

        if ranking or fitted.output == "scores":
            lists = full_ranking(fitted, split.test, n=n, relevant=threshold)
            row |= {name: lists[name] for name in (*lists.names(), *lists.whole)}

        rows.append({**row, "n_test": len(split.test)})

    return pl.DataFrame(rows)
