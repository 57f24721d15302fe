"""Normal numbers of which only the part between two bounds is left: draws, and the mean."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import log_ndtr, ndtr, ndtri

FAR = -35.0  # below it a normal number's probability is nothing in 64 bits


def draw(
    low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"], uniform: Float[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Draws from N(0, 1) between the bounds, which may be infinite: the inverse of the distribution function at `uniform`.

    Bounds above 0 are mirrored, so that digits are not lost next to 1. In the far tail the density at x is that of x²/2 having an
    exponential distribution, but for a factor that is the same to a thousandth.
    """
    mirrored = low > 0
    a, b = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    below = ndtr(a)
    x = ndtri(below + uniform * (ndtr(b) - below))
    if (far := b < FAR).any():
        square = b[far] ** 2
        x[far] = -np.sqrt(
            square - 2 * np.log1p(uniform[far] * np.expm1((square - a[far] ** 2) / 2))
        )
    x = np.clip(x, a, b)
    return np.where(mirrored, -x, x)


def mean(low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """The mean of N(0, 1) between the bounds, which may be infinite."""
    mirrored = low > 0
    a, b = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    log_below, log_above = log_ndtr(a), log_ndtr(b)
    log_between = log_above + np.log1p(-np.exp(log_below - log_above))
    x = np.exp(_log_density(a) - log_between) - np.exp(_log_density(b) - log_between)
    return np.where(mirrored, -x, x)


def _log_density(x: np.ndarray) -> np.ndarray:
    return -0.5 * x * x - 0.5 * np.log(2 * np.pi)
