"""What a list is to the network: its items and what is known of them, as columns.

    items       those of the list, of all kinds
    features    those of its items: the artists, albums and genres of songs

Items that stand in few lists neither enter the network nor leave it; the neighbors know them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Int32, Int64
from scipy.sparse import csr_array, hstack

from recollect.data.kinds import Kinds
from recollect.data.playlists import WORDS
from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import Rows
from recollect.data.text.pieces import PIECE_MARK
from recollect.data.vocab import Vocab

# A title has ten times as many pieces as words; of their squares it has about as much.
PIECE = 0.3


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of lists.

    Args:
        features: the features of each item, items × features, 1 or nothing.
        value: what each item counts in a list: 1, of a piece of a title's word PIECE.
        kind: of each column, the items' kinds first and then a number for each field of features.
        inputs: the columns that enter the network.
        outputs: for each kind that is predicted, the items that the network scores.
        targets: for each kind that is predicted, its number.
    """

    features: csr_array
    value: Float32[np.ndarray, " n_items"]
    kind: Int32[np.ndarray, " columns"]
    inputs: Int64[np.ndarray, " inputs"]
    outputs: tuple[Int64[np.ndarray, " some"], ...]
    targets: tuple[int, ...]

    @property
    def n_items(self) -> int:
        """Items, which are the first columns."""
        return int(self.features.shape[0])

    @property
    def n_columns(self) -> int:
        """Items and features."""
        return len(self.kind)

    @property
    def every_output(self) -> Int64[np.ndarray, " outputs"]:
        """The items that the network scores, kind by kind."""
        return np.concatenate(self.outputs)

    def expand(self, rows: Rows) -> csr_array:
        """Lists with the features of their items, lists × columns.

        An item has its value, a feature that k items of the list have log2(1 + k).
        """
        shape = (len(rows), self.n_items)
        items = csr_array((self.value[rows.column], rows.column, rows.start), shape=shape)
        if not self.features.shape[1]:
            return items

        ones = csr_array((np.ones_like(items.data), rows.column, rows.start), shape=shape)
        features = ones @ self.features
        features.data = np.log2(1 + features.data).astype(np.float32)

        return csr_array(hstack([items, features], format="csr"))

    def network_rows(self, expanded: csr_array) -> Rows:
        """What enters the network: of each kind the values of a list have the length 1.

        Args:
            expanded: lists, as `expand` returns them.
        """
        kept = expanded[:, self.inputs]
        kept.sort_indices()
        row = np.repeat(np.arange(kept.shape[0]), np.diff(kept.indptr))
        n_kinds = int(self.kind.max()) + 1
        group = row * n_kinds + self.kind[self.inputs][kept.indices]
        square = np.bincount(group, weights=kept.data**2, minlength=kept.shape[0] * n_kinds)
        value = kept.data / np.sqrt(square)[group]

        return Rows(
            kept.indptr.astype(np.int64),
            kept.indices.astype(np.int32),
            value.astype(np.float32),
            len(self.inputs),
        )


def columns_of(
    events: Ratings,
    *,
    fields: tuple[str, ...] | None,
    targets: tuple[str, ...] | None,
    min_events: int,
    most: int,
) -> Columns:
    """The columns of lists, from the events that a model is fitted on.

    Args:
        events: of lists and items.
        fields: of the item table, whose values are lists of texts; None: all of them.
        targets: the kinds that are predicted; None: all but words of titles.
        min_events: lists in which a column of the network stands at least.
        most: columns of each kind at most, the most frequent ones.
    """
    kinds = events.kinds
    names = targets or tuple(name for name in kinds.names if name != WORDS) or kinds.names
    features, field = _features(events, fields)
    kind = np.concatenate([kinds.of_item, len(kinds) + field]).astype(np.int32)
    count = np.concatenate([events.count("item"), _lists_with(events, features)])
    numbers = tuple(kinds.number(name) for name in names)
    inputs = [_frequent(kind == k, count, min_events, most) for k in range(int(kind.max()) + 1)]

    return Columns(
        features,
        np.where(_are_pieces(kinds), PIECE, 1).astype(np.float32),
        kind,
        np.sort(np.concatenate(inputs)),
        tuple(_frequent(kind == k, count, min_events, most) for k in numbers),
        numbers,
    )


def _are_pieces(kinds: Kinds) -> Bool[np.ndarray, " n_items"]:
    """Which items are pieces of words of titles."""
    if WORDS not in kinds.names:
        return np.zeros(len(kinds.of_item), bool)

    return kinds.mask(WORDS) & kinds.own_ids.str.starts_with(PIECE_MARK).to_numpy()


def _frequent(
    own: np.ndarray, count: np.ndarray, min_events: int, most: int
) -> Int64[np.ndarray, " some"]:
    """The columns of a kind that stand in enough lists, at most so many of them."""
    columns = np.flatnonzero(own & (count >= min_events))
    # Ties by column, so that the same events give the same columns.
    order = np.argsort(-count[columns], kind="stable")[:most]

    return np.sort(columns[order])


def _features(
    events: Ratings, fields: tuple[str, ...] | None
) -> tuple[csr_array, Int32[np.ndarray, " features"]]:
    """The features of items, and the number of each one's field."""
    table = events.catalogue
    names = fields if fields is not None else _list_fields(table)
    empty = csr_array((events.n_items, 0), dtype=np.float32)
    parts, field = [empty], [np.empty(0, np.int32)]

    for number, name in enumerate(names):
        assert table is not None
        pairs = table.select("item_id", feature=name).explode("feature").drop_nulls().unique()
        item = events.items.rows(pairs["item_id"])
        pairs = pairs.filter(pl.Series(item >= 0))
        vocab, feature = Vocab.encode(pairs["feature"].cast(pl.String))
        own = np.ones(len(feature), np.float32)
        shape = (events.n_items, len(vocab))
        parts.append(csr_array((own, (item[item >= 0], feature)), shape=shape))
        field.append(np.full(len(vocab), number, np.int32))

    return csr_array(hstack(parts, format="csr", dtype=np.float32)), np.concatenate(field)


def _list_fields(table: pl.DataFrame | None) -> tuple[str, ...]:
    """The fields of an item table whose values are lists of texts."""
    if table is None:
        return ()

    return tuple(name for name, kind in table.schema.items() if kind == pl.List(pl.String))


def _lists_with(events: Ratings, features: csr_array) -> Int64[np.ndarray, " features"]:
    """How many lists have each feature."""
    if not features.shape[1]:
        return np.empty(0, np.int64)

    pairs = events.by_user.as_csr() @ features

    return np.bincount(pairs.indices, minlength=features.shape[1])


def probabilities(
    logits: Float32[np.ndarray, "lists items"],
) -> Float32[np.ndarray, "lists items"]:
    """The softmax of each row."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
