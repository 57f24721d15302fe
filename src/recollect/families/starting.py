"""Where a fit starts: at the predictions of the bias model."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recollect.data.ratings import AnyRatings, Side
from recollect.training.offsets import RidgeOffsets

SMALL = 0.01  # standard deviation of random weights


@torch.no_grad()
def start_from_offsets(net: Any, train: AnyRatings, side: Side) -> None:
    """Make the network one whose predictions are those of the bias model.

    Args:
        net: with `offsets` (`nn.RowOffsets`), and a linear last layer `output`.
        train: the ratings to learn from.
        side: what a row is.
    """
    offsets = RidgeOffsets.fit(train)
    of_columns = offsets.b_user if side == "item" else offsets.b_item
    bias = net.output.bias
    column = torch.as_tensor(of_columns, dtype=bias.dtype, device=bias.device)
    net.offsets.set(offsets.mu, column)
    bias.copy_(column)
    net.output.weight.zero_()


@torch.no_grad()
def scale_input(weight: Float[Tensor, "hidden columns"], train: AnyRatings, side: Side) -> None:
    """Multiply V so that V r has a standard deviation of about 1 for a mean row.

    Args:
        weight: V, random, of standard deviation SMALL.
        train: the ratings to learn from.
        side: what a row is.
    """
    squares_of_row = (train.mean**2 + train.variance) * ratings_per_row(train, side)
    weight.mul_(1 / (SMALL * math.sqrt(squares_of_row)))


def ratings_per_row(train: AnyRatings, side: Side) -> float:
    """The mean number, of rows with ratings."""
    n_rows = int((train.count(side) > 0).sum())
    return len(train) / n_rows
