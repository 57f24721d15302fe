"""ItemKNN: items are recommended that the same users chose as those that someone has chosen.

    s_ji = x_j · x_i / ( |x_j|^(2α) |x_i|^(2 − 2α) + shrinkage )
    score[u, i] = Σ s_ji over the items j that u has events with and that are among the k nearest
                  of i

x_i has a number for each user with an event with i, 1 or a weight. With α = ½ and no shrinkage,
s is the cosine.

Source: Sarwar, Karypis, Konstan, Riedl. "Item-Based Collaborative Filtering Recommendation
    Algorithms." WWW 2001 (the cosine and k neighbors). Deshpande, Karypis. "Item-Based Top-N
    Recommendation Algorithms." ACM TOIS 22(1), 2004 (sums of similarities). Aiolli. "Efficient
    Top-N Recommendation for Very Large Scale Binary Rated Datasets." RecSys 2013 (α). Robertson,
    Zaragoza. "The Probabilistic Relevance Framework: BM25 and Beyond." 2009 (the weights).
Differs: a shrinkage in the denominator, as in Bell and Koren (ICDM 2007), takes weight from pairs
    that few users share; the k nearest of an item are kept, not the k largest sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int
from scipy.sparse import csr_array
from torch import nn
from typing_extensions import override

from recollect.capabilities import Capabilities
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.families.item_weights import ItemWeights
from recollect.kernels.item_pairs import sum_rows
from recollect.memory_estimate import Memory, Shape, of_pairs
from recollect.online.change import Change
from recollect.online.networks import sharing, with_rows
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.system.once import Once
from recollect.training.history import History

WEIGHTINGS = ("none", "bm25")
BLOCK = 512  # items whose neighbors are found at once
# Of BM25: how soon repeated events count no more, and how much a popular item's events are reduced.
K1 = 1.2
B = 0.75
MOST_TOUCHED = 0.25  # of the items: above, an update compares all items again


class Neighbors(nn.Module):
    """The network: of each item the k items most similar to it, and how similar; 0 pads."""

    def __init__(self, n_items: int, k: int) -> None:
        super().__init__()
        self.neighbor = nn.Buffer(torch.zeros(n_items, k, dtype=torch.int32))
        self.similarity = nn.Buffer(torch.zeros(n_items, k))

    def matrix(self) -> csr_array:
        """A row for each item j: s_ji for the items i to whose neighbors it belongs."""
        n_items, k = self.neighbor.shape
        similarity = self.similarity.cpu().numpy().ravel()
        neighbor = self.neighbor.cpu().numpy().ravel()
        item = np.repeat(np.arange(n_items), k)
        used = similarity != 0

        return csr_array((similarity[used], (neighbor[used], item[used])), shape=(n_items, n_items))


@dataclass(kw_only=True, eq=False)
class ItemKNN(ItemWeights):
    """The k nearest items of each item, by the users that they share."""

    refit: bool = True
    neighbors: int = setting(100, at_least=1)  # k
    asymmetry: float = setting(0.5, at_least=0, at_most=1)  # alpha; 0.5: as the cosine
    shrinkage: float = setting(20.0, at_least=0)
    # What an event weighs: 1, or as a word in a document, the less the more events its user has
    weighting: str = setting("none", one_of=WEIGHTINGS)

    @property
    @override
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, counts=self.weighting != "none")

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        k = min(self.neighbors, shape.n_items)
        dense = 3 * 4 * BLOCK * shape.n_items
        return of_pairs(shape, parameters=2 * 8 * k * shape.n_items + dense, bytes_per_rating=48)

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        return Neighbors(n_items, min(self.neighbors, n_items))

    @override
    def _forget(self) -> None:
        self._matrix: Once[csr_array] = Once()

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        assert isinstance(train, Ratings)
        net: Neighbors = self.net_
        everyone = np.arange(train.n_items)
        self._find_neighbors(net, item_vectors(train, self.weighting), everyone)

        return History()

    def _find_neighbors(
        self, net: Neighbors, x: csr_array, items: Int[np.ndarray, " some"]
    ) -> None:
        """Write the nearest items of some items into the network.

        Args:
            net: written into.
            x: the vector of every item.
            items: row numbers of items.
        """
        square = np.asarray(x.power(2).sum(axis=1))
        by_user = x.T.tocsr()
        k = net.neighbor.shape[1]

        for first in range(0, len(items), BLOCK):
            block = items[first : first + BLOCK]
            shared = (x[block] @ by_user).toarray()
            similarity = shared / self._denominator(square, block)
            similarity[np.arange(len(block)), block] = 0
            nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
            kept = np.take_along_axis(similarity, nearest, axis=1)
            net.neighbor[block] = torch.from_numpy(nearest.astype(np.int32))
            net.similarity[block] = torch.from_numpy(kept.astype(np.float32))

    @property
    @override
    def updatable(self) -> Updatable:
        learns = "all neighbors and similarities"
        return Updatable(learns=learns, waits="", exact=True, retracts=True)

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        after = change.after
        net = Neighbors(after.n_items, min(self.neighbors, after.n_items))
        x = item_vectors(after, self.weighting)
        items = change.touched("item")
        is_small = len(items) < MOST_TOUCHED * after.n_items
        same_k = net.neighbor.shape[1] == self.net_.neighbor.shape[1]
        # By BM25 an event changes the weights of all others.
        if is_small and same_k and self.weighting == "none":
            self._replace_neighbors(net, x, items)
        else:
            self._find_neighbors(net, x, np.arange(after.n_items))

        return net.to(self.net_.neighbor.device)

    @override
    def grown(self, n_items: int) -> nn.Module:
        net = sharing(self.net_)
        net.neighbor = nn.Buffer(with_rows(net.neighbor, n_items))
        net.similarity = nn.Buffer(with_rows(net.similarity, n_items))
        return net

    def _replace_neighbors(
        self, net: Neighbors, x: csr_array, items: Int[np.ndarray, " touched"]
    ) -> None:
        """Write the neighbors of all items where the vectors of some have changed.

        An untouched item keeps its untouched neighbors and weighs the touched items against them.
        What it had left out was no more similar than its last neighbor was: if what is left now
        reaches that, nothing else can come in; if not, all items are compared with it.

        Args:
            net: written into; `self.net_` is the one before.
            x: the vector of every item.
            items: those whose vectors have changed.
        """
        old = self.net_
        n_items, k = net.neighbor.shape
        n_before = len(old.neighbor)
        neighbor = np.zeros((n_items, k), np.int64)
        similarity = np.zeros((n_items, k))
        neighbor[:n_before] = old.neighbor.cpu().numpy()
        similarity[:n_before] = old.similarity.cpu().numpy()
        least = similarity.min(axis=1)
        similarity[np.isin(neighbor, items)] = -1

        square = np.asarray(x.power(2).sum(axis=1))
        shared = (x @ x[items].T.tocsr()).toarray()  # of every item with each touched one
        of_touched = shared / self._denominator(square, np.arange(n_items), items)
        of_touched[items, np.arange(len(items))] = -1
        candidates = np.concatenate([similarity, of_touched], axis=1)
        names = np.concatenate([neighbor, np.broadcast_to(items, of_touched.shape)], axis=1)
        nearest = np.argpartition(-candidates, k - 1, axis=1)[:, :k]
        kept = np.take_along_axis(candidates, nearest, axis=1)
        net.neighbor.copy_(torch.from_numpy(np.take_along_axis(names, nearest, axis=1)))
        net.similarity.copy_(torch.from_numpy(np.maximum(kept, 0)))

        is_open = kept.min(axis=1) < least
        is_open[items] = True
        self._find_neighbors(net, x, np.flatnonzero(is_open))

    def _denominator(
        self,
        square: Float64[np.ndarray, " n_items"],
        items: Int[np.ndarray, " some"],
        others: Int[np.ndarray, " others"] | None = None,
    ) -> Float64[np.ndarray, "some others"]:
        """|x_j|^(2α) |x_i|^(2 − 2α) + shrinkage, never 0.

        Args:
            square: |x|² of every item.
            items: the items i.
            others: the items j; None: all.
        """
        of_others = (square if others is None else square[others]) ** self.asymmetry
        own = square[items] ** (1 - self.asymmetry)
        denominator = own[:, None] * of_others + self.shrinkage

        return np.maximum(denominator, 1e-12)

    @override
    def sums(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        return sum_rows(rows, self._matrix.get(self.net_.matrix))


def item_vectors(events: Ratings, weighting: str) -> csr_array:
    """x_i of every item, items × users.

    Args:
        events: each with a count.
        weighting: "none": 1 for each event; "bm25": its weight as a word, a user, in a document,
            an item.
    """
    rows = events.by_item
    n_items, n_users = len(rows), rows.n_columns
    if weighting == "none":
        value = np.ones(rows.n_cells)
    else:
        of_user = events.count("user")
        rarity = np.log(n_items) - np.log1p(of_user)
        length = rows.totals / max(rows.totals.mean(), 1e-12)
        count = rows.value.astype(np.float64)
        reduced = K1 * (1 - B + B * length[rows.row])
        value = count * (K1 + 1) / (reduced + count) * np.maximum(rarity[rows.column], 0)

    return csr_array((value, rows.column, rows.start), shape=(n_items, n_users))


# Settings with which it learns planted events in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {"neighbors": 10, "shrinkage": 1.0}
