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
    # Without rows the mean is 0, and both are draws from the prior.
    mean = x.sum(axis=0) / max(1, n)
    deviation = x - mean
    scatter = deviation.T @ deviation  # N S
    beta = BETA + n  # β_0*

    # W_0*⁻¹ = W_0⁻¹ + N S + β_0 N / (β_0 + N) (μ_0 − x̄) (μ_0 − x̄)ᵀ
    shrunk = BETA * n / beta * np.outer(mean, mean)
    inverse_scale = np.eye(k) + scatter + shrunk
    scale = np.linalg.inv(inverse_scale)
    precision = wishart(scale, k + n, random)

    posterior_mean = n * mean / beta  # μ_0*
    deviate = normal(precision * beta, random)

    return posterior_mean + deviate, precision


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
    deviates = random.standard_normal((k, k))
    lower = np.tril(deviates, -1)

    # The squares on the diagonal have one degree of freedom less from row to row.
    degrees_of_row = degrees - np.arange(k)
    squares = random.chisquare(degrees_of_row)
    lower[np.diag_indices(k)] = np.sqrt(squares)

    root = np.linalg.cholesky(scale)
    lower = root @ lower

    return lower @ lower.T


def normal(
    precision: Float64[np.ndarray, "k k"], random: np.random.Generator
) -> Float64[np.ndarray, " k"]:
    """A draw from N(0, precision⁻¹)."""
    # With precision = L Lᵀ, L⁻ᵀ times standard normal deviates has the covariance precision⁻¹.
    root = np.linalg.cholesky(precision).T
    deviates = random.standard_normal(len(precision))

    return np.linalg.solve(root, deviates)


def noise_precision(squares: float, n: int, random: np.random.Generator) -> float:
    """A draw of the precision of normal noise with mean 0.

    Args:
        squares: the sum of squares of the residuals.
        n: how many residuals there are.
        random: where the randomness comes from.
    """
    shape = ALPHA + n / 2
    rate = ALPHA + squares / 2
    return float(random.gamma(shape) / rate)
