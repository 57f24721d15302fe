"""ItemWeights: the score of an item is a weighted sum over the events that a user has.

    score[u, i] = Σ_j x[u, j] B[j, i],    x[u, j] = 1 where u has an event with j, else 0

A concrete model learns B, items × items with zeros on the diagonal, and says in `sums` how scores
come of it. A user is their events and nothing else: new events and new users count at once, without
learning.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int
from torch import nn
from typing_extensions import override

from recollect.data.ratings import Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.families.users_as_rows import UsersAsRows
from recollect.families.vectors import written_out
from recollect.model import Capabilities
from recollect.online.result import Updatable
from recollect.unseen import BLOCK_CELLS

# What an update changes of a model whose weights wait.
WAITING_WEIGHTS = Updatable(
    learns="the rows of users, from which their scores are computed",
    waits="the weights between items; a new item has none and gets the score 0",
)


@dataclass(kw_only=True, eq=False)
class ItemWeights(UsersAsRows):
    """A model of events whose network is a matrix of weights between items."""

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(
            output="scores",
            needs=frozenset({"events"}),
            stops_early=False,
        )

    @abstractmethod
    def sums(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """X B, where every value in the rows is 1."""

    @abstractmethod
    def grown(self, n_items: int) -> nn.Module:
        """The network for more items, of which the further ones have no weights."""

    def with_items(self, n_items: int) -> ItemWeights:
        """A copy of the model for more items, of which the further ones have no weights.

        It gives `sums` alone: what it was fitted on stays.
        """
        copied = copy.copy(self)
        copied._forget()
        copied.net_ = self.grown(n_items)

        return copied

    @override
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        return self.sums(as_events(rows))

    @override
    def influences(
        self,
        rows: Rows,
        items: Int[np.ndarray, "people some"],
        *,
        only: Bool[np.ndarray, " cells"] | None = None,
    ) -> Float32[np.ndarray, "cells some"]:
        """B[j, i] of each event with j in a row and each item i: the summands of the score."""
        influence = np.empty((rows.n_cells, items.shape[1]), np.float32)
        step = max(1, BLOCK_CELLS // max(1, rows.n_columns))

        for first in range(0, rows.n_cells, step):
            column = rows.column[first : first + step]
            start = np.arange(len(column) + 1)
            # A row with one event has that row of B as its scores.
            alone = Rows(start, column, np.ones(len(column), np.float32), rows.n_columns)
            person = rows.row[first : first + step]
            weight = self.sums(alone)
            influence[first : first + step] = np.take_along_axis(weight, items[person], axis=1)

        return influence

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The rows of events, of users or of items, with 1 in every cell.

        Raises:
            SizeError: if all of them, written out, would take more than 2 GB.
        """
        given = self.given_
        assert isinstance(given, Ratings)

        return written_out(as_events(given.rows(side)), side, "events")


def as_events(rows: Rows) -> Rows:
    """The rows with 1 in every cell, however often the event was."""
    return replace(rows, value=np.ones(rows.n_cells, np.float32))
