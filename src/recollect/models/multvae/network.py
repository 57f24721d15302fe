"""The network of Mult-VAE: an encoder to a normal distribution of codes, a decoder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.kernels import Block
from recollect.nn import ObservedOutput, SparseInput, activation, dense_layer, glorot

Values = Callable[[Block], Tensor]  # the numbers that enter the network, from a block of rows
NORM_EPSILON = 0.1  # of layer normalization, in RecVAE's code


class Encoder(nn.Module):
    """The mean and the log variance of each row's code.

    Plain, layer l is h_l = g(W_l h_{l−1} + b_l). Densely connected, it is

        h_l = LayerNorm(g(W_l h_{l−1} + b_l + h_1 + … + h_{l−1}))

    Args:
        n_columns: length of a row.
        hidden: sizes of the layers; all equal if densely connected.
        factors: length of a code.
        g: the activation.
        dense: whether the layers are densely connected.
    """

    def __init__(
        self, n_columns: int, hidden: tuple[int, ...], factors: int, *, g: str, dense: bool
    ) -> None:
        super().__init__()
        self.input = glorot(SparseInput(n_columns, hidden[0]))
        self.layers = nn.ModuleList(dense_layer(a, b) for a, b in pairwise(hidden))
        self.norms = nn.ModuleList(_norm(size, dense=dense) for size in hidden)
        self.mean = dense_layer(hidden[-1], factors)
        self.log_variance = dense_layer(hidden[-1], factors)
        self.g = activation(g)
        self.dense = dense

    @override
    def forward(
        self, rows: Block, value: Float[Tensor, " cells"], drop: float = 0.0
    ) -> tuple[Float[Tensor, "rows k"], Float[Tensor, "rows k"]]:
        """Mean and log variance.

        Args:
            rows: sparse rows.
            value: the number that enters for each cell.
            drop: share of the cells that is dropped in training.
        """
        x = self.input(rows, value=value, drop=drop)
        h = self.norms[0](self.g(x))
        before = h  # if densely connected: the sum of all layers' outputs so far

        for layer, norm in zip(self.layers, self.norms[1:], strict=True):
            x = layer(h)
            if self.dense:
                x = x + before

            h = norm(self.g(x))
            if self.dense:
                before = before + h

        # Under autocast the layers are in 16 bits, in which exponentials would lose digits.
        return self.mean(h).float(), self.log_variance(h).float()


def _norm(size: int, *, dense: bool) -> nn.Module:
    return nn.LayerNorm(size, eps=NORM_EPSILON) if dense else nn.Identity()


class Progress(nn.Module):
    """What only training needs, kept in the network so that a snapshot has it."""

    steps: Tensor

    def __init__(self, old: Encoder | None) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # batches so far
        self.old = old  # the encoder as it was when it was copied last


class Network(nn.Module):
    """decoder(z), where z is drawn from the encoder's distribution in training, else its mean.

    Args:
        n_columns: length of a row.
        encoder: the encoder.
        decoder: sizes of the decoder's hidden layers; none: it is linear.
        factors: length of a code.
        g: the decoder's activation.
        input_values: computes the numbers that enter the network from a block of rows.
    """

    def __init__(
        self,
        n_columns: int,
        encoder: Encoder,
        decoder: tuple[int, ...],
        *,
        factors: int,
        g: str,
        input_values: Values,
    ) -> None:
        super().__init__()
        sizes = (factors, *decoder)
        self.encoder = encoder
        self.decoder = nn.ModuleList(dense_layer(a, b) for a, b in pairwise(sizes))
        self.output = glorot(ObservedOutput(sizes[-1], n_columns))
        self.g = activation(g)
        self.f = nn.Identity()  # the softmax keeps the ranking
        self.input_values = input_values
        self.progress: Progress | None = None  # while it learns

    def posterior(
        self, rows: Block, drop: float = 0.0
    ) -> tuple[Float[Tensor, "rows k"], Float[Tensor, "rows k"]]:
        """The mean and the log variance of each row's code.

        Args:
            rows: sparse rows.
            drop: share of the cells that is dropped in training.
        """
        mean, log_variance = self.encoder(rows, self.input_values(rows), drop)
        return mean, log_variance

    @torch.no_grad()
    def old_posterior(self, rows: Block) -> tuple[Tensor, Tensor]:
        """The same by the old encoder, from all cells."""
        assert self.progress is not None
        assert self.progress.old is not None
        mean, log_variance = self.progress.old(rows, self.input_values(rows))

        return mean, log_variance

    def hidden(self, z: Float[Tensor, "rows k"]) -> Float[Tensor, "rows hidden"]:
        """All layers of the decoder but the last."""
        for layer in self.decoder:
            z = self.g(layer(z))
        return z

    def encode(self, block: Block) -> Float[Tensor, "rows hidden"]:
        """All layers but the last, for sparse rows; the code is the posterior's mean."""
        mean, _ = self.posterior(block)
        return self.hidden(mean)

    def decode(self, hidden: Float[Tensor, "rows hidden"], at: Block | None = None) -> Tensor:
        """The last layer at given cells, one number for each, or everywhere.

        Args:
            hidden: what `encode` returned.
            at: the cells to compute.
        """
        output: Tensor = self.output(hidden, at)
        return output

    def start(self, *, keep_encoder: bool) -> None:
        """Prepare for training.

        Args:
            keep_encoder: whether an old encoder is kept beside the one that learns.
        """
        old = without_parameters(copy.deepcopy(self.encoder)) if keep_encoder else None
        self.progress = Progress(old).to(self.output.weight.device)

    def next_step(self) -> int:
        """Count a step; its number, 0 for the first one."""
        assert self.progress is not None
        number = int(self.progress.steps)
        self.progress.steps += 1

        return number

    @torch.no_grad()
    def keep_encoder(self) -> None:
        """Copy the encoder into the old one, if there is one."""
        assert self.progress is not None
        if self.progress.old is not None:
            self.progress.old.load_state_dict(self.encoder.state_dict())

    def finish(self) -> None:
        """Drop what only training needs."""
        self.progress = None
        self.requires_grad_(True)

    def learn_only(self, *, encoder: bool, decoder: bool) -> None:
        """Choose which parts the next step changes.

        Args:
            encoder: whether the encoder is changed.
            decoder: whether the decoder is changed.
        """
        self.encoder.requires_grad_(encoder)
        self.decoder.requires_grad_(decoder)
        self.output.requires_grad_(decoder)


def without_parameters(module: Encoder) -> Encoder:
    """The module with buffers in place of parameters, so that no optimizer keeps their state."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())

    return module
