"""Several models on the same random splits: errors, what differs beyond chance, time and memory.

Every fit runs in a process of its own, so that its time and its peak memory are its own. A model
whose fit fails is named with the reason, and the others go on.

A model of events beside models of ratings, such as popularity, learns from all training ratings as
events. It has no errors, and its rankings are judged as those of the others: by the test ratings
that are high.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recollect import registry
from recollect.arguments import expect, expect_ratings
from recollect.data.levels import relevant_from
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.splitting import Split, random_split
from recollect.data.splitting.shares import Share, check_shares
from recollect.errors import TrainingError
from recollect.evaluation import significance
from recollect.evaluation.protocols import full_ranking, held_out
from recollect.evaluation.summary import figure
from recollect.model import Model
from recollect.run import Run, peak_memory_mb
from recollect.system import processes

log = logging.getLogger("recollect")

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
    relevant: float  # the rating from which on a test item is relevant
    keep_errors: bool  # the errors of each rating, to compare models on a single split


@dataclass(frozen=True, repr=False)
class Comparison:
    """What came out: figures of each model by name, and a row for each pair of models.

    A model's figures are `model`, `settings`, `rmse` (value, low, high), `mae`, `ranking`, and
    `runs`, one for each split; `rmse` and `mae` are None for a model of events. A row has the
    columns of `significance.compare`.
    """

    models: dict[str, dict[str, Any]]
    differences: list[dict[str, Any]]
    failed: dict[str, str] = field(default_factory=dict)  # why models have no figures

    def __repr__(self) -> str:
        lines = []
        for name, figures in self.models.items():
            rmse = figures["rmse"]
            shown = [] if rmse is None else [f"rmse {rmse['value']:.4f}"]
            shown += [f"{metric} {value:.4f}" for metric, value in figures["ranking"].items()]
            lines.append(f"{name}: {', '.join(shown)}")

        lines += [f"{name}: failed, {why}" for name, why in self.failed.items()]

        return "Comparison(" + "; ".join(lines) + ")"


def compare_models(
    candidates: Mapping[str, Candidate | Model | str] | Sequence[str],
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
        candidates: the models by the names that the answer gives them: unfitted models, names, or
            Candidates; or a list of names.
        ratings: to divide.
        test: share of test ratings.
        valid: share of validation ratings among the remaining ones; 0: none.
        seeds: one for each split; a fit has the seed of its split.
        run: threads and device of each fit; None: all cores of the CPU.
        ranking: whether to rank all items for each user, too; always done if one of the models has
            only rankings.
        progress: called before the first fit and after each one.

    Raises:
        SettingError: for an impossible share, or a setting that does not exist or is out of range.
        TrainingError: if every model fails.
    """
    expect_ratings("ratings", ratings, Ratings)
    check_shares(test=test, valid=valid)
    candidates = _candidates(candidates)
    outputs = {registry.make(c.model, **c.settings).output for c in candidates.values()}
    ranking = ranking or "scores" in outputs

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
    relevant = relevant_from(ratings)
    fits = _fits(candidates, splits, runs, ranking=ranking, relevant=relevant)
    labels = [(name, f"{name}, seed {seed}") for seed in seeds for name in candidates]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in candidates}
    failed: dict[str, str] = {}
    _run(fits, labels, results, failed, progress)
    finished = {name: runs for name, runs in results.items() if name not in failed}
    if not finished:
        reasons = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise TrainingError(f"None of the models could be fitted. {reasons}")

    return _comparison(candidates, finished, failed, test)


def _candidates(given: Any) -> dict[str, Candidate]:
    """The models to compare by name.

    Raises:
        SettingError: for something else, or a setting that does not exist or is out of range.
    """
    if isinstance(given, Sequence) and not isinstance(given, str):
        given = {name: name for name in given}

    what = "the models by name, such as {'bias': 'bias', 'wide': rc.make('autorec', hidden=900)}"
    expect("candidates", given, Mapping, f"{what}, or a list of names")
    candidates = {}

    for name, model in given.items():
        candidate = model
        if isinstance(model, Model):
            candidate = Candidate(registry.name_of(model), registry.settings(model))
        elif isinstance(model, str):
            candidate = Candidate(model)

        expect(f"the model {name!r}", candidate, Candidate, "an unfitted model or its name")
        registry.make(candidate.model, **candidate.settings)
        candidates[str(name)] = candidate

    return candidates


def _fits(
    candidates: Mapping[str, Candidate],
    splits: Iterable[Split],
    runs: Sequence[Run],
    *,
    ranking: bool,
    relevant: float,
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
                relevant,
                keep_errors=len(runs) == 1,
            )


def _run(
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


def _comparison(
    candidates: Mapping[str, Candidate],
    finished: dict[str, list[dict[str, Any]]],
    failed: dict[str, str],
    test_share: Share,
) -> Comparison:
    """The figures of the finished models, and the differences between those with errors.

    Args:
        candidates: all models.
        finished: the results of each model whose fits succeeded.
        failed: why the others have none.
        test_share: share of test ratings.
    """
    with_errors = {name: runs for name, runs in finished.items() if runs[0]["rmse"] is not None}

    return Comparison(
        {name: _summary(candidates[name], runs, test_share) for name, runs in finished.items()},
        _differences(with_errors, test_share) if len(with_errors) > 1 else [],
        failed,
    )


def fit_and_score(fit: Fit) -> dict[str, Any]:
    """Fit a model on a split; its errors and rankings there, its time, and its peak memory."""
    candidate = fit.candidate
    model = registry.make(candidate.model, **candidate.settings)
    model.fit(*_learned_from(model, fit), fit.run)
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
        "errors": None,
    }
    if model.output == "ratings":
        result |= _errors(model, fit)

    if fit.ranking:
        lists = full_ranking(model, fit.test, relevant=fit.relevant)
        result["ranking"] = {name: lists[name] for name in (*lists.names(), *lists.whole)}

    return result


def _learned_from(model: Model, fit: Fit) -> tuple[AnyRatings, Ratings | None]:
    """What the model learns from, and its validation part: for a model of events, events."""
    train, valid = fit.train, fit.valid
    if model.output == "ratings" or not isinstance(train, Ratings) or train.implicit:
        return train, valid

    return train.events(), None if valid is None else valid.events()


def _errors(model: Model, fit: Fit) -> dict[str, Any]:
    """The errors of a fitted model on the test ratings."""
    scores = held_out(model, fit.test)
    errors = {"rmse": scores["rmse"], "mae": scores["mae"], "n_cold": scores.about["n_cold"]}
    if not fit.keep_errors:
        return errors

    per_rating = (scores.values["rmse"], fit.test.user)

    return {**errors, "interval": figure(scores, "rmse"), "errors": per_rating}


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
    has_errors = runs[0]["rmse"] is not None
    rmse = runs[0]["interval"]
    if rmse is None and has_errors:
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
        "mae": statistics.fmean(run["mae"] for run in runs) if has_errors else None,
        "ranking": ranking,
        "runs": [{key: run[key] for key in OF_A_RUN} for run in runs],
    }
