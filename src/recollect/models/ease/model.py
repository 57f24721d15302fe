"""EASE: a linear autoencoder on events, whose weights between items have a closed form.

    minimizing  Σ_u w_u ‖x_u − x_u B‖² + Σ_j (λ + p/(1−p) G[j, j]) ‖B_j‖²   with  diag(B) = 0
    G = Xᵀ W X,   P = (G + λ I + p/(1−p) diag(G))⁻¹,   B[j, i] = −P[j, i] / P[i, i] for j ≠ i
    w_u = n_u^−a, divided by the mean over the users

n_u are the events of a user. p is the share of a user's events that noise drops from the input
(`dropout`), its expectation in closed form; a is `activity`. With p = a = 0 this is equation 8 of
the first paper. With `keep`, B[j, i] may differ from 0 only where items j and i share many users,
and column i is computed of i and these items alone.

Source: Steck. "Embarrassingly Shallow Autoencoders for Sparse Data." WWW 2019. Steck.
    "Autoencoders that don't overfit towards the Identity." NeurIPS 2020 (p: the denoising
    autoencoder of full rank). Steck. "Markov Random Fields for Collaborative Filtering." NeurIPS
    2019 (section 3.2: the sparse weights).
Differs: the users' weights are ours: without them those with the most events decide. An event
    counts as 1 however often it was, and everything is computed in 32 bits. With
    `keep`, items are similar by the cosine of their columns, where the second paper takes the
    correlation and also scales the columns; each item's weights are found in one block, where it
    takes the mean over several.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from scipy.sparse import csr_array
from torch import nn
from typing_extensions import override

from recollect.capabilities import Capabilities
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SizeError
from recollect.families.item_weights import WAITING_WEIGHTS, ItemWeights, as_events
from recollect.families.vectors import MOST_NUMBERS
from recollect.kernels import Block, times_dense
from recollect.kernels.item_pairs import sum_rows
from recollect.memory_estimate import Memory, Shape, of_item_weights, of_sparse_item_weights
from recollect.models.ease.dynamic import Inverse, is_kept
from recollect.models.ease.exact import Weights, solve_exactly
from recollect.models.ease.sparse import SparseWeights, solve_sparsely
from recollect.online.change import Change
from recollect.online.networks import with_rows
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.system.once import Once
from recollect.training.history import History

SPARSE = 0.005  # `keep` as it is proposed where memory cannot hold every weight


@dataclass(kw_only=True, eq=False)
class EASE(ItemWeights):
    """A linear autoencoder without hidden layer: items predict each other."""

    refit: bool = True
    reg: float = setting(250.0, above=0, before=500.0)  # lambda
    # p: the share of a user's events that noise drops from the input
    dropout: float = setting(0.5, at_least=0, below=1, before=0.0)
    # a: how much less each user counts the more events they have
    activity: float = setting(0.5, at_least=0, before=0.0)
    # Share of the items × items weights that may differ from 0; None: all of them
    keep: float | None = setting(None, above=0, at_most=1)
    # With `keep`: at most so many weights of each item differ from 0
    neighbors: int = setting(1000, at_least=1)
    # With `keep`, r: the nearest part of an item and its neighbors is solved together with it
    block_share: float = setting(0.0, at_least=0, at_most=1)

    @property
    @override
    def capabilities(self) -> Capabilities:
        smaller = ({"keep": SPARSE}, {"keep": SPARSE, "neighbors": 100})
        return Capabilities(
            output="scores",
            needs=frozenset({"events"}),
            stops_early=False,
            smaller=smaller,
        )

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        if self.keep is None:
            return of_item_weights(shape)

        return of_sparse_item_weights(shape, keep=self.keep, neighbors=self.neighbors)

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        if self.keep is None:
            return Weights(n_items)

        return SparseWeights(n_items)

    @override
    def _forget(self) -> None:
        self._matrix: Once[csr_array] = Once()
        self._inverse: Inverse | None = None  # between updates

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Solve for B."""
        assert isinstance(train, Ratings)
        if self.keep is None:
            self._solve_all(self.net_, train)
        else:
            solve_sparsely(
                self.net_,
                train,
                user_weights(train, self.activity),
                reg=self.reg,
                noise=self._noise,
                keep=self.keep,
                neighbors=self.neighbors,
                share=self.block_share,
            )

        return History()

    def _solve_all(self, net: Weights, events: Ratings) -> None:
        """Write every weight between items into a network."""
        x = as_events(events.by_user)
        weight = user_weights(events, self.activity)
        x = replace(x, value=np.sqrt(weight)[x.row])
        solve_exactly(net, x, reg=self.reg, noise=self._noise)

    @property
    def _noise(self) -> float:
        """p / (1 − p)."""
        return self.dropout / (1 - self.dropout)

    @property
    @override
    def updatable(self) -> Updatable:
        if self.keep is not None:
            return WAITING_WEIGHTS

        return Updatable(
            learns="all weights between items, by an update of the inverse matrix",
            waits="the mean that users' weights are divided by" if self.activity else "",
            exact=not self.activity,
            retracts=not self.activity,
        )

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        n_items = change.after.n_items
        if self.keep is not None:
            return self.grown(n_items)

        if not is_kept(n_items):
            net = Weights(n_items)
            self._solve_all(net, change.after)
            return net.to(self.net_.weight.device)

        if before._inverse is None:
            how = {"reg": self.reg, "noise": self._noise, "activity": self.activity}
            inverse = Inverse.of(change.after, **how)
        else:
            inverse = before._inverse.after(change)

        self._inverse = inverse
        net = Weights(0)
        net.weight = nn.Buffer(torch.from_numpy(inverse.weights()).to(self.net_.weight.device))

        return net

    @override
    def grown(self, n_items: int) -> nn.Module:
        if self.keep is None:
            net = Weights(0)
            rows = with_rows(self.net_.weight, n_items)
            net.weight = nn.Buffer(with_rows(rows, n_items, dim=1))
            return net

        sparse = SparseWeights(n_items)
        matrix = self.net_.matrix()
        matrix.resize((n_items, n_items))
        sparse.set(matrix)

        return sparse

    @override
    @torch.no_grad()
    def sums(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        if self.keep is not None:
            return sum_rows(rows, self._matrix.get(self.net_.matrix))

        block = Block.of(rows, self.net_.weight.device)
        scores: np.ndarray = times_dense(block, self.net_.weight).cpu().numpy()

        return scores

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """Of an item its weights in the scores of all items; of a user their row of events.

        Raises:
            SizeError: if all of them, written out, would take more than 2 GB.
        """
        if side == "user":
            return super().vectors(side)

        if self.keep is None:
            weight: np.ndarray = self.net_.weight.cpu().numpy()
            return weight

        matrix = self._matrix.get(self.net_.matrix)
        n_items = matrix.shape[0]
        if n_items**2 > MOST_NUMBERS:
            raise SizeError(
                f"The vectors of items are their weights, {n_items:,} × {n_items:,} numbers here, "
                "more than 2 GB; ask for similarity of a model with factors, such as ials."
            )

        dense: np.ndarray = matrix.toarray()
        return dense


def user_weights(events: Ratings, activity: float) -> Float32[np.ndarray, " users"]:
    """w of each user: 1 on average over those with events."""
    count = events.count("user")
    has_events = count > 0
    weight = np.zeros(len(count))
    weight[has_events] = count[has_events] ** -activity
    weight /= max(weight[has_events].mean(), 1e-12) if has_events.any() else 1

    return weight.astype(np.float32)


# The settings of the paper, where the defaults are others.
PAPER: dict[str, Any] = {"dropout": 0.0, "activity": 0.0}

# Settings with which it learns planted events in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {"reg": 5.0}
