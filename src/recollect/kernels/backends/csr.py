"""The sparse products by torch's own CSR routines: compiled, threaded, on the CPU and on a GPU."""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import Tensor

from recollect.kernels.pattern import Pattern


@cache
def _silence_the_beta_warning() -> None:
    """Let torch warn once, unseen, that CSR is in beta; the tests compare our use with NumPy."""
    start = torch.tensor([0, 0])
    column = torch.tensor([], dtype=torch.int64)
    value = torch.tensor([])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(start, column, value, (1, 1))


def _csr(pattern: Pattern, value: Tensor) -> Tensor:
    _silence_the_beta_warning()
    shape = (pattern.n_rows, pattern.n_columns)
    return torch.sparse_csr_tensor(
        pattern.start, pattern.column, value, shape, check_invariants=False
    )


def times_dense(pattern: Pattern, value: Tensor, dense: Tensor) -> Tensor:
    """Row j is the sum over its cells c of value[c] · dense[column[c]]: rows × k.

    Args:
        pattern: the cells.
        value: one number per cell.
        dense: columns × k.
    """
    if not len(pattern):
        return dense.new_zeros(pattern.n_rows, dense.shape[1])
    return _csr(pattern, value) @ dense


def observed(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """One number per cell: the inner product of left[its row] and right[its column].

    Args:
        pattern: the cells.
        left: rows × k.
        right: columns × k.
    """
    if not len(pattern):
        return left.new_zeros(0)

    # The pattern says where products are wanted; beta = 0 keeps its numbers out of the sums.
    zeros = left.new_zeros(len(pattern))
    wanted = _csr(pattern, zeros)
    products = torch.sparse.sampled_addmm(wanted, left, right.t(), beta=0.0)

    return products.values()
