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


class Candidates(NamedTuple):
    """Items of one kind that are ranked high for some lists."""

    scores: Float32[np.ndarray, "lists some members"]  # −∞ where there are fewer
    good: Bool[np.ndarray, "lists some"]  # which were hidden
    n_good: Int64[np.ndarray, " lists"]  # how many items of the kind were hidden


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

    def scaled(self, rows: Rows) -> tuple[list[np.ndarray], list[csr_array]]:
        """What each member says of some lists, divided by the largest score of an item of the kind
        that the list does not have: the network's scores of each kind's outputs, and the sparse
        scores of the neighbors.
        """
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
        of_network = []
        first = 0

        for items in self.columns.outputs:
            table = logits[:, first : first + len(items)]
            seen = training.columns_among(rows, items)
            of_network.append(blending.scaled(probabilities(table), seen) if len(items) else table)
            first += len(items)

        sparse = [
            blending.scaled_sparse(scores, rows, self.kind_of_item)
            for scores in (by_lists, by_items)
        ]

        return of_network, sparse

    def add_scores(self, rows: Rows, out: Float32[np.ndarray, "lists n_items"]) -> None:
        """Add the blend's scores of some lists, in place.

        Args:
            rows: the lists.
            out: a row for each.
        """
        situation = blending.situation_of(rows, self.kind_of_item)
        weight = self.net.weight.cpu().numpy()[situation]
        of_network, sparse = self.scaled(rows)

        for number, items in enumerate(self.columns.outputs):
            out[:, items] += weight[:, number, 0, None] * of_network[number]

        # Of kinds that are not predicted there is no weight.
        place = np.full(int(self.kind_of_item.max()) + 1, len(self.columns.targets))
        place[list(self.columns.targets)] = np.arange(len(self.columns.targets))
        weight = np.concatenate([weight, np.zeros_like(weight[:, :1])], axis=1)

        for member, scores in enumerate(sparse, start=1):
            row = np.repeat(np.arange(len(rows)), np.diff(scores.indptr))
            kind = place[self.kind_of_item[scores.indices]]
            out[row, scores.indices] += weight[row, kind, member] * scores.data

    def choose_weights(self, judged: Judged) -> None:
        """Choose the weights of the blend, for each kind and each situation.

        Args:
            judged: lists of which a part is hidden.
        """
        situation = blending.situation_of(judged.seen, self.kind_of_item)
        tables = self._candidates(judged)

        for number, (scores, good, n_good) in enumerate(tables):
            has_good = n_good > 0
            if not has_good.any():
                continue

            figures = blending.figures_of_weights(
                scores[has_good], good[has_good], n_good[has_good], n=self.settings.valid_n
            )
            for code in range(self.net.weight.shape[0]):
                own = situation[has_good] == code
                weight = blending.best_weight(figures, own, len(MEMBERS))
                self.net.weight[code, number] = torch.from_numpy(weight)

    def _candidates(self, judged: Judged) -> list[Candidates]:
        """For each kind the scores of the items that one of the members ranks high.

        Args:
            judged: lists of which a part is hidden.
        """
        kinds = [np.flatnonzero(self.kind_of_item == kind) for kind in self.columns.targets]
        parts: list[list[Candidates]] = [[] for _ in kinds]

        for part in blocks(len(judged.seen), judged.seen.n_columns):
            rows = judged.seen.take(part)
            of_network, sparse = self.scaled(rows)

            for number, items in enumerate(kinds):
                network = np.zeros((len(rows), len(items)), np.float32)
                place = np.searchsorted(items, self.columns.outputs[number])
                network[:, place] = of_network[number]
                own = [network, *(_at(scores, items) for scores in sparse)]
                seen = _mask(training.columns_among(rows, items))
                hidden = training.columns_among(judged.hidden.take(part), items)
                parts[number].append(_candidates_of(own, seen, hidden))

        return [Candidates(*map(np.concatenate, zip(*own, strict=True))) for own in parts]


def _candidates_of(
    scores: list[np.ndarray], seen: Bool[np.ndarray, "lists some"], hidden: Rows
) -> Candidates:
    """The items of a kind that one of the members ranks high.

    Args:
        scores: of each member.
        seen: what each list has.
        hidden: what is hidden of each list.
    """
    listed = blending.candidates(scores, seen, MOST_CANDIDATES)
    is_listed = listed >= 0
    own = np.stack([np.take_along_axis(table, listed, axis=1) for table in scores], axis=2)
    good = np.take_along_axis(_mask(hidden), listed, axis=1) & is_listed

    return Candidates(np.where(is_listed[..., None], own, -np.inf), good, hidden.counts)


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
