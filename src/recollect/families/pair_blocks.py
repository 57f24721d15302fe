"""Predictions of many pairs, a block at a time, so that what they need in between fits memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

PAIRS_AT_ONCE = 1 << 16


def in_blocks(
    function: Callable[..., Tensor],
    *columns: Int[np.ndarray, " pairs"] | Int[Tensor, " pairs"],
    device: torch.device,
    size: int = PAIRS_AT_ONCE,
) -> Tensor:
    """What a function returns for all pairs, computed block by block.

    Args:
        function: from columns of a block, such as users and items, to a row for each pair.
        columns: its arguments for all pairs.
        device: where the function computes.
        size: pairs in a block.
    """
    tensors = [torch.as_tensor(column).long() for column in columns]
    parts = [tensor.split(size) for tensor in tensors]
    results = []

    for block in zip(*parts, strict=True):
        # A block goes to the device only now, so that the device never holds all pairs.
        arguments = [column.to(device) for column in block]
        results.append(function(*arguments))

    return torch.cat(results)
