"""The network of AutoRec: h(r) = f(W · g(V r + mu) + b), equation 1."""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from recollect.kernels import Block
from recollect.nn import (
    ObservedOutput,
    RowOffsets,
    ScaledActivation,
    SparseInput,
    StraightThroughThreshold,
    activation,
    dense_layer,
)


class Network(nn.Module):
    """h(r) = f(W · g(V r + mu) + b), equation 1; further hidden layers stand between V and W.

    Args:
        n_columns: the length of r.
        sizes: hidden sizes, first to last.
        g: the name of the hidden activation.
        f: the activation of the output.
        std: of the normal distribution that V and W are drawn from.
        dropout: the share of each hidden layer that is dropped while training.
        input_dropout: the share of the ratings that is dropped while training.
        binary: whether hidden units are 0 or 1.
        row_reg: λ of a row's offset, which is added to the output; None: nothing is added.
    """

    def __init__(
        self,
        n_columns: int,
        sizes: tuple[int, ...],
        *,
        g: str,
        f: ScaledActivation,
        std: float,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        binary: bool = False,
        row_reg: float | None = None,
    ) -> None:
        super().__init__()
        self.input = SparseInput(n_columns, sizes[0], std=std)  # V, mu
        gain = 4.0 if g == "sigmoid" else 1.0
        self.between = nn.ModuleList(dense_layer(a, b, gain=gain) for a, b in pairwise(sizes))
        self.output = ObservedOutput(sizes[-1], n_columns, std=std)  # W, b
        self.g = activation(g)
        self.f = f
        self.drop = nn.Dropout(dropout)
        self.drop_input = input_dropout
        self.binary = binary
        self.offsets = None if row_reg is None else RowOffsets(n_columns, reg=row_reg)

    def encode(self, block: Block) -> Float[Tensor, "rows hidden"]:
        """g(V r + mu), then the same for each further hidden layer."""
        x = self.input(block, drop=self.drop_input)
        h = self._hidden(x)
        for layer in self.between:
            h = self._hidden(layer(h))
        return h

    def _hidden(self, x: Tensor) -> Tensor:
        h = self.g(x)
        if self.binary:
            h = StraightThroughThreshold.apply(h)
        return self.drop(h)

    def decode(
        self,
        h: Float[Tensor, "rows hidden"],
        at: Block | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """f(W h + b) at the cells of `at`, at these columns of every row, or everywhere."""
        if columns is not None:
            return self.f(self.output.at_columns(h, columns))
        return self.f(self.output(h, at))

    def weights(self) -> list[nn.Parameter]:
        """V, the matrices of further hidden layers, and W: what lambda is on."""
        parameters = self.parameters()
        return [parameter for parameter in parameters if parameter.ndim == 2]
