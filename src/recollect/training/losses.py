"""Losses. Each returns a sum and a count, so that parts add up and are divided once."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def squared_error(predicted: Float[Tensor, " cells"], value: Float[Tensor, " cells"]) -> tuple[Tensor, int]:
    """Sum of squared differences, and how many."""
    difference = predicted - value
    return difference @ difference, len(value)


def square(weight: Tensor) -> Tensor:
    """‖weight‖², without a copy of the weight on the way (autograd's own way makes three)."""
    return _Square.apply(weight)


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        flat = weight.reshape(-1)
        return flat @ flat

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (weight,) = ctx.saved_tensors
        return weight * (2 * grads[0])
