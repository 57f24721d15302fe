"""The network of DeepRec: an encoder, a code with dropout, a decoder."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from recollect.kernels import Block
from recollect.models.deeprec.settings import DeepRecSettings
from recollect.nn import (
    Dropout,
    ObservedOutput,
    RowOffsets,
    SparseInput,
    TiedOutput,
    TransposedLinear,
    activation,
    dense_layer,
    glorot,
)


class Network(nn.Module):
    """f(W_L · … g(W_2 · g(W_1 r + b_1) + b_2) … + b_L), with dropout on the code.

    Args:
        n_columns: length of a row.
        settings: sizes, activation and dropout.
        f: the activation of the last layer.
        input_values: computes the numbers that enter the network from a block of sparse rows;
            None: the block's own values.
    """

    def __init__(
        self,
        n_columns: int,
        settings: DeepRecSettings,
        *,
        f: nn.Module,
        input_values: Callable[[Block], Tensor] | None = None,
    ) -> None:
        super().__init__()
        encoder, decoder = settings.encoder_and_decoder
        code = encoder[-1]
        from_code = (code, *decoder)  # the decoder's sizes, what enters it included

        # Glorot uniform throughout, as in the authors' code.
        self.input = glorot(SparseInput(n_columns, encoder[0]))
        self.encoder = nn.ModuleList(dense_layer(a, b) for a, b in pairwise(encoder))
        self.output: ObservedOutput
        if settings.tied:
            mirrored = reversed(self.encoder)
            layers = [TransposedLinear(layer) for layer in mirrored]  # type: ignore[arg-type]
            self.decoder = nn.ModuleList(layers)
            self.output = TiedOutput(self.input)
        else:
            self.decoder = nn.ModuleList(dense_layer(a, b) for a, b in pairwise(from_code))
            self.output = glorot(ObservedOutput(from_code[-1], n_columns))

        self.g = activation(settings.activation)
        self.f = f
        self.input_values = input_values
        self.drop_code = Dropout(settings.dropout)
        self.drop_hidden = Dropout(settings.hidden_dropout)
        self.drop_input = settings.input_dropout
        self.offsets: RowOffsets | None = None
        if settings.has_offsets:
            self.offsets = RowOffsets(n_columns, reg=settings.row_reg)

    def encode(self, block: Block) -> Float[Tensor, "rows hidden"]:
        """All layers but the last, for sparse rows."""
        value = None
        if self.input_values is not None:
            value = self.input_values(block)

        x = self.input(block, value=value, drop=self.drop_input)
        return self._hidden_layers(x)

    def encode_dense(self, rows: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows hidden"]:
        """The same for rows of which every cell is known."""
        x = self.input.dense(rows)
        return self._hidden_layers(x)

    def _hidden_layers(self, x: Tensor) -> Tensor:
        # The input layer is number 0, so with no further encoder layers it is the code.
        h = self._drop(self.g(x), 0)
        layers = [*self.encoder, *self.decoder]

        for number, layer in enumerate(layers, start=1):
            activated = self.g(layer(h))
            h = self._drop(activated, number)

        return h

    def _drop(self, h: Tensor, number: int) -> Tensor:
        is_code = number == len(self.encoder)
        drop = self.drop_code if is_code else self.drop_hidden
        dropped: Tensor = drop(h)

        return dropped

    def decode(
        self,
        hidden: Float[Tensor, "rows hidden"],
        at: Block | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """The last layer at given cells, at given columns, or everywhere.

        Args:
            hidden: what `encode` returned.
            at: the cells to compute, one number for each.
            columns: the columns to compute, for every row.
        """
        if columns is None:
            return self.f(self.output(hidden, at))

        # Only the rows of the weight that are needed are multiplied.
        weight = self.output.weight[columns]
        bias = self.output.bias[columns]
        output = nn.functional.linear(hidden, weight, bias)

        return self.f(output)

    def weights(self) -> list[nn.Parameter]:
        """Every matrix once: what lambda is on."""
        # Biases have one dimension, and tied weights are one parameter.
        return [parameter for parameter in self.parameters() if parameter.ndim == 2]
