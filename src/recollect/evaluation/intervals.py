"""Figures with intervals, and the checks that every test makes of its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from numpy import ndarray

from recollect.errors import DataError, SettingError

Figures = Num[ndarray, " _"] | Sequence[float | int]  # one per split, per rating or per user


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


def finite(values: Figures) -> Float[ndarray, " values"]:
    """The values in double precision.

    Raises:
        DataError: if there are none or some are not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    is_finite = np.isfinite(values)
    if not len(values) or not is_finite.all():
        n_bad = int((~is_finite).sum())
        raise DataError(
            f"Found {len(values)} values, {n_bad} of them NaN or infinite; give one value or more, "
            "all finite (leave out users with nothing relevant)."
        )

    return values


def paired(a: Figures, b: Figures) -> tuple[ndarray, ndarray]:
    """Both models' values, in double precision.

    Raises:
        DataError: if they differ in number or are not finite.
    """
    if len(a) != len(b):
        raise DataError(
            f"{len(a)} values and {len(b)} values: these are not the same test ratings; score both "
            "models on the same split, in the same order."
        )

    return finite(a), finite(b)


def tails(level: float) -> tuple[float, float]:
    """The probabilities below the lower and the upper limit of an interval."""
    if not 0 < level < 1:
        raise SettingError(
            f"level={level} is not a confidence level; give a number between 0 and 1, such as 0.95."
        )

    lower = (1 - level) / 2
    upper = (1 + level) / 2

    return lower, upper
