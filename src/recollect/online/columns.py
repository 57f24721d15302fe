"""Networks with further columns, and output columns after a change of their ratings."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recollect.nn import ObservedOutput, RowOffsets, SparseInput, TiedOutput
from recollect.online.networks import Network, sharing, with_rows


def with_columns(net: Network, n_columns: int) -> Network:
    """A copy of a network on rows of a length, for longer rows: new columns have weights of 0.

    A number in a new column then changes no code, and the output there is f(0).

    Args:
        net: with one SparseInput and one ObservedOutput.
        n_columns: the length of the rows.
    """
    copied = sharing(net)

    for layer in copied.modules():
        if isinstance(layer, SparseInput):
            layer.weight = nn.Parameter(with_rows(layer.weight, n_columns))
        elif isinstance(layer, ObservedOutput) and not isinstance(layer, TiedOutput):
            layer.weight = nn.Parameter(with_rows(layer.weight, n_columns))
            layer.bias = nn.Parameter(with_rows(layer.bias, n_columns))
        elif isinstance(layer, RowOffsets):
            layer.column = with_rows(layer.column, n_columns)

    return copied


@torch.no_grad()
def recursive_least_squares(
    column: Float[Tensor, " k"],
    features: Float[Tensor, "rated k"],
    error: Float[Tensor, " rated"],
    *,
    reg: float,
) -> Float[Tensor, " k"]:
    """An output column after some of its ratings came in or changed.

        x' = x + (CᵀC + λ I)⁻¹ Cᵀ e

    If x minimizes the squared error of the ratings before, plus λ ‖x‖², then x' does of all.
    Of n ratings and k features the smaller system is solved, n × n or k × k.

    Args:
        column: x = (w, b).
        features: C, the code of each rating's row and a 1, of all ratings of the column.
        error: e, the error of x at each rating that came in or changed; 0 at the others.
        reg: λ.

    Source: Plackett. "Some Theorems in Least Squares." Biometrika 37, 1950.
    """
    return column + ridge(features, error, reg)


def ridge(a: Float[Tensor, "n k"], target: Float[Tensor, " n"], reg: float) -> Float[Tensor, " k"]:
    """x that minimizes ‖target − a x‖² + reg ‖x‖².

    x = (aᵀa + reg I)⁻¹ aᵀ target = aᵀ (a aᵀ + reg I)⁻¹ target: the smaller of the two systems is
    solved, k × k or n × n.

    Args:
        a: the design matrix.
        target: the value to fit in each row.
        reg: the weight of the penalty.
    """
    n, k = a.shape
    if n > k:
        identity = torch.eye(k, dtype=a.dtype, device=a.device)
        gram = a.t() @ a
        return torch.linalg.solve(gram + reg * identity, a.t() @ target)

    identity = torch.eye(n, dtype=a.dtype, device=a.device)
    gram = a @ a.t()
    dual = torch.linalg.solve(gram + reg * identity, target)

    return a.t() @ dual
