"""The network of Playlist: a denoising autoencoder, and the weights of the blend."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from recollect.kernels import Block
from recollect.models.playlist.columns import Columns
from recollect.nn import Dropout, ObservedOutput, SparseInput, activation, glorot

MEMBERS = ("network", "lists", "items")


class Network(nn.Module):
    """g(V x + b), and of it W h + c for the items that are scored; W is of V's rows if tied.

    Args:
        columns: what enters and what is scored.
        hidden: units.
        g: the activation's name.
        tied: whether an item's output weights are its input weights.
        dropout: share of the hidden units that is dropped in training.
        n_situations: situations, for each of which the blend has weights.
    """

    weight: Tensor
    place: Tensor

    def __init__(
        self,
        columns: Columns,
        *,
        hidden: int,
        g: str,
        tied: bool,
        dropout: float,
        n_situations: int,
    ) -> None:
        super().__init__()
        outputs = columns.every_output
        self.input = glorot(SparseInput(len(columns.inputs), hidden))
        self.g = activation(g)
        self.drop = Dropout(dropout)
        self.tied = tied
        self.n_outputs = len(outputs)
        if tied:
            # Every output is an input: both have the same cut-offs.
            place = np.searchsorted(columns.inputs, outputs)
            self.place = nn.Buffer(torch.from_numpy(place))
            self.bias = nn.Parameter(torch.zeros(len(outputs)))
        else:
            self.output = glorot(ObservedOutput(hidden, len(outputs)))

        shape = (n_situations, len(columns.outputs), len(MEMBERS))
        self.weight = nn.Buffer(torch.full(shape, 1 / len(MEMBERS)))

    def encode(self, block: Block) -> Float[Tensor, "lists hidden"]:
        """The code of each list."""
        hidden: Tensor = self.drop(self.g(self.input(block)))
        return hidden

    def decode(
        self, hidden: Float[Tensor, "lists hidden"], at: Int64[Tensor, " some"] | None = None
    ) -> Float[Tensor, "lists some"]:
        """The scores of some outputs, before a softmax or a sigmoid.

        Args:
            hidden: codes.
            at: which outputs; None: all.
        """
        if self.tied:
            place = self.place if at is None else self.place[at]
            weight, bias = self.input.weight[place], self.bias
        else:
            weight, bias = self.output.weight, self.output.bias
            weight = weight if at is None else weight[at]

        return nn.functional.linear(hidden, weight, bias if at is None else bias[at])

    def fault(self) -> str:
        """What no fit leaves, in words; empty if there is nothing of the kind."""
        if (self.weight < 0).any() or not bool((self.weight.sum(dim=-1) > 0).all()):
            return "the weights of the blend are not shares"

        return ""
