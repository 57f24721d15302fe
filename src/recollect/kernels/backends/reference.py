"""The definition of every sparse product, in plain NumPy. Slow; what the tests compare the fast ones with.

Dense operands have the row or column axis of the rating matrix first, so that one user's or item's numbers lie together.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from recollect.kernels.pattern import Pattern


def times_dense(pattern: Pattern, value: Tensor, dense: Tensor) -> Tensor:
    """Row j is the sum over its cells c of value[c] · dense[column[c]]: rows × k."""
    at, weight, operand = pattern.column.numpy(), value.numpy(), dense.detach().numpy()
    out = np.zeros((pattern.n_rows, operand.shape[1]), operand.dtype)
    for j, (first, last) in enumerate(pairwise(pattern.start.tolist())):
        out[j] = weight[first:last] @ operand[at[first:last]]
    return torch.from_numpy(out)


def observed(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """One number per cell: the inner product of left[its row] and right[its column]."""
    row = np.repeat(np.arange(pattern.n_rows), np.diff(pattern.start.numpy()))
    return torch.from_numpy(
        (left.detach().numpy()[row] * right.detach().numpy()[pattern.column.numpy()]).sum(axis=1)
    )
