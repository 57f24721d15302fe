"""The sparse products by torch's own CSR routines: compiled, threaded, on the CPU and on a GPU."""

import warnings
from functools import cache

import torch
from torch import Tensor


@cache
def _hear_the_warning() -> None:
    """Let torch say, once and unheard, that CSR is in beta: the parity tests hold what we use of it to its definition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([], dtype=torch.int64), torch.tensor([]), (1, 1))


def _csr(start: Tensor, column: Tensor, value: Tensor, n_columns: int) -> Tensor:
    _hear_the_warning()
    return torch.sparse_csr_tensor(start, column, value, (len(start) - 1, n_columns), check_invariants=False)


def times_dense(start: Tensor, column: Tensor, value: Tensor, dense: Tensor) -> Tensor:
    """Row j is the sum over its cells c of value[c] · dense[column[c]]: rows × k."""
    if not len(column):
        return dense.new_zeros(len(start) - 1, dense.shape[1])
    return _csr(start, column, value, dense.shape[0]) @ dense


def observed(start: Tensor, column: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """One number per cell: the inner product of left[its row] and right[its column]."""
    if not len(column):
        return left.new_zeros(0)
    where = _csr(start, column, left.new_zeros(len(column)), right.shape[0])
    return torch.sparse.sampled_addmm(where, left, right.t(), beta=0.0).values()
