"""The sparse products by torch's own CSR routines: compiled, threaded, on the CPU and on a GPU."""

import warnings

import torch
from torch import Tensor

# Said once per process by torch of everything that is CSR; the parity tests hold what we use of it to its definition.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


def _csr(start: Tensor, column: Tensor, value: Tensor, n_columns: int) -> Tensor:
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
