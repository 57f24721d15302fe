"""Draws from conjugate posteriors: the mean and precision of vectors, and the precision of numbers around 0."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

BETA = 2.0  # beta_0: the prior on a mean counts as so many vectors
ALPHA = (
    1.0  # alpha_0 and beta_0 of the Gamma prior on the precision of the noise, as libFM has them
)


def normal_wishart(
    x: Float[np.ndarray, "rows k"], random: np.random.Generator
) -> tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, "k k"]]:
    """A draw of the mean and the precision of which the rows of x are draws.

    The prior: precision ~ W(I, k), mean ~ N(0, (beta_0 precision)⁻¹). Source: Salakhutdinov and Mnih, ICML 2008, equation 14.
    """
    n, k = x.shape
    x = x.astype(np.float64)
    mean = x.sum(axis=0) / max(1, n)
    spread = np.eye(k) + (x - mean).T @ (x - mean) + BETA * n / (BETA + n) * np.outer(mean, mean)
    precision = wishart(np.linalg.inv(spread), k + n, random)
    around = n * mean / (BETA + n)
    return around + normal(precision * (BETA + n), random), precision


def wishart(
    scale: Float64[np.ndarray, "k k"], freedom: int, random: np.random.Generator
) -> Float64[np.ndarray, "k k"]:
    """A draw from W(scale, freedom), whose mean is freedom · scale: Bartlett's decomposition."""
    k = len(scale)
    lower = np.tril(random.standard_normal((k, k)), -1)
    lower[np.diag_indices(k)] = np.sqrt(random.chisquare(freedom - np.arange(k)))
    lower = np.linalg.cholesky(scale) @ lower
    return lower @ lower.T


def normal(
    precision: Float64[np.ndarray, "k k"], random: np.random.Generator
) -> Float64[np.ndarray, " k"]:
    """A draw from N(0, precision⁻¹)."""
    return np.linalg.solve(np.linalg.cholesky(precision).T, random.standard_normal(len(precision)))


def noise_precision(square: float, n: int, random: np.random.Generator) -> float:
    """A draw of the precision of n numbers around 0, from the sum of their squares."""
    return float(random.gamma(ALPHA + n / 2) / (ALPHA + square / 2))
