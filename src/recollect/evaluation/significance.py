"""How sure a figure is, and whether two models differ by more than chance.

There are two kinds of repetition, and each has its test. Over the ratings (or users) of one split:
the bootstrap, which says how the figure would vary with other test ratings, for the models as they
were fitted. Over repeated splits: the t-interval and t-test, which include how the fit itself
varies. Repeated random splits share most of their training ratings, so their figures are not
independent; `test_share` corrects for that (Nadeau and Bengio 2003), and a plain t-test finds
differences there that do not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float, Int
from numpy import ndarray

from recollect.errors import DataError, unknown
from recollect.evaluation.bootstrap import (
    Statistic,
    bootstrap_interval,
    paired_bootstrap,
    paired_bootstrap_of_sums,
)
from recollect.evaluation.intervals import Difference, Figures, Interval
from recollect.evaluation.t_tests import mean_interval, paired_t, resampled_t, wilcoxon

__all__ = [
    "Difference",
    "Figures",
    "Interval",
    "Over",
    "Statistic",
    "bootstrap_interval",
    "compare",
    "holm",
    "mean_interval",
    "paired_bootstrap",
    "paired_bootstrap_of_sums",
    "paired_t",
    "resampled_t",
    "wilcoxon",
]

Over = Literal["ratings", "splits"]


def holm(p_values: Figures) -> Float[ndarray, " tests"]:
    """p values adjusted for several tests: the chance of any false finding stays below the level.

    A NaN (a test that could not be made) stays NaN and does not count as a test.

    Raises:
        DataError: if a p value lies outside 0 to 1.

    Source: Holm. "A Simple Sequentially Rejective Multiple Test Procedure." Scandinavian Journal of
    Statistics 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    is_impossible = (p < 0) | (p > 1)
    if is_impossible.any():
        raise DataError(f"p values lie between 0 and 1; found {p.min():g} to {p.max():g}.")

    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    # The smallest p counts for all tests, the next for those that remain, …
    n_remaining = np.arange(len(order), 0, -1)
    scaled = p[order] * n_remaining
    # … and no test may have a smaller p than one before it.
    ascending = np.maximum.accumulate(scaled)
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1, ascending)

    return adjusted


def compare(
    scores: Mapping[str, Figures],
    *,
    over: Over,
    baseline: str | None = None,
    statistic: Statistic = "mean",
    group: Int[ndarray, " groups"] | None = None,
    test_share: float = 0.1,
    level: float = 0.95,
    n: int = 2000,
    seed: int = 0,
) -> pl.DataFrame:
    """Every model against the baseline, or each pair of models: difference, interval, p, Holm's p.

    Args:
        scores: the figures of each model by its name.
        over: "splits": one figure per repeated split, compared by `resampled_t`; "ratings": one per
            test rating (or user), compared by `paired_bootstrap`.
        baseline: the model that all others are compared with; None: every pair.
        statistic: of the bootstrap.
        group: of the bootstrap.
        test_share: of the t-test.
        level: the confidence level.
        n: resamples of the bootstrap.
        seed: of the bootstrap.

    Returns: columns model, other, difference (model minus other), low, high, p, p_holm,
        significant (null where p is).

    Raises:
        DataError: if the scores differ in length or there are fewer than two.
        SettingError: for an unknown baseline.
    """
    _check_comparison(scores, over, baseline)
    rows = []

    for model, other in _pairs_of(scores, baseline):
        a = np.asarray(scores[model], dtype=np.float64)
        b = np.asarray(scores[other], dtype=np.float64)
        if over == "splits":
            difference = resampled_t(a, b, test_share=test_share, level=level)
        else:
            difference = paired_bootstrap(
                a,
                b,
                statistic=statistic,
                group=group,
                level=level,
                n=n,
                seed=seed,
            )

        rows.append({"model": model, "other": other, **difference._asdict()})

    table = pl.DataFrame(rows)
    adjusted = pl.Series("p_holm", holm(table["p"].to_numpy()))
    significant = pl.when(adjusted.is_not_nan()).then(adjusted < 1 - level)

    return table.with_columns(adjusted, significant.alias("significant"))


def _check_comparison(scores: Mapping[str, Figures], over: Over, baseline: str | None) -> None:
    """Refuse an unknown kind of repetition or baseline, and fewer than two models."""
    kinds = ("ratings", "splits")
    if over not in kinds:
        raise unknown("kind of repetition", str(over), kinds)

    if len(scores) < 2:
        raise DataError(f"A comparison needs two models or more, found {list(scores)}.")

    if baseline is not None and baseline not in scores:
        raise unknown("model among the scores", baseline, scores)


def _pairs_of(names: Iterable[str], baseline: str | None) -> list[tuple[str, str]]:
    """Every model with the baseline; without one, every pair."""
    if baseline is None:
        return list(combinations(names, 2))

    others = [name for name in names if name != baseline]

    return [(name, baseline) for name in others]
