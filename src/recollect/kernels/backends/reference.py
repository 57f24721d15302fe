"""The sparse products by their plain NumPy statements: slow, for comparison."""

import torch
from torch import Tensor

from recollect.kernels.pattern import Pattern
from recollect.kernels.reference import products


def times_dense(pattern: Pattern, value: Tensor, dense: Tensor) -> Tensor:
    """As `products.times_dense`.

    Args:
        pattern: the cells.
        value: one number per cell.
        dense: columns × k.
    """
    out = products.times_dense(
        pattern.start.numpy(), pattern.column.numpy(), value.numpy(), dense.detach().numpy()
    )
    return torch.from_numpy(out)


def observed(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """As `products.observed`.

    Args:
        pattern: the cells.
        left: rows × k.
        right: columns × k.
    """
    out = products.observed(
        pattern.start.numpy(),
        pattern.column.numpy(),
        left.detach().numpy(),
        right.detach().numpy(),
    )
    return torch.from_numpy(out)
