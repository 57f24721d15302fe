"""Every weight between items: one inverse of an items × items matrix, in its own place."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32
from scipy.linalg import lapack
from torch import nn

from recollect.data.sparse_rows import Rows
from recollect.errors import TrainingError

BLOCK = 1024  # columns of a matrix that are written at once


class Weights(nn.Module):
    """The network: B."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.weight = nn.Buffer(torch.zeros(n_items, n_items))


def solve_exactly(net: Weights, x: Rows, *, reg: float, noise: float) -> None:
    """Write B into the network.

    Args:
        net: overwritten.
        x: a row of √w for each user.
        reg: λ.
        noise: p / (1 − p).

    Raises:
        TrainingError: if 32 bits cannot solve it.
    """
    weight = net.weight.cpu().numpy()  # on the CPU the network's own memory
    add_gramian(x, weight)
    diagonal = weight.diagonal()
    np.fill_diagonal(weight, diagonal + np.float32(noise) * diagonal + np.float32(reg))
    invert(weight)
    weight /= -weight.diagonal().copy()
    np.fill_diagonal(weight, 0)
    net.weight.copy_(torch.from_numpy(weight))


def add_gramian(rows: Rows, out: Float[np.ndarray, "columns columns"]) -> None:
    """out += XᵀX, a block of columns at a time.

    Args:
        rows: X.
        out: changed in place.
    """
    x = rows.as_csr()
    by_column = x.tocsc()
    transposed = x.T.tocsr()

    for first in range(0, rows.n_columns, BLOCK):
        columns = slice(first, first + BLOCK)
        out[:, columns] += (transposed @ by_column[:, columns]).toarray()


def invert(matrix: Float32[np.ndarray, "n n"]) -> None:
    """The inverse of a symmetric positive definite matrix, in its place.

    Raises:
        TrainingError: if it is too close to a singular one for 32 bits.
    """
    # LAPACK reads columns, which of a symmetric matrix are the rows.
    columns = matrix.T
    factor, failed = lapack.spotrf(columns, lower=1, overwrite_a=1, clean=0)
    if not failed:
        inverse, failed = lapack.spotri(factor, lower=1, overwrite_c=1)

    if failed:
        raise TrainingError(
            "The weights between items cannot be computed in 32 bits: raise reg (--set reg=…)."
        )

    mirror(inverse)
    matrix[...] = inverse


def mirror(matrix: Float[np.ndarray, "n n"]) -> None:
    """Write the lower triangle of a matrix into its upper one."""
    for first in range(0, len(matrix), BLOCK):
        block = slice(first, first + BLOCK)
        lower = np.tril(matrix[block, block])
        matrix[block, block] = lower + np.tril(lower, -1).T
        matrix[block, block.stop :] = matrix[block.stop :, block].T
