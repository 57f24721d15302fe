"""Several models on the same random splits: errors, what differs beyond chance, time and memory.

Every fit runs in a process of its own, so that its time and its peak memory are its own.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recollect import registry
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.splitting import Split, random_split
from recollect.data.splitting.shares import Share, check_shares
from recollect.evaluation import significance
from recollect.evaluation.protocols import full_ranking, held_out
from recollect.evaluation.summary import figure
from recollect.run import Run, peak_memory_mb
from recollect.system import processes

Progress = Callable[[int, str], None]  # fits that are done, and the label of the next one

OF_A_RUN = (
    "rmse",
    "mae",
    "seconds",
    "peak_memory_mb",
    "n_test",
    "n_cold",
    "best_epoch",
    "stopped",
)


@dataclass(frozen=True)
class Candidate:
    """A model to compare: its name in the registry, and its settings."""

    model: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fit:
    """One model on one split; sent to the process that fits it."""

    candidate: Candidate
    train: AnyRatings
    valid: Ratings | None
    test: Ratings
    run: Run
    ranking: bool
    keep_errors: bool  # the errors of each rating, to compare models on a single split


@dataclass(frozen=True)
class Comparison:
    """What came out: figures of each model by name, and a row for each pair of models.

    A model's figures are `model`, `settings`, `rmse` (value, low, high), `mae`, `ranking`, and
    `runs`, one for each split. A row has the columns of `significance.compare`.
    """

    models: dict[str, dict[str, Any]]
    differences: list[dict[str, Any]]


def compare_models(
    candidates: Mapping[str, Candidate],
    ratings: Ratings,
    *,
    test: Share = 0.1,
    valid: Share = 0.05,
    seeds: Sequence[int] = range(5),
    run: Run | None = None,
    ranking: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Fit and score every model on the same random splits.

    Intervals are over the splits, corrected for their overlap; with one split, over its users.

    Args:
        candidates: the models by the names that the answer gives them.
        ratings: to divide.
        test: share of test ratings.
        valid: share of validation ratings among the remaining ones; 0: none.
        seeds: one for each split; a fit has the seed of its split.
        run: threads and device of each fit; None: all cores of the CPU.
        ranking: whether to rank all items for each user, too.
        progress: called before the first fit and after each one.

    Raises:
        SettingError: for an impossible share, or a setting that does not exist or is out of range.
    """
    check_shares(test=test, valid=valid)

    for candidate in candidates.values():
        registry.make(candidate.model, **candidate.settings)

    runs = [replace(run or Run(), seed=seed) for seed in seeds]
    splits = (
        random_split(
            ratings,
            test=test,
            valid=valid,
            seed=seed,
        )
        for seed in seeds
    )
    fits = _fits(candidates, splits, runs, ranking=ranking)
    labels = [f"{name}, seed {seed}" for seed in seeds for name in candidates]
    results = list(_with_progress(fits, labels, progress))
    n_models = len(candidates)
    by_name = {name: results[j::n_models] for j, name in enumerate(candidates)}

    return Comparison(
        {name: _summary(candidates[name], by_name[name], test) for name in candidates},
        _differences(by_name, test) if n_models > 1 else [],
    )


def _fits(
    candidates: Mapping[str, Candidate],
    splits: Iterable[Split],
    runs: Sequence[Run],
    *,
    ranking: bool,
) -> Iterator[Fit]:
    """Every candidate on every split; a split is made when its first fit begins."""
    for split, run in zip(splits, runs, strict=True):
        for candidate in candidates.values():
            yield Fit(
                candidate,
                split.train,
                split.valid,
                split.test,
                run,
                ranking,
                keep_errors=len(runs) == 1,
            )


def _with_progress(
    fits: Iterator[Fit], labels: Sequence[str], progress: Progress | None
) -> Iterator[dict[str, Any]]:
    upcoming = [*labels, ""]
    if progress is not None:
        progress(0, upcoming[0])

    for done, result in enumerate(processes.run_each(fit_and_score, fits, processes=1), start=1):
        yield result
        if progress is not None:
            progress(done, upcoming[done])


def fit_and_score(fit: Fit) -> dict[str, Any]:
    """Fit a model on a split; its errors and rankings there, its time, and its peak memory."""
    candidate = fit.candidate
    model = registry.make(candidate.model, **candidate.settings)
    model.fit(fit.train, fit.valid, fit.run)
    peak = peak_memory_mb()
    scores = held_out(model, fit.test)
    result = {
        "rmse": scores["rmse"],
        "mae": scores["mae"],
        "seconds": model.seconds_,
        "peak_memory_mb": peak,
        "n_test": len(fit.test),
        "n_cold": scores.about["n_cold"],
        "best_epoch": model.history_.best_epoch,
        "stopped": model.history_.stopped or None,
        "ranking": {},
        "interval": figure(scores, "rmse") if fit.keep_errors else None,
        "errors": (scores.values["rmse"], fit.test.user) if fit.keep_errors else None,
    }

    if fit.ranking:
        lists = full_ranking(model, fit.test)
        result["ranking"] = {name: lists[name] for name in (*lists.names(), *lists.whole)}

    return result


def _differences(
    by_name: dict[str, list[dict[str, Any]]], test_share: Share
) -> list[dict[str, Any]]:
    """The difference in RMSE of each pair of models, its interval, p, and Holm's p."""
    first = next(iter(by_name.values()))[0]
    if first["errors"] is None:
        figures = {name: [run["rmse"] for run in runs] for name, runs in by_name.items()}
        over_splits = significance.compare(figures, over="splits", test_share=test_share)
        return over_splits.to_dicts()

    errors = {name: runs[0]["errors"][0] for name, runs in by_name.items()}
    user = first["errors"][1]
    over_ratings = significance.compare(
        errors,
        over="ratings",
        statistic="root_mean",
        group=user,
    )

    return over_ratings.to_dicts()


def _summary(candidate: Candidate, runs: list[dict[str, Any]], test_share: Share) -> dict[str, Any]:
    """The figures of a model over its splits."""
    rmse = runs[0]["interval"]
    if rmse is None:
        errors = [run["rmse"] for run in runs]
        mean, low, high = significance.mean_interval(errors, test_share=test_share)
        rmse = {"value": mean, "low": low, "high": high}

    ranking = {
        name: statistics.fmean(run["ranking"][name] for run in runs) for name in runs[0]["ranking"]
    }
    model = registry.make(candidate.model, **candidate.settings)

    return {
        "model": candidate.model,
        "settings": registry.settings(model),
        "rmse": rmse,
        "mae": statistics.fmean(run["mae"] for run in runs),
        "ranking": ranking,
        "runs": [{key: run[key] for key in OF_A_RUN} for run in runs],
    }
