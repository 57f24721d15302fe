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


def square_of_rows(weight: Tensor, row: Tensor, share: Tensor) -> Tensor:
    """Σ share · ‖weight[row]‖² over these rows; the gradient is row-sparse. `row` ascends, each once."""
    return _SquareOfRows.apply(weight, row, share)


class _SquareOfRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, row: Tensor, share: Tensor) -> Tensor:
        some = weight[row]
        ctx.save_for_backward(some, row, share)
        ctx.shape = weight.shape
        return share @ some.square().sum(dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        some, row, share = ctx.saved_tensors
        rows = some * (2 * grads[0] * share)[:, None]
        return torch.sparse_coo_tensor(row[None], rows, ctx.shape, is_coalesced=True), None, None
