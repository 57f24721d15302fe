"""How sure a figure is, and whether two models differ by more than chance.

There are two kinds of repetition, and each has its test. Over the ratings (or users) of one split:
the bootstrap, which says how the figure would vary with other test ratings, for the models as they
were fitted. Over repeated splits: the t-interval and t-test, which include how the fit itself
varies. Repeated random splits share most of their training ratings, so their figures are not
independent; `test_share` corrects for that (Nadeau and Bengio 2003), and a plain t-test finds
differences there that do not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float, Int, Num
from numpy import ndarray

from recollect.errors import DataError, SettingError, unknown

Figures = Num[ndarray, " _"] | Sequence[float | int]  # one per split, per rating or per user
Statistic = Literal["mean", "root_mean"]  # root_mean of squared errors is the RMSE
Over = Literal["ratings", "splits"]


class Interval(NamedTuple):
    """A figure and its confidence interval; NaN limits where there is too little to tell."""

    mean: float
    low: float
    high: float


class Difference(NamedTuple):
    """a − b, its confidence interval, and the two-sided p value of no difference."""

    difference: float
    low: float
    high: float
    p: float


def mean_interval(
    values: Figures, *, level: float = 0.95, test_share: float | None = None
) -> Interval:
    """Mean and t-interval over repeated splits; with a single figure the limits are NaN.

    Args:
        values: one figure per split.
        level: the confidence level.
        test_share: for repeated random splits, the share of the ratings that each puts in test: the
            interval widens by the overlap, as in `resampled_t`. None: independent values.

    Raises:
        DataError: if there are no values or some are not finite.
        SettingError: for an impossible level or share.
    """
    values = _finite(values)
    half_width = _half_width(values, level, test_share)
    mean = float(values.mean())
    return Interval(mean, mean - half_width, mean + half_width)


def resampled_t(
    a: Figures, b: Figures, *, test_share: float = 0.1, level: float = 0.95
) -> Difference:
    """The corrected resampled t-test over repeated random splits (or folds).

    The variance of the mean difference is (1/n + test/train) s², not s²/n, because the splits
    overlap. With a single split p is NaN.

    Args:
        a: one figure of the first model per split.
        b: the same of the second model, split by split.
        test_share: the share of the ratings in test (1/k for k folds); the others count as train.
        level: the confidence level.

    Raises:
        DataError: if the two differ in length or are not finite.
        SettingError: for an impossible level or share.

    Source: Nadeau and Bengio. "Inference for the Generalization Error." Machine Learning 2003,
    section 4.
    """
    return _t_test(a, b, level, test_share)


def paired_t(a: Figures, b: Figures, *, level: float = 0.95) -> Difference:
    """Student's t-test on pairwise differences, which must be independent.

    That is, of users of one split, or of separate data sets. On repeated random splits it is
    optimistic, since they share training ratings; use `resampled_t` there.

    Args:
        a: one figure of the first model per pair.
        b: the same of the second model.
        level: the confidence level.

    Raises:
        DataError: if the two differ in length or are not finite.
        SettingError: for an impossible level.
    """
    return _t_test(a, b, level, None)


def wilcoxon(a: Figures, b: Figures) -> float:
    """p of Wilcoxon's signed-rank test: are the independent differences symmetric around 0?

    Pairs without a difference are left out; 1 if no pair differs. With 5 pairs p cannot fall below
    0.06.

    Raises:
        DataError: if the two differ in length or are not finite.

    Source: Wilcoxon. "Individual Comparisons by Ranking Methods." Biometrics 1945.
    """
    from scipy import stats

    difference = np.subtract(*_pair(a, b))
    difference = difference[difference != 0]
    return float(stats.wilcoxon(difference).pvalue) if len(difference) else 1.0


def bootstrap_interval(
    values: Figures,
    *,
    statistic: Statistic = "mean",
    group: Int[ndarray, " groups"] | None = None,
    level: float = 0.95,
    n: int = 2000,
    seed: int = 0,
) -> Interval:
    """The statistic of the values and its percentile interval over n resamples of them.

    Memory is that of a few copies of `values`; time is n passes over them (100,000 ratings: about
    two seconds).

    Args:
        values: one per rating or per user; squared errors for the RMSE.
        statistic: "mean", or "root_mean" of squared errors for the RMSE.
        group: the user of each rating. The ratings of a user are alike: whole users are resampled,
            and the interval is wider and more honest about other users.
        level: the confidence level.
        n: resamples.
        seed: of the resamples.

    Raises:
        DataError: if there are no values or some are not finite.
        SettingError: for an unknown statistic or level.

    Source: Efron and Tibshirani. "An Introduction to the Bootstrap." 1993, chapter 13.
    """
    values = _finite(values)
    means = _resampled_means([values], group, n, seed)[:, 0]
    low, high = np.quantile(_statistic(means, statistic), _tails(level))
    figure = _statistic(values.mean(keepdims=True), statistic)[0]
    return Interval(float(figure), float(low), float(high))


def paired_bootstrap(
    a: Figures,
    b: Figures,
    *,
    statistic: Statistic = "mean",
    group: Int[ndarray, " groups"] | None = None,
    level: float = 0.95,
    n: int = 2000,
    seed: int = 0,
) -> Difference:
    """Difference of two models' statistics on the same ratings, resampled together.

    p is twice the share of resamples in which the sign is the other one, so no smaller than
    2 / (n + 1).

    Args:
        a: one value of the first model per rating or per user.
        b: the same of the second model.
        statistic: "mean", or "root_mean" of squared errors for the RMSE.
        group: the user of each rating; whole users are resampled.
        level: the confidence level.
        n: resamples.
        seed: of the resamples.

    Raises:
        DataError: if the two differ in length or are not finite.
        SettingError: for an unknown statistic or level.

    Source: Efron and Tibshirani. "An Introduction to the Bootstrap." 1993, chapters 13 and 15.
    """
    first, second = _pair(a, b)
    means = _resampled_means([first, second], group, n, seed)
    measured = np.array([first.mean(), second.mean()])
    return _bootstrap_difference(measured, means, statistic, level)


def paired_bootstrap_of_sums(
    a: Figures,
    b: Figures,
    count: Figures,
    *,
    statistic: Statistic = "mean",
    level: float = 0.95,
    n: int = 2000,
    seed: int = 0,
) -> Difference:
    """`paired_bootstrap` over users, from each user's sum instead of the ratings.

    Args:
        a: the sum of the first model's values per user, such as of squared errors.
        b: the same of the second model, user by user.
        count: the number of ratings per user.
        statistic: "mean", or "root_mean" of squared errors for the RMSE.
        level: the confidence level.
        n: resamples.
        seed: of the resamples; the same users and seed draw as `paired_bootstrap` does.

    Raises:
        DataError: if the three differ in length or are not finite.
        SettingError: for an unknown statistic or level.
    """
    first, second = _pair(a, b)
    sums = np.column_stack([first, second, _pair(count, b)[0]])
    total = sums.sum(axis=0)
    measured = total[:-1] / total[-1]
    return _bootstrap_difference(measured, _resampled_ratios(sums, n, seed), statistic, level)


def holm(p_values: Figures) -> Float[ndarray, " tests"]:
    """p values adjusted for several tests: the chance of any false finding stays below the level.

    A NaN (a test that could not be made) stays NaN and does not count as a test.

    Raises:
        DataError: if a p value lies outside 0 to 1.

    Source: Holm. "A Simple Sequentially Rejective Multiple Test Procedure." Scandinavian Journal of
    Statistics 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if ((p < 0) | (p > 1)).any():
        raise DataError(f"p values lie between 0 and 1; found {p.min():g} to {p.max():g}.")

    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    n_remaining = np.arange(len(order), 0, -1)
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * n_remaining))

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
    if over not in ("ratings", "splits"):
        raise unknown("kind of repetition", str(over), ("ratings", "splits"))

    if len(scores) < 2:
        raise DataError(f"A comparison needs two models or more, found {list(scores)}.")

    if baseline is not None and baseline not in scores:
        raise unknown("model among the scores", baseline, scores)

    if baseline is None:
        pairs = list(combinations(scores, 2))
    else:
        pairs = [(name, baseline) for name in scores if name != baseline]

    rows = []

    for model, other in pairs:
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


def _finite(values: Figures) -> Float[ndarray, " values"]:
    values = np.asarray(values, dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise DataError(
            f"Found {len(values)} values, {int((~np.isfinite(values)).sum())} of them NaN or "
            "infinite; give one value or more, all finite (leave out users with nothing relevant)."
        )

    return values


def _pair(a: Figures, b: Figures) -> tuple[ndarray, ndarray]:
    if len(a) != len(b):
        raise DataError(
            f"{len(a)} values and {len(b)} values: these are not the same test ratings; score both "
            "models on the same split, in the same order."
        )

    return _finite(a), _finite(b)


def _t_test(a: Figures, b: Figures, level: float, test_share: float | None) -> Difference:
    from scipy.special import stdtr

    difference = np.subtract(*_pair(a, b))
    mean = float(difference.mean())
    half_width = _half_width(difference, level, test_share)
    error = _standard_error(difference, test_share)
    if np.isnan(error):
        p = float("nan")
    elif error == 0:
        p = 0.0 if mean else 1.0
    else:
        p = 2 * float(stdtr(len(difference) - 1, -abs(mean) / error))

    return Difference(mean, mean - half_width, mean + half_width, p)


def _half_width(values: Float[ndarray, " values"], level: float, test_share: float | None) -> float:
    """Of the t-interval; NaN for a single value."""
    from scipy.special import stdtrit

    error = _standard_error(values, test_share)
    if np.isnan(error):
        return error

    return float(stdtrit(len(values) - 1, _tails(level)[1])) * error


def _standard_error(values: Float[ndarray, " values"], test_share: float | None) -> float:
    """Of the mean; NaN for a single value."""
    if test_share is not None and not 0 < test_share < 1:
        raise SettingError(
            f"test_share={test_share} is not a share; give a number above 0 and below 1, such as "
            "0.1."
        )

    if len(values) < 2:
        return float("nan")

    overlap = 0.0 if test_share is None else test_share / (1 - test_share)

    return float(np.sqrt((1 / len(values) + overlap) * values.var(ddof=1)))


def _tails(level: float) -> tuple[float, float]:
    """The probabilities below the lower and the upper limit of an interval."""
    if not 0 < level < 1:
        raise SettingError(
            f"level={level} is not a confidence level; give a number between 0 and 1, such as 0.95."
        )
    return (1 - level) / 2, (1 + level) / 2


def _statistic(means: ndarray, statistic: str) -> ndarray:
    if statistic not in ("mean", "root_mean"):
        raise unknown("statistic", statistic, ("mean", "root_mean"))
    return np.sqrt(means) if statistic == "root_mean" else means


def _bootstrap_difference(
    measured: Float[ndarray, " 2"],
    means: Float[ndarray, "resamples 2"],
    statistic: Statistic,
    level: float,
) -> Difference:
    """The difference of two statistics, from the means of both models, measured and resampled."""
    resampled = _statistic(means, statistic)
    differences = resampled[:, 0] - resampled[:, 1]
    low, high = np.quantile(differences, _tails(level))
    n_other_sign = min((differences <= 0).sum(), (differences >= 0).sum())
    p = min(1.0, 2 * (1 + int(n_other_sign)) / (len(differences) + 1))
    first, second = _statistic(measured, statistic)

    return Difference(float(first - second), float(low), float(high), p)


def _resampled_means(
    columns: Sequence[ndarray], group: ndarray | None, n: int, seed: int
) -> Float[ndarray, "resamples columns"]:
    """The mean of each column in resamples of the rows, or of whole groups of rows.

    Args:
        columns: drawn together.
        group: of each row; None: every row is a group of its own.
        n: resamples.
        seed: of the resamples.
    """
    size = np.ones(len(columns[0]))
    if group is not None:
        if len(group) != len(size):
            raise DataError(
                f"{len(size)} values, but {len(group)} groups; give the group of every value."
            )

        number = np.unique(group, return_inverse=True)[1]
        columns = [np.bincount(number, weights=column) for column in columns]
        size = np.bincount(number).astype(np.float64)

    return _resampled_ratios(np.column_stack([*columns, size]), n, seed)


def _resampled_ratios(
    sums: Float[ndarray, "groups columns"], n: int, seed: int
) -> Float[ndarray, "resamples means"]:
    """Each column's total over the last column's in n resamples of the groups."""
    generator = np.random.default_rng(seed)
    n_groups = len(sums)
    totals = np.empty((n, sums.shape[1]))

    for j in range(n):
        drawn = generator.integers(n_groups, size=n_groups)
        weight = np.bincount(drawn, minlength=n_groups)
        totals[j] = weight.astype(np.float64) @ sums

    return totals[:, :-1] / totals[:, -1:]
