"""Tests over the ratings or users of one split, from resamples of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recollect.errors import DataError, unknown
from recollect.evaluation.intervals import Difference, Figures, Interval, finite, paired, tails

Statistic = Literal["mean", "root_mean"]  # root_mean of squared errors is the RMSE


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
    values = finite(values)
    means = _resampled_means([values], group, n, seed)[:, 0]
    resampled = _statistic(means, statistic)
    low, high = np.quantile(resampled, tails(level))

    mean = values.mean(keepdims=True)
    figure = _statistic(mean, statistic)[0]

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
    first, second = paired(a, b)
    measured = np.array([first.mean(), second.mean()])
    means = _resampled_means([first, second], group, n, seed)

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
    first, second = paired(a, b)
    n_ratings, _ = paired(count, b)
    sums = np.column_stack([first, second, n_ratings])
    total = sums.sum(axis=0)
    measured = total[:-1] / total[-1]
    means = _resampled_ratios(sums, n, seed)

    return _bootstrap_difference(measured, means, statistic, level)


def _bootstrap_difference(
    measured: Float[ndarray, " 2"],
    means: Float[ndarray, "resamples 2"],
    statistic: Statistic,
    level: float,
) -> Difference:
    """The difference of two statistics, from the means of both models, measured and resampled."""
    resampled = _statistic(means, statistic)
    differences = resampled[:, 0] - resampled[:, 1]
    low, high = np.quantile(differences, tails(level))

    n_below = (differences <= 0).sum()
    n_above = (differences >= 0).sum()
    n_other_sign = int(min(n_below, n_above))
    # The measured difference counts as one more resample, so that p is never 0.
    p = 2 * (1 + n_other_sign) / (len(differences) + 1)

    first, second = _statistic(measured, statistic)
    difference = float(first - second)

    return Difference(difference, float(low), float(high), min(1.0, p))


def _statistic(means: ndarray, statistic: str) -> ndarray:
    known = ("mean", "root_mean")
    if statistic not in known:
        raise unknown("statistic", statistic, known)

    if statistic == "root_mean":
        return np.sqrt(means)

    return means


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

    sums = np.column_stack([*columns, size])

    return _resampled_ratios(sums, n, seed)


def _resampled_ratios(
    sums: Float[ndarray, "groups columns"], n: int, seed: int
) -> Float[ndarray, "resamples means"]:
    """Each column's total over the last column's in n resamples of the groups."""
    generator = np.random.default_rng(seed)
    n_groups = len(sums)
    totals = np.empty((n, sums.shape[1]))

    for j in range(n):
        # How often each group is drawn is enough: its rows need not be copied.
        drawn = generator.integers(n_groups, size=n_groups)
        weight = np.bincount(drawn, minlength=n_groups)
        totals[j] = weight.astype(np.float64) @ sums

    total = totals[:, :-1]
    size = totals[:, -1:]

    return total / size
