"""The two sparse products that training an autoencoder on a rating matrix needs, and their gradients.

    times_dense   sparse rows × dense            the first layer
    observed      dense · dense at the cells     the last layer, only where there is a rating

The gradient of either is made of the same two, with rows and columns exchanged: a `Block` therefore keeps both
orientations, and autograd never transposes anything.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recollect.kernels.block import Block


def _columns_times(block: Block, value: Tensor, dense: Tensor) -> Tensor:
    """The gradient of an operand with a row per column: dense, or row-sparse if the block is lazy."""
    value = block.by_column(value)
    if not block.lazy:
        return block.backend.times_dense(block.columns[0], value, dense)
    pattern, column = block.touched
    rows = block.backend.times_dense(pattern, value, dense)
    shape = block.n_columns, dense.shape[1]
    return torch.sparse_coo_tensor(
        column[None], rows, shape, is_coalesced=True, check_invariants=False
    )


class _TimesDense(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, block: Block, value: Tensor, dense: Tensor) -> Tensor:
        ctx.block, ctx.value = block, value
        with torch.autocast(dense.device.type, enabled=False):  # sums over many cells want 32 bits
            return block.backend.times_dense(block.rows, value, dense)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:
        return None, None, _columns_times(ctx.block, ctx.value, grads[0].contiguous())


class _Observed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, block: Block, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        ctx.block, ctx.bias = block, bias is not None
        ctx.save_for_backward(left, right)
        with torch.autocast(left.device.type, enabled=False):
            out = block.backend.observed(block.rows, left, right)
        return out if bias is None else out.add_(bias.index_select(0, block.column))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor, Tensor | None]:
        block, grad = ctx.block, grads[0].contiguous()
        left, right = ctx.saved_tensors
        times = block.backend.times_dense
        bias = (
            times(block.columns[0], block.by_column(grad), left.new_ones(block.n_rows, 1))[:, 0]
            if ctx.bias
            else None
        )
        return None, times(block.rows, grad, right), _columns_times(block, grad, left), bias


def times_dense(
    block: Block, dense: Float[Tensor, "columns k"], value: Float[Tensor, " cells"] | None = None
) -> Float[Tensor, "rows k"]:
    """The block's rows times a dense matrix; `value` takes the place of the block's own values.

    Differentiable in `dense`; values are data and get no gradient.
    """
    value = block.value if value is None else value
    if value is None:
        raise ValueError("This block has a pattern but no values; pass value=.")
    return _TimesDense.apply(block, value, dense)


def observed(
    block: Block,
    left: Float[Tensor, "rows k"],
    right: Float[Tensor, "columns k"],
    bias: Float[Tensor, " columns"] | None = None,
) -> Float[Tensor, " cells"]:
    """left · rightᵀ + bias at the block's cells only. Differentiable in all three."""
    return _Observed.apply(block, left, right, bias)
