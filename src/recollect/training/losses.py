"""Losses and penalties. A loss returns a sum and a count, so that parts add up and are divided once."""

import torch
from jaxtyping import Float
from torch import Tensor


def squared_error(predicted: Float[Tensor, " cells"], value: Float[Tensor, " cells"]) -> tuple[Tensor, int]:
    """Sum of squared differences, and how many."""
    difference = predicted - value
    return difference @ difference, len(value)


@torch.no_grad()
def add_ridge(weight: Tensor, reg: float, share: Tensor | None = None) -> float:
    """The value of reg/2 · ‖weight‖²; its gradient is added to the weight's own, in place (autograd would make copies).

    With a row-sparse gradient only its rows count, each with its `share`.
    """
    assert weight.grad is not None, "a parameter that the objective does not depend on"
    if share is None:
        weight.grad.add_(weight, alpha=reg)
        flat = weight.reshape(-1)
        return reg / 2 * float(flat @ flat)
    rows, some = weight.grad._indices()[0], weight.grad._values()
    here = weight[rows]
    some.addcmul_(here, share[:, None], value=reg)
    return reg / 2 * float(share @ here.square().sum(dim=1))
