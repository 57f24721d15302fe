"""Networks that share what did not change, and tensors with further rows."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def sharing(net: Network) -> Network:
    """A copy of a network that has the same tensors: put others in their place, write into none."""
    tensors = [*net.parameters(), *net.buffers()]
    # What stands in the memo is taken as its own copy.
    return copy.deepcopy(net, {id(tensor): tensor for tensor in tensors})


def with_rows(tensor: Tensor, n_rows: int, *, dim: int = 0) -> Tensor:
    """A copy of a tensor with rows of zeros behind its own.

    Args:
        tensor: of which a copy is made even if it has as many rows.
        n_rows: rows that the copy has.
        dim: along which rows are counted.
    """
    more = list(tensor.shape)
    more[dim] = n_rows - more[dim]
    zeros = torch.zeros(more, dtype=tensor.dtype, device=tensor.device)

    return torch.cat([tensor.detach(), zeros], dim=dim)
