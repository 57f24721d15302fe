"""The members of the blend: what the network and the neighbors say of some lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from scipy.sparse import csr_array

from recollect.data.sparse_rows import Rows
from recollect.models.playlist import blending, training
from recollect.models.playlist.columns import Columns, probabilities
from recollect.models.playlist.neighbors import Neighbors
from recollect.models.playlist.network import MEMBERS, Network
from recollect.models.playlist.training import Judged
from recollect.unseen import BLOCK_CELLS

MOST_CANDIDATES = 200  # items of each member by which weights are chosen


class OfKind(NamedTuple):
    """What the members say of the items of one kind."""

    number: int  # of the kind among those that are predicted
    items: Int64[np.ndarray, " some"]
    seen: Bool[np.ndarray, "lists some"]  # what each list has
    scores: list[Float32[np.ndarray, "lists some"]]  # of each of MEMBERS, scaled


@dataclass(frozen=True, eq=False)
class Members:
    """The network and the neighbors of a model.

    Args:
        settings: of the model: neighbors, power, most_lists, shrinkage, asymmetry, valid_n.
        net: the network and the weights.
        columns: what enters and what is scored.
        neighbors: the lists that are known.
        kind_of_item: the number of each item's kind.
    """

    settings: Any
    net: Network
    columns: Columns
    neighbors: Neighbors
    kind_of_item: np.ndarray

    def of(self, rows: Rows) -> Iterator[OfKind]:
        """What each member says of some lists, kind by kind."""
        settings = self.settings
        expanded = self.columns.expand(rows)
        by_lists = self.neighbors.by_lists(expanded, k=settings.neighbors, power=settings.power)
        by_items = self.neighbors.by_items(
            expanded,
            k=settings.most_lists,
            shrinkage=settings.shrinkage,
            asymmetry=settings.asymmetry,
        )
        logits = training.logits(self.net, self.columns, rows)

        for number, kind in enumerate(self.columns.targets):
            items = np.flatnonzero(self.kind_of_item == kind)
            seen = _mask(training.columns_among(rows, items))
            tables = [self._of_network(logits, number, items)]
            tables += [_at(scores, items) for scores in (by_lists, by_items)]
            yield OfKind(number, items, seen, [blending.scaled(own, seen) for own in tables])

    def _of_network(
        self,
        logits: Float32[np.ndarray, "lists outputs"],
        number: int,
        items: Int64[np.ndarray, " some"],
    ) -> Float32[np.ndarray, "lists some"]:
        """The network's probabilities of the items of a kind; 0 of those that it lacks."""
        sizes = [len(own) for own in self.columns.outputs]
        first = sum(sizes[:number])
        out = np.zeros((len(logits), len(items)), np.float32)
        if sizes[number]:
            place = np.searchsorted(items, self.columns.outputs[number])
            out[:, place] = probabilities(logits[:, first : first + sizes[number]])

        return out

    def add_scores(self, rows: Rows, out: Float32[np.ndarray, "lists n_items"]) -> None:
        """Add the blend's scores of some lists, in place.

        Args:
            rows: the lists.
            out: a row for each.
        """
        situation = blending.situation_of(rows, self.kind_of_item)
        weight = self.net.weight.cpu().numpy()[situation]

        for of_kind in self.of(rows):
            own = weight[:, of_kind.number]
            total = np.zeros(of_kind.seen.shape, np.float32)
            for index, scores in enumerate(of_kind.scores):
                total += own[:, index, None] * scores

            out[:, of_kind.items] += total

    def choose_weights(self, judged: Judged) -> None:
        """Choose the weights of the blend, for each kind and each situation.

        Args:
            judged: lists of which a part is hidden.
        """
        situation = blending.situation_of(judged.seen, self.kind_of_item)

        for number, kind in enumerate(self.columns.targets):
            items = np.flatnonzero(self.kind_of_item == kind)
            hidden = training.columns_among(judged.hidden, items)
            has_good = hidden.counts > 0
            if not has_good.any():
                continue

            scores, good = self._candidates(judged, hidden, number)
            figures = blending.figures_of_weights(
                scores[has_good],
                good[has_good],
                hidden.counts[has_good],
                n=self.settings.valid_n,
            )
            for code in range(self.net.weight.shape[0]):
                own = situation[has_good] == code
                weight = blending.best_weight(figures, own, len(MEMBERS))
                self.net.weight[code, number] = torch.from_numpy(weight)

    def _candidates(
        self, judged: Judged, hidden: Rows, number: int
    ) -> tuple[Float32[np.ndarray, "lists some members"], Bool[np.ndarray, "lists some"]]:
        """The members' scores of the items of a kind that one of them ranks high, −∞ where there
        are fewer, and which of these were hidden.

        Args:
            judged: lists of which a part is hidden.
            hidden: the items of the kind that are hidden, numbered within it.
            number: of the kind among those that are predicted.
        """
        n_listed = len(MEMBERS) * min(MOST_CANDIDATES, max(1, hidden.n_columns))
        scores = np.full((len(hidden), n_listed, len(MEMBERS)), -np.inf, np.float32)
        good = np.zeros(scores.shape[:2], bool)

        for part in blocks(len(hidden), judged.seen.n_columns):
            of_kind = list(self.of(judged.seen.take(part)))[number]
            listed = blending.candidates(of_kind.scores, of_kind.seen, MOST_CANDIDATES)
            own = [np.take_along_axis(table, listed, axis=1) for table in of_kind.scores]
            is_listed = listed >= 0
            scores[part] = np.where(is_listed[..., None], np.stack(own, axis=2), -np.inf)
            is_good = _mask(hidden.take(part))
            good[part] = np.take_along_axis(is_good, listed, axis=1) & is_listed

        return scores, good


def blocks(n_rows: int, n_columns: int) -> Iterator[Int64[np.ndarray, " some"]]:
    """Row numbers, so many at a time as a dense block of scores may have."""
    step = max(1, BLOCK_CELLS // max(1, n_columns))
    for first in range(0, n_rows, step):
        yield np.arange(first, min(first + step, n_rows))


def _at(scores: csr_array, items: Int64[np.ndarray, " some"]) -> Float32[np.ndarray, "lists some"]:
    """Sparse scores of some items, written out."""
    table: np.ndarray = scores[:, items].toarray()
    return table.astype(np.float32, copy=False)


def _mask(rows: Rows) -> Bool[np.ndarray, "lists some"]:
    """Which cells there are, written out."""
    mask = np.zeros((len(rows), rows.n_columns), bool)
    mask[rows.row, rows.column] = True
    return mask
