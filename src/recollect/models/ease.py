"""EASE: a linear autoencoder on events, whose weights between items have a closed form.

    minimizing  ‖X − X B‖² + λ ‖B‖²   with  diag(B) = 0
    P = (XᵀX + λ I)⁻¹,   B[j, i] = −P[j, i] / P[i, i] for j ≠ i                     equation 8

Source: Steck. "Embarrassingly Shallow Autoencoders for Sparse Data." WWW 2019.
Differs: an event counts as 1 however often it was, and everything is computed in 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from scipy.linalg import lapack
from torch import nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import TrainingError
from recollect.families.item_weights import ItemWeights, as_events
from recollect.kernels import Block, times_dense
from recollect.memory_estimate import Memory, Shape, of_item_weights
from recollect.run import Run
from recollect.settings import setting
from recollect.training.history import History

BLOCK = 1024  # columns of a matrix that are written at once


class Weights(nn.Module):
    """The network: B."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.weight = nn.Buffer(torch.zeros(n_items, n_items))


@dataclass(kw_only=True, eq=False)
class EASE(ItemWeights):
    """A linear autoencoder without hidden layer: items predict each other."""

    refit: bool = True
    reg: float = setting(500.0, above=0)  # lambda

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        return of_item_weights(shape)

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        return Weights(n_items)

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Solve equation 8."""
        assert isinstance(train, Ratings)
        net: Weights = self.net_
        weight = net.weight.cpu().numpy()  # on the CPU the network's own memory
        add_gramian(as_events(train.by_user), weight)
        np.fill_diagonal(weight, weight.diagonal() + np.float32(self.reg))
        invert(weight)
        weight /= -weight.diagonal().copy()
        np.fill_diagonal(weight, 0)
        net.weight.copy_(torch.from_numpy(weight))

        return History()

    @override
    @torch.no_grad()
    def sums(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        block = Block.of(rows, self.net_.weight.device)
        scores: np.ndarray = times_dense(block, self.net_.weight).cpu().numpy()

        return scores

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """Of an item its weights in the scores of all items; of a user their row of events."""
        if side == "user":
            return super().vectors(side)

        weight: np.ndarray = self.net_.weight.cpu().numpy()
        return weight


def add_gramian(rows: Rows, out: Float32[np.ndarray, "columns columns"]) -> None:
    """out += XᵀX, a block of columns at a time.

    Args:
        rows: X.
        out: changed in place.
    """
    x = rows.as_csr()
    by_column = x.tocsc()
    transposed = x.T.tocsr()

    for first in range(0, rows.n_columns, BLOCK):
        columns = slice(first, first + BLOCK)
        out[:, columns] += (transposed @ by_column[:, columns]).toarray()


def invert(matrix: Float32[np.ndarray, "n n"]) -> None:
    """The inverse of a symmetric positive definite matrix, in its place.

    Raises:
        TrainingError: if it is too close to a singular one for 32 bits.
    """
    # LAPACK reads columns, which of a symmetric matrix are the rows.
    columns = matrix.T
    factor, failed = lapack.spotrf(columns, lower=1, overwrite_a=1, clean=0)
    if not failed:
        inverse, failed = lapack.spotri(factor, lower=1, overwrite_c=1)

    if failed:
        raise TrainingError(
            "The weights between items cannot be computed in 32 bits: raise reg (--set reg=…)."
        )

    # It is in one triangle; the other one is its mirror image.
    for first in range(0, len(matrix), BLOCK):
        block = slice(first, first + BLOCK)
        lower = np.tril(inverse[block, block])
        inverse[block, block] = lower + np.tril(lower, -1).T
        inverse[block, block.stop :] = inverse[block.stop :, block].T

    matrix[...] = inverse


# Settings with which it learns planted events in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {"reg": 5.0}
