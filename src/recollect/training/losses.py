"""Losses. Each returns a sum and a count, so that parts add up and are divided once."""

from jaxtyping import Float
from torch import Tensor


def squared_error(predicted: Float[Tensor, " cells"], value: Float[Tensor, " cells"]) -> tuple[Tensor, int]:
    """Sum of squared differences, and how many."""
    difference = predicted - value
    return difference @ difference, len(value)
