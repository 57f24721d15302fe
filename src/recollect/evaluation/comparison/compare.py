"""Several models on the same splits: figures, what differs beyond chance, time and memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recollect import registry
from recollect.arguments import expect_ratings, expect_whole
from recollect.data.levels import relevant_from
from recollect.data.ratings import Ratings
from recollect.data.splitting import Split
from recollect.data.splitting.by_name import find as find_split
from recollect.data.splitting.shares import Share, check_shares
from recollect.errors import TrainingError, unknown
from recollect.evaluation import significance
from recollect.evaluation.comparison.candidates import (
    Candidate,
    all_candidates,
    judged_by,
    named_candidates,
    outputs_of,
)
from recollect.evaluation.comparison.fits import Progress, planned_fits, run_fits
from recollect.evaluation.judged import Judged, Over
from recollect.model import Model
from recollect.ranking import RANK_BY
from recollect.run import Run

SPLITS = ("random", "per_user")  # those that shares and a seed make
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
    how: str = "random",
    rank_by: str | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Fit and score every model on the same splits.

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
        how: a random split "random" of all ratings, or "per_user" of each user's.
        rank_by: of models of ratings, "both" or "rating", as `top_n`; None: their default.
        progress: called before the first fit and after each one.

    Raises:
        SettingError: for an impossible share, an unknown metric, split or `rank_by`, or a setting
            that does not exist or is out of range.
        TrainingError: if every model fails.
    """
    expect_ratings("ratings", ratings, Ratings)
    check_shares(test=test, valid=valid)
    expect_whole("n", n, at_least=1, what="the length of the lists")
    named = named_candidates(candidates)
    judged = judged_by(metric, named, ratings, n=n, over=over, n_splits=len(seeds))
    candidates = all_candidates(named, ranking=ranking or judged.of_lists)
    ranking = "scores" in outputs_of(candidates)

    _check_rank_by(rank_by)
    divide = split_by(how)
    runs = [replace(run or Run(), seed=seed) for seed in seeds]
    splits = (divide(ratings, test=test, valid=valid, seed=seed) for seed in seeds)
    threshold = relevant_from(ratings) if relevant is None else float(relevant)
    fits = planned_fits(
        candidates,
        splits,
        runs,
        ranking=ranking,
        relevant=threshold,
        judged=judged,
        rank_by=rank_by,
    )
    labels = [(name, f"{name}, seed {seed}") for seed in seeds for name in candidates]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in candidates}
    failed: dict[str, str] = {}
    run_fits(fits, labels, results, failed, progress)
    finished = {name: runs for name, runs in results.items() if name not in failed}
    if not set(finished) & set(named):
        reasons = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise TrainingError(f"None of the models could be fitted. {reasons}")

    return replace(
        _comparison(candidates, finished, failed, test, judged),
        relevant_from=threshold if ranking else None,
    )


def split_by(how: str) -> Callable[..., Split]:
    """The function that divides ratings by shares and a seed.

    Args:
        how: "random" or "per_user".

    Raises:
        SettingError: for another split.
    """
    if how not in SPLITS:
        raise unknown("split to compare on", how, SPLITS)

    return find_split(how)


def _check_rank_by(rank_by: str | None) -> None:
    if rank_by is not None and rank_by not in RANK_BY:
        raise unknown("way to rank", rank_by, RANK_BY)


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
