"""The weights between similar items alone: what is kept, and the network that holds it.

    s[j, i] = x_j · x_i / (|x_j| |x_i|)        the cosine of two items, by the users they share
    N(i) = the items j whose s[j, i] is among the n² · keep largest of all, at most `neighbors`
    P of C = N(i) and i alone;   B[j, i] = −P[j, i] / P[i, i] for j in N(i), else 0

The pairs are counted an item at a time and forgotten but for the largest, so that no items × items
matrix is ever held. With r above 0 the weights of the nearest items of N(i) are found in the block
of i, too: fewer blocks, whose neighbors are only nearly their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float32
from scipy.sparse import csr_array
from torch import nn

from recollect.data.ratings import Ratings
from recollect.kernels.item_pairs import largest_pairs, most_similar, weights_within


class SparseWeights(nn.Module):
    """The network: B as sparse rows. Row j has the weights of item j in the scores of others."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.start = nn.Buffer(torch.zeros(n_items + 1, dtype=torch.int64))
        self.column = nn.Buffer(torch.zeros(0, dtype=torch.int32))
        self.weight = nn.Buffer(torch.zeros(0))

    def matrix(self) -> csr_array:
        """B."""
        n_items = len(self.start) - 1
        start = self.start.cpu().numpy()
        column = self.column.cpu().numpy()
        weight = self.weight.cpu().numpy()

        return csr_array((weight, column, start), shape=(n_items, n_items))

    def set(self, matrix: csr_array) -> None:
        """Take B."""
        device = self.start.device
        self.start = nn.Buffer(torch.from_numpy(matrix.indptr.astype(np.int64)).to(device))
        self.column = nn.Buffer(torch.from_numpy(matrix.indices.astype(np.int32)).to(device))
        self.weight = nn.Buffer(torch.from_numpy(matrix.data.astype(np.float32)).to(device))

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Make place for as many weights as a file has: the settings do not say how many."""
        n_weights = shapes.get("weight", (0,))
        if len(n_weights) == 1:
            self.column = nn.Buffer(torch.zeros(n_weights, dtype=torch.int32))
            self.weight = nn.Buffer(torch.zeros(n_weights))

    def fault(self) -> str:
        """What is wrong with the places of the weights; "" if nothing is."""
        n_items = len(self.start) - 1
        is_ascending = bool((self.start.diff() >= 0).all())
        begins_at_0 = int(self.start[0]) == 0
        if not (begins_at_0 and is_ascending and int(self.start[-1]) == len(self.column)):
            return "start does not say where the weights of each item begin"

        if len(self.column):
            first, last = torch.aminmax(self.column)
            if int(first) < 0 or int(last) >= n_items:
                return f"column must be an item from 0 to {n_items - 1}"

        return ""


def solve_sparsely(
    net: SparseWeights,
    events: Ratings,
    user_weight: Float32[np.ndarray, " users"],
    *,
    reg: float,
    noise: float,
    keep: float,
    neighbors: int,
    share: float,
) -> None:
    """Write the weights of similar items into the network.

    Args:
        net: overwritten.
        events: to learn from.
        user_weight: w of each user.
        reg: λ.
        noise: p / (1 − p).
        keep: share of the items × items weights that may differ from 0.
        neighbors: the most weights of an item.
        share: r; of an item and its neighbors, the nearest part that is solved with it.

    Raises:
        TrainingError: if 32 bits cannot solve it.
    """
    n_items = events.n_items
    most = min(neighbors, max(1, n_items - 1))
    n_pairs = max(1, round(keep * n_items**2))
    pattern = largest_pairs(*most_similar(events.by_item, events.by_user, most), n_pairs)
    how = {"reg": reg, "noise": noise, "share": share}
    net.set(weights_within(events.by_item, pattern, user_weight, **how))
