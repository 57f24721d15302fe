"""Training of the network on lists of which a part is hidden, and on which lists it is judged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from recollect.data.kinds import Kinds
from recollect.data.playlists import WORDS
from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError, unknown
from recollect.kernels import Block
from recollect.models.playlist.columns import Columns
from recollect.models.playlist.corruption import only_cells, seen_cells
from recollect.models.playlist.network import Network
from recollect.ranking import NEVER, first_n, hits
from recollect.training.losses import logistic_loss, multinomial_loss

NUMBER = re.compile(r"\d+(\.\d+)?")
MOST_LISTS = 2000  # by which the network is judged after each epoch
MOST_TIMES = 4  # that a held-out list is judged
BLOCK = 250  # lists that are scored at once
SEEN = 0.5  # share of the items of a held-out list that is seen, of the kinds that are


@dataclass(frozen=True)
class Judged:
    """Lists of which a part is hidden: what is seen of them, and the items that are to be found."""

    seen: Rows
    hidden: Rows


def words_of(kinds: Kinds) -> int | None:
    """The number of the kind that holds words of titles, which are seen whole; None without any."""
    return kinds.number(WORDS) if WORDS in kinds.names else None


def judged_lists(lists: Rows, kinds: Kinds, *, hide: float, random: np.random.Generator) -> Judged:
    """Lists of which whole kinds and half of the rest are hidden.

    Args:
        lists: whole.
        kinds: of the items.
        hide: the probability that a kind is hidden.
        random: the generator.
    """
    is_seen = seen_cells(
        lists,
        kinds.of_item,
        hide=hide,
        drop=1 - SEEN,
        whole=words_of(kinds),
        random=random,
    )
    return Judged(only_cells(lists, is_seen), only_cells(lists, ~is_seen))


def judged_by_valid(
    train: Ratings, valid: Ratings, *, hide: float, random: np.random.Generator
) -> Judged:
    """The lists with validation events, which are to be found from the training events.

    Args:
        train: what is known of lists; whole kinds of it are hidden.
        valid: what is to be found.
        hide: the probability that a kind is hidden.
        random: the generator.
    """
    people = np.flatnonzero((valid.count("user") > 0) & (train.count("user") > 0))
    if len(people) > MOST_LISTS:
        people = np.sort(random.choice(people, MOST_LISTS, replace=False))

    rows = train.by_user.take(people)
    is_seen = seen_cells(rows, train.kinds.of_item, hide=hide, drop=0.0, whole=None, random=random)

    return Judged(only_cells(rows, is_seen), valid.by_user.take(people))


def weights_of(stated: Sequence[str], kinds: Sequence[str]) -> tuple[float, ...]:
    """The weight of each kind in the loss.

    Args:
        stated: such as "tags=0.5".
        kinds: those that are predicted; none: only how the weights are written is checked.

    Raises:
        SettingError: for something else, or a kind that is not predicted.
    """
    weight = dict.fromkeys(kinds, 1.0)

    for text in stated:
        kind, _, number = text.rpartition("=")
        if not kind or not NUMBER.fullmatch(number):
            raise SettingError(f"kind_weights has {text!r}; write a kind and a number: tags=0.5.")

        if kinds and kind not in kinds:
            raise unknown("kind of items that is predicted", kind, kinds)

        weight[kind] = float(number)

    return tuple(weight[kind] for kind in kinds)


@dataclass(frozen=True, eq=False)
class Seeker:
    """The loss of the network on lists of which it sees a part.

    Args:
        columns: what enters and what is scored.
        kinds: of the items.
        settings: of the model: hide, input_dropout, loss, absent_weight, sampled.
        weights: of each kind that is predicted, in the loss.
    """

    columns: Columns
    kinds: Kinds
    settings: Any
    weights: tuple[float, ...]

    def loss(self, net: Network, block: Block) -> tuple[Tensor, int]:
        """Σ over kinds of weight · loss, and the number of items that are to be given."""
        random = np.random.default_rng(int(torch.randint(2**63 - 1, ())))
        rows = rows_of(block)
        is_seen = seen_cells(
            rows,
            self.kinds.of_item,
            hide=self.settings.hide,
            drop=self.settings.input_dropout,
            whole=None,
            random=random,
        )
        entered = self.columns.network_rows(self.columns.expand(only_cells(rows, is_seen)))
        hidden = net.encode(Block.of(entered, block.device))
        total = hidden.new_zeros(())
        n_events = 0
        first = 0

        for items, weight in zip(self.columns.outputs, self.weights, strict=True):
            loss, n = self._loss_of_kind(net, hidden, rows, items, first, random)
            total = total + weight * loss
            n_events += n
            first += len(items)

        return total, n_events

    def _loss_of_kind(
        self,
        net: Network,
        hidden: Float[Tensor, "lists hidden"],
        rows: Rows,
        items: Int64[np.ndarray, " some"],
        first: int,
        random: np.random.Generator,
    ) -> tuple[Tensor, int]:
        """The loss over the items of one kind, or over some of them.

        Args:
            net: the network in training.
            hidden: codes of the lists.
            rows: whole lists.
            items: the items of the kind that are scored.
            first: the place of the first of them among all outputs.
            random: the generator.
        """
        place = np.full(rows.n_columns, -1)
        place[items] = np.arange(len(items))
        own = place[rows.column]
        row, column = rows.row[own >= 0], own[own >= 0]
        if not len(row):
            return hidden.new_zeros(()), 0

        chosen, factor = sampled_columns(column, len(items), self.settings.sampled, random)
        column = np.searchsorted(chosen, column)
        at = torch.as_tensor(first + chosen, device=hidden.device)
        out = net.decode(hidden, None if len(chosen) == net.n_outputs else at).float()
        at_row = torch.as_tensor(row, device=hidden.device).long()
        at_column = torch.as_tensor(column, device=hidden.device).long()
        weight = torch.as_tensor(factor, dtype=out.dtype, device=hidden.device)
        if self.settings.loss == "logistic":
            return logistic_loss(
                out, at_row, at_column, absent=self.settings.absent_weight * weight
            )

        return multinomial_loss(out + weight.log(), at_row, at_column, out.new_ones(len(row)))


def sampled_columns(
    column: Int64[np.ndarray, " events"], n_columns: int, sampled: int, random: np.random.Generator
) -> tuple[Int64[np.ndarray, " chosen"], Float[np.ndarray, " chosen"]]:
    """The columns over which a loss goes, in order, and how many columns each stands for.

    All columns with an event, each for itself, and of the others so many that are drawn: sums over
    all columns have the right expectation.

    Args:
        column: of each event.
        n_columns: in all.
        sampled: how many are drawn of those without an event.
        random: the generator.
    """
    has_event = np.zeros(n_columns, bool)
    has_event[column] = True
    others = np.flatnonzero(~has_event)
    if len(others) <= sampled:
        return np.arange(n_columns), np.ones(n_columns)

    drawn = random.choice(others, sampled, replace=False)
    chosen = np.sort(np.concatenate([np.flatnonzero(has_event), drawn]))

    return chosen, np.where(has_event[chosen], 1.0, len(others) / sampled)


def rows_of(block: Block) -> Rows:
    """A block as sparse rows in memory."""
    assert block.value is not None
    return Rows(
        block.rows.start.cpu().numpy().astype(np.int64),
        block.column.cpu().numpy(),
        block.value.cpu().numpy(),
        block.n_columns,
    )


@torch.no_grad()
def logits(net: Network, columns: Columns, rows: Rows) -> Float[np.ndarray, "lists outputs"]:
    """The network's scores of every output."""
    entered = columns.network_rows(columns.expand(rows))
    device = next(net.parameters()).device
    scores: np.ndarray = net.decode(net.encode(Block.of(entered, device))).float().cpu().numpy()

    return scores


def network_ndcg(net: Network, columns: Columns, judged: Judged, *, n: int) -> float:
    """The mean over kinds of the NDCG@n of the network alone.

    Args:
        net: the network in training.
        columns: what enters and what is scored.
        judged: lists of which a part is hidden.
        n: length of the lists.
    """
    figures: list[list[np.ndarray]] = [[] for _ in columns.outputs]

    for begin in range(0, len(judged.seen), BLOCK):
        part = np.arange(begin, min(begin + BLOCK, len(judged.seen)))
        seen = judged.seen.take(part)
        scores = logits(net, columns, seen)
        first = 0

        for kind, items in enumerate(columns.outputs):
            own = scores[:, first : first + len(items)].copy()
            mask_cells(own, seen, items)
            good = columns_among(judged.hidden.take(part), items)
            figures[kind].append(ndcgs(own, good, n))
            first += len(items)

    means = [np.concatenate(own) for own in figures]

    return float(np.mean([own.mean() for own in means if len(own)] or [0.0]))


def ndcgs(scores: np.ndarray, good: Rows, n: int) -> Float[np.ndarray, " lists"]:
    """The NDCG@n of each list that has good items."""
    has_good = good.counts > 0
    if not scores.shape[1] or not has_good.any():
        return np.empty(0)

    shown = first_n(n, scores)
    discount = 1 / np.log2(np.arange(n) + 2)
    ideal = np.cumsum(discount)[np.minimum(good.counts[has_good], n) - 1]
    gain: np.ndarray = hits(good, shown)[has_good] @ discount / ideal

    return gain


def mask_cells(scores: np.ndarray, seen: Rows, items: np.ndarray) -> None:
    """Give the items that a list has the lowest score, in place.

    Args:
        scores: lists × items of one kind.
        seen: what each list has.
        items: the items of the columns.
    """
    own = columns_among(seen, items)
    scores[own.row, own.column] = NEVER


def columns_among(rows: Rows, items: np.ndarray) -> Rows:
    """The cells in some columns, which are numbered anew.

    Args:
        rows: lists of items.
        items: the columns, ascending.
    """
    place = np.full(rows.n_columns, -1, np.int32)
    place[items] = np.arange(len(items), dtype=np.int32)
    kept = only_cells(rows, place[rows.column] >= 0)

    return Rows(kept.start, place[kept.column], kept.value, len(items))
