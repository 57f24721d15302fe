"""New items of an autoencoder of events: their weights in the last layer, without a fit.

The codes of those who chose an item say what its weights are. How they do is learned from the items
of the fit, by ridge regression of their weights and biases on the mean code of some of their
choosers and the logarithm of their number:

    (w_i, b_i) ≈ M φ_i,   φ_i = (mean of h_u over choosers u, less that over all users; log n_i; 1)

Of a fitted item as many choosers are drawn as a new item may have, so that M takes the mean of a
few codes for as uncertain as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import Rows
from recollect.families.row_updates import Codes
from recollect.online.change import Change
from recollect.online.result import Updatable

CHOOSERS = 5  # of each fitted item that M is learned from
REG = 0.01  # λ, as a share of the mean square of the features

UPDATABLE = Updatable(
    learns="the codes of users with new events; the last layer's weights of new items, from the "
    "codes of those who chose them",
    waits="the first layer, all layers between, and the last layer's weights of known items",
)


@dataclass(frozen=True, eq=False)
class ColumnMap:
    """M, and the mean code of all users."""

    matrix: Float64[np.ndarray, "features outputs"]
    center: Float64[np.ndarray, " k"]

    @classmethod
    def of(
        cls,
        events: Ratings,
        codes: Float[Tensor, "users k"],
        columns: Float[Tensor, "items outputs"],
    ) -> ColumnMap:
        """M from the items of a fit.

        Args:
            events: that the columns were learned from.
            codes: of the users.
            columns: weights and bias of each item.
        """
        h = codes.double().cpu().numpy()
        center = h[events.count("user") > 0].mean(axis=0)
        items = np.flatnonzero(events.count("item"))
        rows = events.by_item.take(items)
        empty = cls(np.empty((0, 0)), center)
        features = empty._features(_drawn(rows), h, rows.counts)
        reg = REG * np.mean(features[:, : len(center)] ** 2) * len(items)
        left = features.T @ features + reg * np.eye(features.shape[1])
        target = columns[torch.from_numpy(items)].double().cpu().numpy()

        return cls(np.linalg.solve(left, features.T @ target), center)

    def columns(
        self, rows: Rows, codes: Float[Tensor, "users k"]
    ) -> Float64[np.ndarray, "items outputs"]:
        """The weights and the bias of items.

        Args:
            rows: of each item the users who chose it.
            codes: of all users.
        """
        h = codes.double().cpu().numpy()
        return self._features(rows, h, rows.counts) @ self.matrix

    def _features(
        self,
        rows: Rows,
        h: Float64[np.ndarray, "users k"],
        n_events: Int[np.ndarray, " items"],
    ) -> Float64[np.ndarray, "items features"]:
        """φ of each item.

        Args:
            rows: of each item the users whose codes count.
            h: codes.
            n_events: how many users chose it.
        """
        mean = np.zeros((len(rows), h.shape[1]))
        np.add.at(mean, rows.row, h[rows.column])
        mean /= np.maximum(rows.counts, 1)[:, None]
        count = np.log(np.maximum(n_events, 1))

        return np.column_stack([mean - self.center, count, np.ones(len(rows))])


def _drawn(rows: Rows) -> Rows:
    """The rows with at most CHOOSERS cells each, drawn."""
    rank = np.random.default_rng(0).random(rows.n_cells)
    order = np.lexsort((rank, rows.row))
    place = np.arange(rows.n_cells) - rows.start[rows.row[order]]
    kept = np.sort(order[place < CHOOSERS])
    start = np.concatenate([[0], np.cumsum(np.minimum(rows.counts, CHOOSERS))])

    return Rows(start, rows.column[kept], rows.value[kept], rows.n_columns)


@torch.no_grad()
def solve_new_items(model: Any, codes: Codes, change: Change, before: Any) -> None:
    """Write the output columns of new items into the network.

    Args:
        model: an autoencoder of events; `net_` is written into.
        codes: of all users.
        change: of the events.
        before: the model before.
    """
    column_map = before.column_map()
    # Learned from the items of the fit, which the model before had.
    model._column_map.get(lambda: column_map)
    new = change.new("item")
    layer = model.net_.output
    solved = column_map.columns(change.after.by_item.take(new), codes[0])
    columns = torch.from_numpy(solved).to(layer.weight)
    index = torch.from_numpy(new)
    layer.weight[index] = columns[:, :-1]
    layer.bias[index] = columns[:, -1]
