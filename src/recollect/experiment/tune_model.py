"""Tuning from Python: settings of a model chosen on validation ratings that are in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recollect.arguments import expect, expect_path, expect_ratings, expect_whole
from recollect.data.ratings import Ratings
from recollect.errors import SettingError
from recollect.experiment import tune as tuning
from recollect.experiment.events import Events
from recollect.experiment.metric import check_metric
from recollect.experiment.search_space import Bounds, Space, check_search
from recollect.experiment.spec import Part
from recollect.experiment.tune import Fold, Study, Watch, ignore


def tune(
    model: str,
    train: Ratings,
    valid: Ratings,
    search: Mapping[str, Bounds],
    *,
    settings: Mapping[str, Any] | None = None,
    trials: int = 50,
    minutes: float | None = None,
    seed: int = 0,
    metric: str | None = None,
    threads: int | None = None,
    storage: str | Path | None = None,
    watch: Watch = ignore,
) -> Study:
    """Fit candidates on `train` and judge them by their figure on `valid`; `best` has the best one.

    The study has no test ratings, so that none can be chosen on. Fit the best settings, and score
    that fit on test ratings that neither part holds.

    Args:
        model: the name of a model.
        train: what candidates learn from.
        valid: what they are stopped and judged by.
        search: for each setting {"low": 1, "high": 1000}, with "log": True for equal ratios, or
            "step"; or {"choices": [10, 20]}.
        settings: others, which stay as they are; the rest have their defaults.
        trials: candidates in all, those of earlier calls with this storage included.
        minutes: begin no candidate after so many; None: no limit.
        seed: of the draws and of every fit.
        metric: by which candidates are judged: "rmse" of ratings, or of events a metric of lists
            with its length, such as "recall@20"; None: "rmse", of events "ndcg@10".
        threads: of a fit; None: every core.
        storage: a file that keeps the study, so that the same call goes on with it; None: kept in
            memory only, and lost if the call is interrupted.
        watch: called after each candidate with their number so far and the outcome.

    Raises:
        SettingError: for a model, setting or metric that does not exist, impossible bounds, a
            model of events for ratings or one of ratings for events, or without Optuna.
        LeakError: if train and valid share pairs.
    """
    expect("model", model, str, "the name of a model, such as 'autorec'")
    expect_ratings("train", train, Ratings)
    expect_ratings("valid", valid, Ratings)
    expect("search", search, Mapping, "a dict, such as {'reg': {'low': 1, 'high': 100}}")
    if settings is not None:
        expect("settings", settings, Mapping, "a dict, such as {'epochs': 50}")

    if storage is not None:
        expect_path("storage", storage, such_as="'study.journal'")

    expect_whole("seed", seed, at_least=0, what="where the random draws start")
    expect_whole("trials", trials, at_least=1, what="how many candidates are tried")
    data = Part(
        train.name,
        train.fingerprint,
        {"how": "given", "valid": valid.fingerprint},
        metric=_metric_of(train, metric),
        events=Events() if train.implicit else None,
    )
    space = Space(
        name=train.name,
        part=data,
        model=model,
        settings=dict(settings or {}),
        search=dict(search),
        seed=seed,
        trials=trials,
        minutes=minutes,
    )
    check_search(space)
    place: AbstractContextManager[Any] = nullcontext(storage)
    if storage is None:
        place = TemporaryDirectory()

    with place as kept:
        path = Path(kept) / "study.journal" if storage is None else Path(kept)
        return tuning.tune(
            space,
            path,
            load_folds=lambda: [Fold(train, valid, seed)],
            threads=threads,
            watch=watch,
        )


def _metric_of(train: Ratings, metric: str | None) -> str:
    """The metric that is stated, or the usual one of such data."""
    if metric is None:
        return "ndcg@10" if train.implicit else "rmse"

    expect("metric", metric, str, "the name of a metric, such as 'ndcg@10'")
    check_metric(metric, of_events=train.implicit)
    if not train.implicit and metric != "rmse":
        raise SettingError(f"Of ratings, candidates are judged by their RMSE; found {metric!r}.")

    return metric
