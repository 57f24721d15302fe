"""The weights of a blend, and how far ratings lie from its predictions.

    minimizing  Σ (r − c − Σ_m w_m r̂_m)²  over c and w ≥ 0

The intercept c is free. It drops out if every column is taken less its mean, and what is left is
non-negative least squares (Lawson and Hanson 1974).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.optimize import nnls
from scipy.special import ndtri

FEW = 20  # with fewer validation ratings the best member is taken alone
FOLDS = 10  # of the ratings, to judge weights by ratings that they were not fitted to
LEVELS = np.linspace(0, 1, 101)  # the probabilities whose quantiles are kept
ALMOST_ONE = 0.9999  # the normal distribution has no quantile of 1
LEAST_STD = 1e-6  # if all ratings are equal, a member may be sure

Predicted = Float64[np.ndarray, "ratings members"]
Clip = Callable[[np.ndarray], np.ndarray]


def as_it_is(predicted: np.ndarray) -> np.ndarray:
    """Predictions that are not clipped."""
    return predicted


@dataclass(frozen=True)
class Weights:
    """Σ_m w_m r̂_m + c."""

    weight: Float64[np.ndarray, " members"]  # w
    intercept: float = 0.0  # c

    def sum(self, predicted: Predicted) -> Float64[np.ndarray, " ratings"]:
        """The weighted sum of the members' predictions."""
        return predicted @ self.weight + self.intercept

    @classmethod
    def equal(cls, n_members: int) -> Weights:
        """The mean of the members."""
        return cls(np.full(n_members, 1 / n_members))

    @classmethod
    def only(cls, member: int, n_members: int) -> Weights:
        """One member alone, as it is."""
        return cls(np.eye(n_members)[member])


def least_squares(predicted: Predicted, value: Float64[np.ndarray, " ratings"]) -> Weights:
    """The non-negative weights and the intercept with the smallest squared error.

    Args:
        predicted: what each member predicts of each rating.
        value: the ratings.
    """
    mean_predicted = predicted.mean(axis=0)
    mean_value = float(value.mean())
    weight, _ = nnls(predicted - mean_predicted, value - mean_value)

    return Weights(weight, mean_value - float(mean_predicted @ weight))


def choose_weights(
    predicted: Predicted, value: Float64[np.ndarray, " ratings"], clip: Clip = as_it_is
) -> Weights:
    """The weights of `least_squares`, or the best member alone where these would be overfitted.

    They are overfitted if, by cross-validation, their squared error is not below that of the best
    member. So a blend is never worse than any of its members on these ratings. Without any ratings
    the members are averaged.

    Args:
        predicted: what each member predicts of each rating, not clipped.
        value: the ratings.
        clip: keeps predictions within the rating scale, before they are compared.
    """
    n_ratings, n_members = predicted.shape
    if not n_ratings:
        return Weights.equal(n_members)

    of_members = [mean_squared_error(clip(column), value) for column in predicted.T]
    best = int(np.argmin(of_members))
    alone = Weights.only(best, n_members)
    if n_ratings < FEW:
        return alone

    weights = least_squares(predicted, value)
    blended = mean_squared_error(clip(weights.sum(predicted)), value)
    expected = mean_squared_error(clip(cross_predicted(predicted, value)), value)

    return weights if max(blended, expected) < of_members[best] else alone


def cross_predicted(
    predicted: Predicted, value: Float64[np.ndarray, " ratings"]
) -> Float64[np.ndarray, " ratings"]:
    """The weighted sum for each rating, by weights that were fitted to other ratings.

    Args:
        predicted: what each member predicts of each rating.
        value: the ratings; at least two.
    """
    n_ratings = len(value)
    fold = np.random.default_rng(0).permutation(n_ratings) % min(FOLDS, n_ratings)
    blended = np.empty(n_ratings)

    for number in range(fold.max() + 1):
        inside = fold == number
        weights = least_squares(predicted[~inside], value[~inside])
        blended[inside] = weights.sum(predicted[inside])

    return blended


def mean_squared_error(
    predicted: Float64[np.ndarray, " ratings"], value: Float64[np.ndarray, " ratings"]
) -> float:
    """The mean of (r − r̂)²."""
    return float(np.mean((value - predicted) ** 2))


@dataclass(frozen=True)
class Calibration:
    """How far ratings lie from predictions, in standard deviations that a member states."""

    std_scale: float  # root of the mean square
    quantile: Float64[np.ndarray, " levels"]  # of the absolute value, for each of LEVELS

    @classmethod
    def normal(cls) -> Calibration:
        """That of normal errors whose standard deviation is the stated one."""
        levels = np.minimum(LEVELS, ALMOST_ONE)
        return cls(1.0, ndtri((1 + levels) / 2))

    @classmethod
    def of(
        cls, error: Float64[np.ndarray, " ratings"], std: Float64[np.ndarray, " ratings"]
    ) -> Calibration:
        """From the errors of a blend on ratings that its members have not learned from.

        Args:
            error: of the blend's predictions.
            std: what the member says of each rating.
        """
        if len(error) < FEW:
            return cls.normal()

        n_stds = np.abs(error) / np.maximum(std, LEAST_STD)
        std_scale = float(np.sqrt(np.mean(n_stds**2)))

        return cls(std_scale, np.quantile(n_stds, LEVELS))
