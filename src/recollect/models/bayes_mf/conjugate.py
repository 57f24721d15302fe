"""Draws from conjugate posteriors: mean and precision of vectors, and the precision of noise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

BETA = 2.0  # beta_0: the prior on a mean counts as so many vectors
# alpha_0 and beta_0 of the Gamma prior on the precision of the noise, as in libFM.
ALPHA = 1.0


def normal_wishart(
    x: Float[np.ndarray, "rows k"], random: np.random.Generator
) -> tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, "k k"]]:
    """A draw of the mean μ and the precision Λ of the distribution that the rows of x come from.

        Λ ~ W(W_0*, ν_0*),        μ ~ N(μ_0*, (β_0* Λ)⁻¹)

    with the prior μ_0 = 0, β_0 = 2, W_0 = I and ν_0 = k.

    Source: Salakhutdinov and Mnih, ICML 2008, equation 14.
    """
    n, k = x.shape
    x = x.astype(np.float64)
    mean = x.sum(axis=0) / max(1, n)
    scatter = (x - mean).T @ (x - mean)
    # W_0*⁻¹ = W_0⁻¹ + N S + β_0 N / (β_0 + N) (μ_0 − x̄) (μ_0 − x̄)ᵀ
    inverse_scale = np.eye(k) + scatter + BETA * n / (BETA + n) * np.outer(mean, mean)
    precision = wishart(np.linalg.inv(inverse_scale), k + n, random)
    posterior_mean = n * mean / (BETA + n)  # μ_0*

    return posterior_mean + normal(precision * (BETA + n), random), precision


def wishart(
    scale: Float64[np.ndarray, "k k"], degrees: int, random: np.random.Generator
) -> Float64[np.ndarray, "k k"]:
    """A draw from the Wishart distribution W(scale, degrees), by Bartlett's decomposition.

    Args:
        scale: the mean divided by the degrees of freedom.
        degrees: degrees of freedom, at least k.
        random: where the randomness comes from.
    """
    k = len(scale)
    lower = np.tril(random.standard_normal((k, k)), -1)
    lower[np.diag_indices(k)] = np.sqrt(random.chisquare(degrees - np.arange(k)))
    lower = np.linalg.cholesky(scale) @ lower
    return lower @ lower.T


def normal(
    precision: Float64[np.ndarray, "k k"], random: np.random.Generator
) -> Float64[np.ndarray, " k"]:
    """A draw from N(0, precision⁻¹)."""
    root = np.linalg.cholesky(precision).T
    return np.linalg.solve(root, random.standard_normal(len(precision)))


def noise_precision(squares: float, n: int, random: np.random.Generator) -> float:
    """A draw of the precision of normal noise with mean 0.

    Args:
        squares: the sum of squares of the residuals.
        n: how many residuals there are.
        random: where the randomness comes from.
    """
    return float(random.gamma(ALPHA + n / 2) / (ALPHA + squares / 2))
