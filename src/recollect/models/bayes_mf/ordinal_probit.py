"""Ordered probit: ratings are categories between the cut points of a latent normal variable.

A rating is category c if z ~ N(x, 1) lies between cut points c − 1 and c, where x is what the
factors predict. Given the cut points, z is drawn from a truncated normal distribution. The cut
points are drawn by Metropolis-Hastings, with z integrated out, in coordinates without constraints:
the first cut point, and the logarithms of the differences. A proposal is a Newton step away, with
noise of Student's t distribution. Lighter tails would not do: cut points that have fallen behind
the factors would never catch up, because a proposal back to where they are would be too unlikely.

Source: Albert, Chib. "Bayesian Analysis of Binary and Polychotomous Response Data." JASA 1993; for
    the cut points "Sequential Ordinal Modeling with Applications to Survival Data." Biometrics
    2001. Newton steps: Qi, Minka. "Hessian-based Markov Chain Monte-Carlo Algorithms." 2002.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int
from scipy.special import ndtr, ndtri

from recollect.models.bayes_mf import truncated_normal

T_DEGREES = 5  # degrees of freedom of the t distribution of proposals
LEAST_PROBABILITY = 1e-300  # of a rating; less would make infinite gradients


@dataclass
class CutPointFit:
    """The log-likelihood of cut points, and its derivatives in unconstrained coordinates."""

    log_likelihood: float
    gradient: Float64[np.ndarray, " cuts"]
    # The sum over ratings of the outer products of their gradients, which approximates the negative
    # Hessian and is never indefinite.
    information: Float64[np.ndarray, "cuts cuts"]

    @property
    def newton_step(self) -> Float64[np.ndarray, " cuts"]:
        """The step to the maximum, if the log-likelihood were quadratic."""
        return np.linalg.solve(self.information, self.gradient)


class OrdinalProbit:
    """Noise whose `value` is the latent variable z, of precision 1. A `Noise`."""

    alpha = 1.0

    def __init__(self, category: Int[np.ndarray, " ratings"], n_categories: int) -> None:
        """Cut points at the quantiles of the categories, latent variables at their means.

        Args:
            category: of each rating, from 0.
            n_categories: how many there are.
        """
        self._category = category
        self.n_cuts = n_categories - 1
        n_ratings = len(category)
        count = np.bincount(category, minlength=n_categories)
        # Above the highest category there is no cut point.
        n_below = np.cumsum(count)[:-1]
        self._cut = ndtri(n_below / max(1, n_ratings))

        x = np.zeros(n_ratings)
        low, high = self.bounds(x)
        mean = truncated_normal.mean(low, high)
        self.value = mean.astype(np.float32)

    def bounds(
        self, x: Float[np.ndarray, " ratings"]
    ) -> tuple[Float64[np.ndarray, " ratings"], Float64[np.ndarray, " ratings"]]:
        """Lower and upper bounds of z − x."""
        return bounds(self._cut, self._category, x)

    def draw(
        self, x: Float32[np.ndarray, " ratings"], random: np.random.Generator, *, burning_in: bool
    ) -> None:
        """Draw the cut points, then the latent variables.

        Args:
            x: what the factors predict.
            random: where the randomness comes from.
            burning_in: accept every proposal.
        """
        current = unconstrained(self._cut)
        fit = self.fit(current, x)
        deviate = _student_t(fit, random)
        proposed = current + fit.newton_step + deviate
        proposed_fit = self.fit(proposed, x)

        # Proposals are not symmetric: a Newton step from the proposed point leads elsewhere.
        log_back = _log_proposal_density(current, proposed, proposed_fit)
        log_forth = _log_proposal_density(proposed, current, fit)
        gain = proposed_fit.log_likelihood - fit.log_likelihood
        log_ratio = gain + log_back - log_forth

        # During burn-in the cut points may start far away, where every way back looks unlikely.
        if burning_in or np.log(random.random()) < log_ratio:
            self._cut = cut_points(proposed)

        low, high = self.bounds(x)
        uniform = random.random(len(x))
        z = x + truncated_normal.draw(low, high, uniform)
        self.value = z.astype(np.float32)

    def fit(
        self, coordinates: Float64[np.ndarray, " cuts"], x: Float32[np.ndarray, " ratings"]
    ) -> CutPointFit:
        """The log-likelihood of cut points, given in unconstrained coordinates."""
        cut = cut_points(coordinates)
        low, high = bounds(cut, self._category, x)
        probability = _probability(low, high)
        probability = np.maximum(probability, LEAST_PROBABILITY)
        up = _density(high) / probability
        down = _density(low) / probability
        gradient, information = self._derivatives(up, down)

        # d cut / d coordinates: a cut point is the first one plus the differences up to it.
        first_and_differences = np.concatenate([[1.0], np.diff(cut)])
        shape = (self.n_cuts, self.n_cuts)
        jacobian = np.tril(np.broadcast_to(first_and_differences, shape))
        log_likelihood = np.log(probability).sum()

        # The chain rule. Second derivatives of the coordinates are left out, as in Gauss-Newton.
        return CutPointFit(
            float(log_likelihood),
            jacobian.T @ gradient,
            jacobian.T @ information @ jacobian,
        )

    def _derivatives(
        self, up: Float64[np.ndarray, " ratings"], down: Float64[np.ndarray, " ratings"]
    ) -> tuple[Float64[np.ndarray, " cuts"], Float64[np.ndarray, "cuts cuts"]]:
        """Gradient and information of the log-likelihood in the cut points themselves.

        Args:
            up: d log p / d (upper cut point) of each rating.
            down: −d log p / d (lower cut point).
        """

        def sums(x: Float64[np.ndarray, " ratings"]) -> Float64[np.ndarray, " categories"]:
            n_categories = self.n_cuts + 1
            return np.bincount(self._category, weights=x, minlength=n_categories)

        # A cut point is the upper one of the category below it and the lower one of the next.
        from_below = sums(up)[:-1]
        from_above = sums(down)[1:]
        gradient = from_below - from_above
        squares_from_below = sums(up * up)[:-1]
        squares_from_above = sums(down * down)[1:]
        squares = squares_from_below + squares_from_above
        information = np.diag(squares)

        # Categories with a cut point on either side join the two.
        products = sums(up * down)[1:-1]
        for index, product in enumerate(products):
            information[index, index + 1] = -product
            information[index + 1, index] = -product

        return gradient, information

    def cut(self) -> Float64[np.ndarray, " cuts"]:
        """The cut points, ascending."""
        return self._cut

    def state(self) -> dict[str, Any]:
        """The cut points and the latent variables."""
        # As tensors: snapshots hold no arrays.
        cut = torch.from_numpy(self._cut)
        value = torch.from_numpy(self.value)

        return {"cut": cut, "value": value}

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from the state of a snapshot."""
        self._cut = state["cut"].numpy()
        self.value = state["value"].numpy()


def bounds(
    cut: Float[np.ndarray, " cuts"],
    category: Int[np.ndarray, " ratings"],
    x: Float[np.ndarray, " ratings"],
) -> tuple[Float64[np.ndarray, " ratings"], Float64[np.ndarray, " ratings"]]:
    """Lower and upper bounds of z − x: infinite below the lowest category and above the highest.

    Args:
        cut: the cut points.
        category: of each rating.
        x: what the factors predict.
    """
    edges = np.concatenate([[-np.inf], cut, [np.inf]])
    lower = edges[category]
    upper = edges[category + 1]
    low = lower - x
    high = upper - x

    return low, high


def unconstrained(cut: Float64[np.ndarray, " cuts"]) -> Float64[np.ndarray, " cuts"]:
    """Coordinates of cut points: the first, and the logarithms of the differences."""
    first = cut[:1]
    log_differences = np.log(np.diff(cut))

    return np.concatenate([first, log_differences])


def cut_points(coordinates: Float64[np.ndarray, " cuts"]) -> Float64[np.ndarray, " cuts"]:
    """The inverse of `unconstrained`; ascending for any coordinates."""
    first = coordinates[:1]
    differences = np.exp(coordinates[1:])

    return np.cumsum(np.concatenate([first, differences]))


def _probability(
    low: Float64[np.ndarray, " ratings"], high: Float64[np.ndarray, " ratings"]
) -> Float64[np.ndarray, " ratings"]:
    """P(low < N(0, 1) < high); intervals above 0 are mirrored, where no digits are lost."""
    mirrored = ndtr(-low) - ndtr(-high)
    direct = ndtr(high) - ndtr(low)
    is_above = low > 0

    return np.where(is_above, mirrored, direct)


def _density(x: Float64[np.ndarray, " ratings"]) -> Float64[np.ndarray, " ratings"]:
    """φ(x), 0 where x is infinite."""
    normalizer = np.sqrt(2 * np.pi)
    exponent = -0.5 * x * x

    return np.exp(exponent) / normalizer


def _student_t(fit: CutPointFit, random: np.random.Generator) -> Float64[np.ndarray, " cuts"]:
    """Student's t distribution around 0 with scale information⁻¹."""
    root = np.linalg.cholesky(fit.information).T
    standard = random.standard_normal(len(fit.gradient))
    normal = np.linalg.solve(root, standard)

    # One divisor for all coordinates, as the multivariate distribution has it.
    square = random.chisquare(T_DEGREES) / T_DEGREES
    deviate: np.ndarray = normal / np.sqrt(square)

    return deviate


def _log_proposal_density(
    proposed: Float64[np.ndarray, " cuts"],
    current: Float64[np.ndarray, " cuts"],
    fit: CutPointFit,
) -> float:
    """The logarithm of the density with which `proposed` is proposed, up to a constant; `fit` is
    that of `current`."""
    deviation = proposed - current - fit.newton_step
    distance = deviation @ fit.information @ deviation
    log_distance = np.log1p(distance / T_DEGREES)
    # The scale differs between the two proposals, so its determinant does not cancel.
    _, log_determinant = np.linalg.slogdet(fit.information)
    n_cuts = len(deviation)
    exponent = 0.5 * (T_DEGREES + n_cuts)

    return float(0.5 * log_determinant - exponent * log_distance)
