"""What lies between the factors' predictions and the ratings: a protocol, and normal noise."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64

from recollect.models.bayes_mf.conjugate import noise_precision


@runtime_checkable
class Noise(Protocol):
    """The likelihood: `value` is N(x, 1 / alpha), where x is what the factors predict."""

    value: Float32[np.ndarray, " ratings"]  # what the factors are fitted to
    alpha: float  # precision

    def draw(
        self, x: Float32[np.ndarray, " ratings"], random: np.random.Generator, *, burning_in: bool
    ) -> None:
        """Draw the parameters of the noise, and `value` where it is not observed, given the
        factors.

        Args:
            x: what the factors predict.
            random: where the randomness comes from.
            burning_in: whether this draw will not count.
        """

    def cut(self) -> Float64[np.ndarray, " cuts"]:
        """The cut points between categories; none where ratings are numbers."""

    def state(self) -> dict[str, Any]:
        """What a snapshot needs."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from the state of a snapshot."""


class Gaussian:
    """Normal noise on standardized ratings. A `Noise`."""

    def __init__(self, value: Float32[np.ndarray, " ratings"], alpha: float | None = None) -> None:
        """Start with precision 1.

        Args:
            value: the ratings less their mean, divided by their standard deviation.
            alpha: the precision; None: drawn.
        """
        self.value = value
        self.alpha = 1.0 if alpha is None else alpha
        self._is_fixed = alpha is not None

    def draw(
        self, x: Float32[np.ndarray, " ratings"], random: np.random.Generator, *, burning_in: bool
    ) -> None:
        """Draw the precision given the residuals, unless it is fixed.

        Args:
            x: what the factors predict.
            random: where the randomness comes from.
            burning_in: makes no difference here.
        """
        if not self._is_fixed:
            # Added in 64 bits: a sum of millions of squares would lose digits in 32.
            residual = self.value - x
            squares = np.square(residual, dtype=np.float64)
            sum_of_squares = float(squares.sum())
            self.alpha = noise_precision(sum_of_squares, len(x), random)

    def cut(self) -> Float64[np.ndarray, " cuts"]:
        """No cut points."""
        return np.empty(0)

    def state(self) -> dict[str, Any]:
        """The precision."""
        return {"alpha": self.alpha}

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume with the precision of a snapshot."""
        self.alpha = state["alpha"]
