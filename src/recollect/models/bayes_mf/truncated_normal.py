"""Standard normal distributions truncated to an interval: draws, and the mean."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.special import log_ndtr, ndtr, ndtri

FAR = -35.0  # below it the normal distribution function is 0 in 64 bits


def draw(
    low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"], uniform: Float[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """Draws from N(0, 1) between bounds: the inverse of the distribution function at `uniform`.

    Args:
        low: lower bounds; may be −∞.
        high: upper bounds; may be ∞.
        uniform: uniform random numbers between 0 and 1.
    """
    mirrored, a, b = _mirrored(low, high)
    below = ndtr(a)
    between = ndtr(b) - below
    x = ndtri(below + uniform * between)

    far = b < FAR
    if far.any():
        # In the far tail x²/2 has nearly an exponential distribution, to a thousandth.
        square = b[far] ** 2
        length = (square - a[far] ** 2) / 2
        exponential = np.log1p(uniform[far] * np.expm1(length))
        x[far] = -np.sqrt(square - 2 * exponential)

    # Rounding may put a draw beside a narrow interval.
    x = np.clip(x, a, b)

    return np.where(mirrored, -x, x)


def mean(low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """The mean of N(0, 1) between bounds, which may be infinite: (φ(low) − φ(high)) / (Φ(high) −
    Φ(low))."""
    mirrored, a, b = _mirrored(low, high)
    # In logarithms, since in a tail both the densities and the probability are near 0.
    log_below = log_ndtr(a)
    log_above = log_ndtr(b)
    ratio = np.exp(log_below - log_above)
    log_between = log_above + np.log1p(-ratio)
    at_low = np.exp(_log_density(a) - log_between)
    at_high = np.exp(_log_density(b) - log_between)
    x = at_low - at_high

    return np.where(mirrored, -x, x)


def _mirrored(
    low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"]
) -> tuple[Bool[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Which intervals lie above 0, and the bounds with these mirrored at 0.

    Next to 1 the distribution function has lost its digits; next to 0 it has not.
    """
    mirrored = low > 0
    a = np.where(mirrored, -high, low)
    b = np.where(mirrored, -low, high)

    return mirrored, a, b


def _log_density(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    log_normalizer = 0.5 * np.log(2 * np.pi)
    exponent = -0.5 * x * x

    return exponent - log_normalizer
