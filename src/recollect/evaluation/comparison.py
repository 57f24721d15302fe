"""Several models on the same random splits: figures, what differs beyond chance, time and memory.

Every fit runs in a process of its own, so that its time and its peak memory are its own. A model
whose fit fails is named with the reason, and the others go on.

Models are compared by one metric: of ratings by the RMSE, of events by the NDCG, or by any other
that is asked for. Wherever lists are judged, popularity is beside the models. A model of events
beside models of ratings learns from all training ratings as events. It has no errors, and its
rankings are judged as those of the others: by the test ratings that are high.
"""

from __future__ import annotations

import inspect
import logging
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from recollect import registry
from recollect.arguments import expect, expect_ratings, expect_whole
from recollect.data.levels import relevant_from
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.splitting import Split, random_split
from recollect.data.splitting.shares import Share, check_shares
from recollect.errors import SettingError, TrainingError
from recollect.evaluation import significance
from recollect.evaluation.judged import Judged, Over
from recollect.evaluation.list_facts import item_field
from recollect.evaluation.metrics import find
from recollect.evaluation.protocols import full_ranking, held_out
from recollect.evaluation.ranked_lists import learned_from
from recollect.evaluation.summary import figure
from recollect.model import Model
from recollect.run import Run, peak_memory_mb
from recollect.system import processes
from recollect.system.door import words

log = logging.getLogger("recollect")

Progress = Callable[[int, str], None]  # fits that are done, and the label of the next one

BASELINE = "popularity"  # the model beside which lists are judged
OF_A_RUN = (
    "rmse",
    "mae",
    "ranking",
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
    judged: Judged
    relevant: float  # the rating from which on a test item is relevant
    is_only_split: bool  # intervals are over its users


@dataclass(frozen=True, repr=False)
class Comparison:
    """What came out: figures of each model by name, and a row for each pair of models.

    A model's figures are `model`, `settings`, `figure` (value, low, high) of the metric by which
    the models are compared, `rmse` (likewise), `mae`, `ranking`, and `runs`, one for each split;
    `rmse` and `mae` are None for a model of events. A row has the columns of
    `significance.compare`, and, of lists over users, those of Wilcoxon's test.
    """

    models: dict[str, dict[str, Any]]
    differences: list[dict[str, Any]]
    failed: dict[str, str] = field(default_factory=dict)  # why models have no figures
    metric: str = "rmse"  # by which they are compared; of lists with the length, "ndcg@10"
    over: Over = "splits"  # what intervals and tests are over
    relevant_from: float | None = None  # the rating from which on items in lists are relevant

    def __repr__(self) -> str:
        lines = []
        for name, figures in self.models.items():
            rmse = figures["rmse"]
            shown = [] if rmse is None else [f"rmse {rmse['value']:.4f}"]
            for metric, value in figures["ranking"].items():
                shown.append(f"{metric} {value:.4f}")

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
    metric: str | None = None,
    n: int = 10,
    relevant: int | float | None = None,
    over: str | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Fit and score every model on the same random splits.

    Intervals and tests are over the splits, corrected for their overlap, or over users.

    Args:
        candidates: the models by the names that the answer gives them: unfitted models, names, or
            Candidates; or a list of names. Where lists are judged, popularity is added.
        ratings: to divide; ratings or events.
        test: share of test ratings.
        valid: share of validation ratings among the remaining ones; 0: none.
        seeds: one for each split; a fit has the seed of its split.
        run: threads and device of each fit; None: all cores of the CPU.
        ranking: whether to rank all items for each user, too; always done for a metric of lists, or
            if one of the models has only rankings.
        metric: by which models are compared: "rmse", "ndcg", "recall", …; None: "rmse" if one of
            the models predicts ratings, else "ndcg".
        n: length of the lists.
        relevant: the rating from which on a test item is relevant; None: three quarters up the
            scale (4 of 1 to 5), for events every one.
        over: "splits": one figure per split; "users": a bootstrap over the users, whose values are
            means over the splits (of ratings, all errors of all splits); None: splits if there are
            several.
        progress: called before the first fit and after each one.

    Raises:
        SettingError: for an impossible share, an unknown metric, or a setting that does not exist
            or is out of range.
        TrainingError: if every model fails.
    """
    expect_ratings("ratings", ratings, Ratings)
    check_shares(test=test, valid=valid)
    expect_whole("n", n, at_least=1, what="the length of the lists")
    named = _candidates(candidates)
    judged = judged_by(metric, named, ratings, n=n, over=over, n_splits=len(seeds))
    candidates = all_candidates(named, ranking=ranking or judged.of_lists)
    ranking = "scores" in _outputs(candidates)

    runs = [replace(run or Run(), seed=seed) for seed in seeds]
    splits = (random_split(ratings, test=test, valid=valid, seed=seed) for seed in seeds)
    threshold = relevant_from(ratings) if relevant is None else float(relevant)
    fits = _fits(candidates, splits, runs, ranking=ranking, relevant=threshold, judged=judged)
    labels = [(name, f"{name}, seed {seed}") for seed in seeds for name in candidates]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in candidates}
    failed: dict[str, str] = {}
    _run(fits, labels, results, failed, progress)
    finished = {name: runs for name, runs in results.items() if name not in failed}
    if not set(finished) & set(named):
        reasons = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise TrainingError(f"None of the models could be fitted. {reasons}")

    return replace(
        _comparison(candidates, finished, failed, test, judged),
        relevant_from=threshold if ranking else None,
    )


def judged_by(
    metric: str | None,
    candidates: Mapping[str, Candidate],
    ratings: Ratings,
    *,
    n: int,
    over: str | None,
    n_splits: int,
) -> Judged:
    """The metric by which models are compared, and over what.

    Args:
        metric: its name; None: that of the models.
        candidates: the models by name.
        ratings: to divide.
        n: length of the lists.
        over: as asked for; None: the splits if there are several.
        n_splits: how many there are.

    Raises:
        SettingError: for a metric that is unknown, or that none of the models has.
    """
    predicts_ratings = "ratings" in _outputs(candidates) and not ratings.implicit
    name = metric or ("rmse" if predicts_ratings else "ndcg")
    if find(name).of == "ratings" and not predicts_ratings:
        raise SettingError(
            f"{words('metric=', '--metric ')}{name} is of predicted ratings, and "
            f"{'these are events' if ratings.implicit else 'none of the models predicts any'}; "
            f"compare lists: {words('metric=', '--metric ')}ndcg."
        )

    if "genres" in inspect.signature(find(name).function).parameters:
        _, genres = item_field(ratings, None)
        if genres is None:
            raise SettingError(
                f"{name} is computed from genres, and {ratings.name!r} has no field of genres, "
                "categories or tags of its items; give one "
                f"({words('recollect.with_items', 'the data by its name')}) or compare by another "
                "metric, such as ndcg."
            )

    return Judged.of(name, n=n, over=over, n_splits=n_splits)


def all_candidates(candidates: Mapping[str, Candidate], *, ranking: bool) -> dict[str, Candidate]:
    """The models, and popularity where lists are judged, if it is not among them.

    Args:
        candidates: the models by name.
        ranking: whether lists are asked for; they are judged, too, if a model has nothing else.
    """
    has_baseline = any(candidate.model == BASELINE for candidate in candidates.values())
    if has_baseline or not (ranking or "scores" in _outputs(candidates)):
        return dict(candidates)

    name = BASELINE
    while name in candidates:
        name = f"{name} (baseline)"

    return {**candidates, name: Candidate(BASELINE)}


def _outputs(candidates: Mapping[str, Candidate]) -> set[str]:
    """What the models predict: "ratings", "scores" or both."""
    return {registry.make(c.model, **c.settings).output for c in candidates.values()}


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
    judged: Judged,
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
                judged,
                relevant,
                is_only_split=len(runs) == 1,
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
    judged: Judged,
) -> Comparison:
    """The figures of the finished models, and the differences between those with the metric.

    Args:
        candidates: all models.
        finished: the results of each model whose fits succeeded.
        failed: why the others have none.
        test_share: share of test ratings.
        judged: the metric, and over what models are compared.
    """
    models = {}

    for name, runs in finished.items():
        models[name] = _summary(candidates[name], runs, test_share)
        models[name]["figure"] = judged.interval(runs, test_share)

    return Comparison(
        models,
        judged.differences(finished, test_share),
        failed,
        metric=judged.figure,
        over=judged.over,
    )


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
    scores = full_ranking(model, fit.test, n=fit.judged.n, relevant=fit.relevant)
    lists: dict[str, Any] = {
        "ranking": {name: scores[name] for name in (*scores.names(), *scores.whole)}
    }
    if fit.judged.of_lists and fit.judged.over == "users":
        people = np.flatnonzero(fit.test.count("user") > 0)
        lists["values"] = (scores.of(fit.judged.figure), people)

    return lists


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
