"""The two sparse products that training an autoencoder on ratings needs, and their gradients.

    times_dense   sparse rows × dense            the first layer
    observed      dense · dense at the cells     the last layer, only where there is a rating

The gradient of either is made of the same two products, with rows and columns exchanged. A `Block`
therefore keeps both orientations, and autograd never transposes a matrix. `reference.products`
states both in plain NumPy.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recollect.kernels.block import Block


def times_dense(
    block: Block, dense: Float[Tensor, "columns k"], value: Float[Tensor, " cells"] | None = None
) -> Float[Tensor, "rows k"]:
    """The block's rows times a dense matrix. Differentiable in `dense`; values get no gradient.

    Args:
        block: the sparse rows.
        dense: the matrix.
        value: the number in each cell; None: the block's own.

    Raises:
        ValueError: if there are no values.
    """
    if value is None:
        value = block.value

    if value is None:
        raise ValueError("This block has a pattern but no values; pass value=.")
    return _TimesDense.apply(block, value, dense)


def observed(
    block: Block,
    left: Float[Tensor, "rows k"],
    right: Float[Tensor, "columns k"],
    bias: Float[Tensor, " columns"] | None = None,
) -> Float[Tensor, " cells"]:
    """left · rightᵀ + bias at the block's cells only. Differentiable in all three.

    Args:
        block: the cells.
        left: a vector per row.
        right: a vector per column.
        bias: a number per column; None: none is added.
    """
    return _Observed.apply(block, left, right, bias)


class _TimesDense(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, block: Block, value: Tensor, dense: Tensor) -> Tensor:
        ctx.block = block
        ctx.value = value
        # Sums over many cells need 32 bits, also where dense products are in 16.
        with torch.autocast(dense.device.type, enabled=False):
            return block.backend.times_dense(block.rows, value, dense)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor]:
        # The loops read rows as they lie in memory.
        grad = grads[0].contiguous()
        dense_grad = _column_gradient(ctx.block, ctx.value, grad)
        return None, None, dense_grad


class _Observed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, block: Block, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        ctx.block = block
        ctx.has_bias = bias is not None
        ctx.save_for_backward(left, right)

        # Out of autocast, as in `_TimesDense`: 16 bits would round every prediction.
        with torch.autocast(left.device.type, enabled=False):
            out = block.backend.observed(block.rows, left, right)

        if bias is None:
            return out

        return out.add_(bias.index_select(0, block.column))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor, Tensor | None]:
        block = ctx.block
        grad = grads[0].contiguous()
        left, right = ctx.saved_tensors
        bias_grad = None
        if ctx.has_bias:
            # The bias of a column is in all of its cells: its gradient is their sum.
            ones = left.new_ones(block.n_rows, 1)
            sums = block.backend.times_dense(block.columns[0], block.by_column(grad), ones)
            bias_grad = sums[:, 0]

        left_grad = block.backend.times_dense(block.rows, grad, right)
        right_grad = _column_gradient(block, grad, left)

        return None, left_grad, right_grad, bias_grad


def _column_gradient(block: Block, value: Tensor, dense: Tensor) -> Tensor:
    """The gradient of an operand with a row per column: dense, or row-sparse if the block is
    lazy."""
    value = block.by_column(value)
    if not block.lazy:
        return block.backend.times_dense(block.columns[0], value, dense)

    pattern, column = block.touched
    rows = block.backend.times_dense(pattern, value, dense)
    shape = (block.n_columns, dense.shape[1])

    # `touched` has every column once and in order, which is what "coalesced" claims.
    return torch.sparse_coo_tensor(
        column[None], rows, shape, is_coalesced=True, check_invariants=False
    )
