"""Where a fit starts: at the predictions of the bias model."""

from __future__ import annotations

import math

import torch

from recollect.data.ratings import AnyRatings, Side
from recollect.models.autorec.network import Network
from recollect.training.offsets import RidgeOffsets

SMALL = 0.01  # standard deviation of random weights


@torch.no_grad()
def start_from_offsets(net: Network, train: AnyRatings, side: Side, *, scales_input: bool) -> None:
    """Make the network one whose predictions are those of the bias model.

    Args:
        net: with random weights of standard deviation SMALL, and with offsets.
        train: the ratings to learn from.
        side: what a row is.
        scales_input: whether V is scaled so that V r has a standard deviation of about 1.
    """
    assert net.offsets is not None
    offsets = RidgeOffsets.fit(train)
    of_columns = offsets.b_user if side == "item" else offsets.b_item
    bias = net.output.bias
    column = torch.as_tensor(of_columns, dtype=bias.dtype, device=bias.device)
    net.offsets.set(offsets.mu, column)
    bias.copy_(column)
    net.output.weight.zero_()
    if scales_input:
        squares_of_row = (train.mean**2 + train.variance) * ratings_per_row(train, side)
        net.input.weight.mul_(1 / (SMALL * math.sqrt(squares_of_row)))


def ratings_per_row(train: AnyRatings, side: Side) -> float:
    """The mean number, of rows with ratings."""
    n_rows = int((train.count(side) > 0).sum())
    return len(train) / n_rows
