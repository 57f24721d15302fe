"""The definition of every sparse product, in plain NumPy. Slow; what the tests compare the fast ones with.

A block of sparse rows is given as `start` and `column` (see `kernels.Block`); dense operands have the row or column axis
of the rating matrix first, so that one user's or item's numbers lie together.
"""

import numpy as np
import torch
from torch import Tensor


def times_dense(start: Tensor, column: Tensor, value: Tensor, dense: Tensor) -> Tensor:
    """Row j is the sum over its cells c of value[c] · dense[column[c]]: rows × k."""
    at, weight, operand = column.numpy(), value.numpy(), dense.detach().numpy()
    out = np.zeros((len(start) - 1, operand.shape[1]), operand.dtype)
    for j, (first, last) in enumerate(zip(start[:-1].tolist(), start[1:].tolist(), strict=True)):
        out[j] = weight[first:last] @ operand[at[first:last]]
    return torch.from_numpy(out)


def observed(start: Tensor, column: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """One number per cell: the inner product of left[its row] and right[its column]."""
    row = np.repeat(np.arange(len(start) - 1), np.diff(start.numpy()))
    return torch.from_numpy((left.detach().numpy()[row] * right.detach().numpy()[column.numpy()]).sum(axis=1))
