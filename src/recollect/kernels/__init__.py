"""2 · The sparse products that everything expensive comes down to.

Training an autoencoder on a rating matrix needs two operations and their gradients:

    times_dense   sparse rows × dense            the first layer
    observed      dense · dense at the cells     the last layer, only where there is a rating

The gradient of either is made of the same two, with rows and columns exchanged: a `Block` therefore keeps both
orientations, and autograd never transposes anything. A backend is a module with these two functions on plain tensors
(`reference`, `csr`); a faster one takes its place in `backend_for`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from recollect.kernels import csr, reference

BACKENDS: dict[str, ModuleType] = {"reference": reference, "csr": csr}


def backend_for(device: torch.device) -> ModuleType:
    """The fastest backend for a device."""
    return csr


class Block:
    """A block of sparse rows on a device: `start`, `column` and `value` as in CSR, and the same by column."""

    def __init__(self, start: np.ndarray, column: np.ndarray, value: np.ndarray | None = None, *, n_columns: int,
                 device: str | torch.device = "cpu", backend: str | None = None) -> None:
        if len(column) >= 2**31:
            raise OverflowError(f"A block holds at most 2**31 - 1 cells, found {len(column)}; use smaller batches.")
        self.device = torch.device(device)
        self.start = torch.as_tensor(start.astype(np.int32)).to(self.device)
        self.column = torch.as_tensor(np.ascontiguousarray(column, dtype=np.int32)).to(self.device)
        self.value = None if value is None else torch.as_tensor(value).to(self.device)
        self.n_columns = n_columns
        self.backend = BACKENDS[backend] if backend else backend_for(self.device)
        self._flipped: tuple[Tensor, Tensor, Tensor] | None = None

    @property
    def n_rows(self) -> int:
        """Rows of the block."""
        return len(self.start) - 1

    @property
    def n_cells(self) -> int:
        """Cells of the block."""
        return len(self.column)

    @property
    def flipped(self) -> tuple[Tensor, Tensor, Tensor]:
        """The cells by column: start, row, and which cell each one is. Computed once, when first asked for."""
        if self._flipped is None:
            cell = np.arange(self.n_cells, dtype=np.int32)
            by_column = csr_array((cell, self.column.cpu().numpy(), self.start.cpu().numpy()),
                                  shape=(self.n_rows, self.n_columns)).tocsc()
            parts = (by_column.indptr, by_column.indices, by_column.data)
            start, row, order = (torch.as_tensor(part.astype(np.int32, copy=False)).to(self.device) for part in parts)
            self._flipped = start, row, order
        return self._flipped


class _TimesDense(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, block: Block, value: Tensor, dense: Tensor) -> Tensor:
        ctx.block = block
        ctx.save_for_backward(value)
        return block.backend.times_dense(block.start, block.column, value, dense)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:
        start, row, order = ctx.block.flipped
        (value,) = ctx.saved_tensors
        return None, None, ctx.block.backend.times_dense(start, row, value[order], grads[0].contiguous())


class _Observed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, block: Block, left: Tensor, right: Tensor) -> Tensor:
        ctx.block = block
        ctx.save_for_backward(left, right)
        return block.backend.observed(block.start, block.column, left, right)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor]:
        block, grad = ctx.block, grads[0].contiguous()
        left, right = ctx.saved_tensors
        start, row, order = block.flipped
        return (None, block.backend.times_dense(block.start, block.column, grad, right),
                block.backend.times_dense(start, row, grad[order], left))


def times_dense(block: Block, dense: Float[Tensor, "columns k"],
                value: Float[Tensor, " cells"] | None = None) -> Float[Tensor, "rows k"]:
    """The block's rows times a dense matrix; `value` takes the place of the block's own values.

    Differentiable in `dense`; values are data and get no gradient.
    """
    value = block.value if value is None else value
    if value is None:
        raise ValueError("This block has a pattern but no values; pass value=.")
    return _TimesDense.apply(block, value, dense)


def observed(block: Block, left: Float[Tensor, "rows k"],
             right: Float[Tensor, "columns k"]) -> Float[Tensor, " cells"]:
    """left · rightᵀ at the block's cells only. Differentiable in both."""
    return _Observed.apply(block, left, right)
