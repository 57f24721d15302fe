"""The fits of a comparison: each model on each split, in a process of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recollect import registry
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.splitting import Split
from recollect.evaluation.comparison.candidates import Candidate
from recollect.evaluation.judged import Judged
from recollect.evaluation.protocols import full_ranking, held_out
from recollect.evaluation.ranked_lists import learned_from
from recollect.evaluation.summary import figure
from recollect.model import Model
from recollect.run import Run, peak_memory_mb
from recollect.system import processes

log = logging.getLogger("recollect")

Progress = Callable[[int, str], None]  # fits that are done, and the label of the next one


@dataclass(frozen=True)
class Fit:
    """One model on one split; sent to the process that fits it."""

    candidate: Candidate
    train: AnyRatings
    valid: Ratings | None
    test: Ratings
    run: Run
    ranking: bool
    judged: Judged
    relevant: float  # the rating from which on a test item is relevant
    is_only_split: bool  # intervals are over its users
    rank_by: str | None = None  # of models of ratings, as `top_n`


def planned_fits(
    candidates: Mapping[str, Candidate],
    splits: Iterable[Split],
    runs: Sequence[Run],
    *,
    ranking: bool,
    relevant: float,
    judged: Judged,
    rank_by: str | None = None,
) -> Iterator[Fit]:
    """Every candidate on every split; a split is made when its first fit begins.

    Args:
        candidates: the models by name.
        splits: of the ratings.
        runs: how to fit, one for each split.
        ranking: whether lists are judged.
        relevant: the rating from which on a test item is relevant.
        judged: the metric, and over what models are compared.
        rank_by: of models of ratings, as `top_n`.
    """
    for split, run in zip(splits, runs, strict=True):
        for candidate in candidates.values():
            yield Fit(
                candidate,
                split.train,
                split.valid,
                split.test,
                run,
                ranking,
                judged,
                relevant,
                is_only_split=len(runs) == 1,
                rank_by=rank_by,
            )


def run_fits(
    fits: Iterator[Fit],
    labels: Sequence[tuple[str, str]],
    results: dict[str, list[dict[str, Any]]],
    failed: dict[str, str],
    progress: Progress | None,
) -> None:
    """Run the fits one by one; a model that fails once is not fitted again.

    Args:
        fits: all of them, in the order of the labels.
        labels: the model's name and what to call the fit.
        results: of each model; added to.
        failed: why a model failed; added to.
        progress: called before the first fit and after each one.
    """
    upcoming = [*(label for _, label in labels), ""]
    if progress is not None:
        progress(0, upcoming[0])

    for done, (fit, (name, label)) in enumerate(zip(fits, labels, strict=True), start=1):
        if name not in failed:
            try:
                [result] = processes.run_each(fit_and_score, [fit], processes=1)
                results[name].append(result)
            # Whatever ends one model must not lose hours of the others.
            except Exception as problem:
                failed[name] = f"{label}: {problem or type(problem).__name__}"
                log.warning("%s failed and is left out: %s", name, failed[name])

        if progress is not None:
            progress(done, upcoming[done])


def fit_and_score(fit: Fit) -> dict[str, Any]:
    """Fit a model on a split; its errors and rankings there, its time, and its peak memory."""
    candidate = fit.candidate
    model = registry.make(candidate.model, **candidate.settings)
    model.fit(*learned_from(model, fit.train, fit.valid), fit.run)
    result: dict[str, Any] = {
        "rmse": None,
        "mae": None,
        "n_cold": None,
        "seconds": model.seconds_,
        "peak_memory_mb": peak_memory_mb(),
        "n_test": len(fit.test),
        "best_epoch": model.history_.best_epoch,
        "stopped": model.history_.stopped or None,
        "ranking": {},
        "interval": None,
        "values": None,
    }
    if model.output == "ratings":
        result |= _errors(model, fit)

    if fit.ranking:
        result |= _lists(model, fit)

    return result


def _errors(model: Model, fit: Fit) -> dict[str, Any]:
    """The errors of a fitted model on the test ratings."""
    scores = held_out(model, fit.test)
    errors = {"rmse": scores["rmse"], "mae": scores["mae"], "n_cold": scores.about["n_cold"]}
    if fit.is_only_split:
        errors["interval"] = figure(scores, "rmse")

    if not fit.judged.of_lists and fit.judged.over == "users":
        errors["values"] = (scores.values[fit.judged.name], fit.test.user)

    return errors


def _lists(model: Model, fit: Fit) -> dict[str, Any]:
    """The figures of the lists of a fitted model."""
    rank_by = fit.rank_by if model.output == "ratings" else None
    scores = full_ranking(model, fit.test, n=fit.judged.n, relevant=fit.relevant, rank_by=rank_by)
    lists: dict[str, Any] = {
        "ranking": {name: scores[name] for name in (*scores.names(), *scores.whole)}
    }
    if fit.judged.of_lists and fit.judged.over == "users":
        people = np.flatnonzero(fit.test.count("user") > 0)
        lists["values"] = (scores.of(fit.judged.figure), people)

    return lists
