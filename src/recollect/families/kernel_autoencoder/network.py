"""An autoencoder whose weights are W ⊙ K: learned weights times a kernel of learned unit vectors.

    K_ij = max(0, 1 − ‖u_i − v_j‖²)

Every unit of a layer, its inputs included, has a vector in a small space. A weight counts in full
if its two units have equal vectors, and not at all from distance 1 on.

Source: Muller, Martel, Indiveri. "Kernelized Synaptic Weight Matrices." ICML 2018.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recollect.kernels import Block, observed, times_dense

KERNEL_ROWS = 1024  # rows of K that exist at once: few enough to stay in the processor's cache


def kernel(
    u: Float[Tensor, "n kernel_dim"], v: Float[Tensor, "k kernel_dim"]
) -> Float[Tensor, "n k"]:
    """K = max(0, 1 − ‖u_i − v_j‖²), by one matrix product.

    Since ‖u − v‖² = ‖u‖² + ‖v‖² − 2 u · v, the product of the rows (2u, 1 − ‖u‖², 1) and
    (v, 1, −‖v‖²) is 1 − ‖u − v‖².
    """
    u_square = u.square().sum(dim=1, keepdim=True)
    ones_of_u = torch.ones_like(u_square)
    left = torch.cat([2 * u, 1 - u_square, ones_of_u], dim=1)

    v_square = v.square().sum(dim=1, keepdim=True)
    ones_of_v = torch.ones_like(v_square)
    right = torch.cat([v, ones_of_v, -v_square], dim=1)

    product = left @ right.t()
    return product.clamp_(min=0)


class KernelProduct(torch.autograd.Function):
    """W ⊙ K and ‖K‖². K is computed a few rows at a time, again in the backward pass.

    K has as many numbers as W, so autograd's copies of it would be the largest part of a fit.
    """

    @staticmethod
    def forward(ctx: Any, W: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """W ⊙ K and ‖K‖².

        Args:
            ctx: keeps the inputs for the backward pass.
            W: n × k, the weights.
            u: n × kernel_dim, the vectors of the rows' units.
            v: k × kernel_dim, the vectors of the columns' units.
        """
        ctx.save_for_backward(W, u, v)
        weight = torch.empty_like(W)
        kernel_square = W.new_zeros(())

        for rows in _row_slices(len(W)):
            K = kernel(u[rows], v)
            torch.mul(W[rows], K, out=weight[rows])
            kernel_square += K.square().sum()

        return weight, kernel_square

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients with respect to W, u and v."""
        W, u, v = ctx.saved_tensors
        grad_weight, grad_square = grads
        grad_W = torch.empty_like(W)
        grad_u = torch.empty_like(u)
        grad_v = torch.zeros_like(v)

        for rows in _row_slices(len(W)):
            K = kernel(u[rows], v)
            torch.mul(grad_weight[rows], K, out=grad_W[rows])
            # K is a factor of W ⊙ K and a term of ‖K‖²; where it is cut off at 0 it is constant.
            grad_K = grad_weight[rows] * W[rows]
            grad_K.addcmul_(K, 2 * grad_square).mul_(K > 0)

            # ∂K_ij / ∂u_i = −2 (u_i − v_j) and ∂K_ij / ∂v_j = 2 (u_i − v_j), summed over j and i.
            of_u = grad_K.sum(dim=1, keepdim=True) * u[rows]
            grad_u[rows] = 2 * (grad_K @ v - of_u)
            of_v = grad_K.sum(dim=0)[:, None] * v
            grad_v += 2 * (grad_K.t() @ u[rows] - of_v)

        return grad_W, grad_u, grad_v


def _row_slices(n: int) -> Iterator[slice]:
    for first in range(0, n, KERNEL_ROWS):
        yield slice(first, first + KERNEL_ROWS)


class KernelLayer(nn.Module):
    """A layer with weights W ⊙ K(u, v) and biases.

    Args:
        n_rows: units that the rows of W belong to.
        n_columns: units that the columns of W belong to.
        n_biases: units with a bias: the layer's outputs.
        kernel_dim: length of the units' vectors u and v.
        std: their standard deviation before training; draws beyond twice that are drawn again.
    """

    def __init__(
        self, n_rows: int, n_columns: int, *, n_biases: int, kernel_dim: int, std: float
    ) -> None:
        super().__init__()
        W = nn.init.xavier_uniform_(torch.empty(n_rows, n_columns))
        u = _unit_vectors(n_rows, kernel_dim, std)
        v = _unit_vectors(n_columns, kernel_dim, std)
        bias = torch.zeros(n_biases)

        self.W = nn.Parameter(W)
        self.u = nn.Parameter(u)
        self.v = nn.Parameter(v)
        self.bias = nn.Parameter(bias)

    @property
    def weight(self) -> Tensor:
        """W ⊙ K, computed at each access."""
        return self.effective_weight()[0]

    def effective_weight(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """W ⊙ K and ‖K‖², of all rows or of these."""
        if rows is None:
            return KernelProduct.apply(self.W, self.u, self.v)

        # K has a row per row of W, whose columns all have their vector in v.
        W = self.W[rows]
        u = self.u[rows]

        return KernelProduct.apply(W, u, self.v)


def _unit_vectors(n: int, kernel_dim: int, std: float) -> Tensor:
    return nn.init.trunc_normal_(
        torch.empty(n, kernel_dim),
        std=std,
        a=-2 * std,
        b=2 * std,
    )


class KernelAutoencoder(nn.Module):
    """W_L' · … sigmoid(W₁' r + b₁) … + b_L, where every weight matrix is W' = W ⊙ K.

    The weights of the first and the last layer are columns × hidden, those between out × in.
    Computing W ⊙ K is expensive: a caller that needs the weights several times gets them from
    `effective_weights` and passes them on as `weights`.

    Args:
        n_columns: length of a row.
        hidden: units of each hidden layer.
        kernel_dim: length of the units' vectors.
        std: their standard deviation before training.
    """

    def __init__(
        self, n_columns: int, hidden: Sequence[int], *, kernel_dim: int, std: float
    ) -> None:
        super().__init__()
        first = hidden[0]
        last = hidden[-1]
        self.input = KernelLayer(
            n_columns,
            first,
            n_biases=first,
            kernel_dim=kernel_dim,
            std=std,
        )

        self.between = nn.ModuleList(
            KernelLayer(
                n_out,
                n_in,
                n_biases=n_out,
                kernel_dim=kernel_dim,
                std=std,
            )
            for n_in, n_out in pairwise(hidden)
        )

        self.output = KernelLayer(
            n_columns,
            last,
            n_biases=n_columns,
            kernel_dim=kernel_dim,
            std=std,
        )
        self.f = nn.Identity()

    @property
    def layers(self) -> list[KernelLayer]:
        """All layers, first to last."""
        return [self.input, *self.between, self.output]

    def effective_weights(self) -> tuple[list[Tensor], Tensor]:
        """The weights W ⊙ K of each layer, and Σ ‖K‖² over the layers."""
        weights = []
        kernel_squares = []

        for layer in self.layers:
            weight, kernel_square = layer.effective_weight()
            weights.append(weight)
            kernel_squares.append(kernel_square)

        return weights, torch.stack(kernel_squares).sum()

    def encode(
        self, block: Block, weights: Sequence[Tensor] | None = None
    ) -> Float[Tensor, "rows hidden"]:
        """The code of sparse rows: all layers but the last. Unknown cells count as 0."""
        weight = self.input.weight if weights is None else weights[0]
        x = times_dense(block, weight) + self.input.bias
        return self.encode_from_first(x, weights)

    def encode_from_first(
        self, x: Float[Tensor, "rows first"], weights: Sequence[Tensor] | None = None
    ) -> Float[Tensor, "rows hidden"]:
        """The code, from the output of the first layer before its activation."""
        code = torch.sigmoid(x)

        for number, layer in enumerate(self.between, start=1):
            weight = layer.weight if weights is None else weights[number]
            x = nn.functional.linear(code, weight, layer.bias)  # type: ignore[arg-type]
            code = torch.sigmoid(x)

        return code

    def decode(
        self,
        code: Float[Tensor, "rows hidden"],
        at: Block | None = None,
        columns: Tensor | None = None,
        weights: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """The last layer at given cells, at given columns, or everywhere.

        Args:
            code: the code of each row.
            at: the cells to compute, one number for each.
            columns: the columns to compute, for every row.
            weights: the effective weights of all layers; default: computed here.
        """
        if columns is not None:
            weight, _ = self.output.effective_weight(columns)
            bias = self.output.bias[columns, None]
            # Columns first, as ranking for a user reads them.
            predicted = weight @ code.t() + bias
            return predicted.t()

        weight = self.output.weight if weights is None else weights[-1]
        if at is None:
            return nn.functional.linear(code, weight, self.output.bias)

        return observed(at, code, weight, self.output.bias)
