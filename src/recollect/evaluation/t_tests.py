"""Tests over repeated splits, or over separate data: t-intervals, t-tests, Wilcoxon's test."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recollect.errors import SettingError
from recollect.evaluation.intervals import Difference, Figures, Interval, finite, paired, tails


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
    values = finite(values)
    mean = float(values.mean())
    half_width = _half_width(values, level, test_share)
    low = mean - half_width
    high = mean + half_width

    return Interval(mean, low, high)


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

    first, second = paired(a, b)
    difference = first - second
    nonzero = difference[difference != 0]
    if not len(nonzero):
        return 1.0

    result = stats.wilcoxon(nonzero)

    return float(result.pvalue)


def _t_test(a: Figures, b: Figures, level: float, test_share: float | None) -> Difference:
    from scipy.special import stdtr

    first, second = paired(a, b)
    difference = first - second
    mean = float(difference.mean())
    half_width = _half_width(difference, level, test_share)
    error = _standard_error(difference, test_share)
    if np.isnan(error):
        p = float("nan")
    elif error == 0:
        # All differences are equal: t is infinite, or 0 / 0 where they are all 0.
        p = 0.0 if mean else 1.0
    else:
        degrees = len(difference) - 1
        t = -abs(mean) / error
        p = 2 * float(stdtr(degrees, t))

    low = mean - half_width
    high = mean + half_width

    return Difference(mean, low, high, p)


def _half_width(values: Float[ndarray, " values"], level: float, test_share: float | None) -> float:
    """Of the t-interval; NaN for a single value."""
    from scipy.special import stdtrit

    error = _standard_error(values, test_share)
    if np.isnan(error):
        return error

    degrees = len(values) - 1
    _, upper = tails(level)
    quantile = float(stdtrit(degrees, upper))

    return quantile * error


def _standard_error(values: Float[ndarray, " values"], test_share: float | None) -> float:
    """Of the mean; NaN for a single value."""
    if test_share is not None and not 0 < test_share < 1:
        raise SettingError(
            f"test_share={test_share} is not a share; give a number above 0 and below 1, such as "
            "0.1."
        )

    if len(values) < 2:
        return float("nan")

    # (1/n + test/train) s²; independent values do not overlap.
    overlap = 0.0 if test_share is None else test_share / (1 - test_share)
    variance = values.var(ddof=1)
    variance_of_mean = (1 / len(values) + overlap) * variance

    return float(np.sqrt(variance_of_mean))
