"""The weights of the network and of the neighbors, for what is known of a list and each kind.

A member's scores of a kind are divided by the largest one among the items that the list does not
have. The weights are those of a grid with the highest NDCG on lists of which a part is hidden.

    score[u, i] = Σ_m w_m s_m[u, i] / max over the other items of the kind of s_m[u],    Σ w_m = 1
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int
from scipy.sparse import csr_array

from recollect.data.sparse_rows import Rows

GRID = 10  # a weight is a multiple of 1 / GRID
LEAST = 1e-30  # what scores are divided by where all are 0
SHARED = 100  # lists of the mean figure of all that are added to those of each situation
MOST_KINDS = 4  # kinds that make a situation: the first ones


def situation_of(
    rows: Rows, kind_of_item: Int[np.ndarray, " n_items"]
) -> Int[np.ndarray, " lists"]:
    """Which kinds of items each list has, as a number: the sum of 2^k over its kinds k.

    Args:
        rows: lists of items.
        kind_of_item: the number of each item's kind; of those from MOST_KINDS on none is asked.
    """
    kind = kind_of_item[rows.column]
    counted = kind < MOST_KINDS
    present = np.zeros((len(rows), MOST_KINDS), bool)
    present[rows.row[counted], kind[counted]] = True

    return present @ (1 << np.arange(MOST_KINDS))


def scaled(
    scores: Float32[np.ndarray, "lists some"], seen: Rows
) -> Float32[np.ndarray, "lists some"]:
    """Scores of one kind, 0 and more, divided by the largest of what a list does not have.

    Where a list has all that has a score, by the largest of all.

    Args:
        scores: of some items of the kind.
        seen: which of these each list has.
    """
    unseen = scores.copy()
    unseen[seen.row, seen.column] = 0
    largest = unseen.max(axis=1, keepdims=True)
    largest = np.where(largest > 0, largest, np.maximum(scores.max(axis=1, keepdims=True), LEAST))

    return scores / largest


def scaled_sparse(
    scores: csr_array, seen: Rows, kind_of_item: Int[np.ndarray, " n_items"]
) -> csr_array:
    """As `scaled`, of sparse scores of the items of all kinds.

    Args:
        scores: lists × items.
        seen: the items of each list.
        kind_of_item: the number of each item's kind.
    """
    n_kinds = int(kind_of_item.max()) + 1
    factor = np.empty(len(scores.data), np.float32)
    is_seen = np.zeros(seen.n_columns, bool)

    for row in range(len(seen)):
        own = slice(scores.indptr[row], scores.indptr[row + 1])
        column = seen.column[seen.start[row] : seen.start[row + 1]]
        is_seen[column] = True
        kind = kind_of_item[scores.indices[own]]
        value = scores.data[own]
        largest = np.zeros(n_kinds, np.float32)
        largest_of_all = np.full(n_kinds, LEAST, np.float32)
        np.maximum.at(largest, kind, np.where(is_seen[scores.indices[own]], 0, value))
        np.maximum.at(largest_of_all, kind, value)
        factor[own] = np.where(largest > 0, largest, largest_of_all)[kind]
        is_seen[column] = False

    return csr_array(
        ((scores.data / factor).astype(np.float32), scores.indices, scores.indptr),
        shape=scores.shape,
    )


def every_weight(n_members: int) -> Float64[np.ndarray, "weights members"]:
    """All weights of so many members that are multiples of 1 / GRID and have the sum 1."""
    steps = np.indices((GRID + 1,) * (n_members - 1)).reshape(n_members - 1, -1).T
    steps = steps[steps.sum(axis=1) <= GRID]
    last = GRID - steps.sum(axis=1, keepdims=True)

    return np.hstack([steps, last]) / GRID


def figures_of_weights(
    scores: Float32[np.ndarray, "lists some members"],
    good: Bool[np.ndarray, "lists some"],
    n_good: Int[np.ndarray, " lists"],
    *,
    n: int,
) -> Float64[np.ndarray, "weights lists"]:
    """The NDCG@n of each list by each of `every_weight`.

    Args:
        scores: scaled, of a few items of each list; −∞ where there is none.
        good: which of these were hidden.
        n_good: how many items of the kind were hidden, above 0.
        n: length of the lists.
    """
    weights = every_weight(scores.shape[2])
    discount = 1 / np.log2(np.arange(n) + 2)
    ideal = np.cumsum(discount)[np.minimum(n_good, n) - 1]
    figures = np.empty((len(weights), len(scores)))
    # An item is scored by all members or by none, and 0 · −∞ is no number.
    is_none = np.isneginf(scores[..., 0])
    finite = np.where(is_none[..., None], 0, scores)

    for index, weight in enumerate(weights):
        total = np.where(is_none, -np.inf, finite @ weight)
        first = np.argsort(-total, axis=1, kind="stable")[:, :n]
        hits = np.take_along_axis(good, first, axis=1)
        figures[index] = hits @ discount[: hits.shape[1]] / ideal

    return figures


def best_weight(
    figures: Float64[np.ndarray, "weights lists"],
    own: Bool[np.ndarray, " lists"],
    n_members: int,
) -> Float64[np.ndarray, " members"]:
    """The weights with the highest mean figure over the lists of a situation and SHARED more.

    The further lists have the mean figure of all, so that a situation with few lists has nearly
    the weights of all. Of equals, the most even weights are taken.

    Args:
        figures: as `figures_of_weights` gives them.
        own: the lists of the situation.
        n_members: members of the blend.
    """
    weights = every_weight(n_members)
    total = figures[:, own].sum(axis=1) + SHARED * figures.mean(axis=1)
    highest = np.flatnonzero(np.isclose(total, total.max(), rtol=1e-9, atol=0))
    most_even = highest[np.argmin((weights[highest] ** 2).sum(axis=1))]

    return weights[most_even]


def candidates(
    scores: Sequence[Float32[np.ndarray, "lists some"]],
    seen: Bool[np.ndarray, "lists some"],
    most: int,
) -> Int[np.ndarray, "lists candidates"]:
    """The items that at least one member ranks among its first ones; −1 pads.

    Args:
        scores: of each member.
        seen: what is not ranked.
        most: items of each member at most.
    """
    n = min(most, seen.shape[1])
    columns = []

    for own in scores:
        unseen = np.where(seen, -np.inf, own)
        first = np.argpartition(-unseen, n - 1, axis=1)[:, :n]
        columns.append(np.where(np.take_along_axis(unseen, first, axis=1) > 0, first, -1))

    listed = np.sort(np.hstack(columns), axis=1)
    is_again = np.zeros(listed.shape, bool)
    is_again[:, 1:] = listed[:, 1:] == listed[:, :-1]

    return np.where(is_again, -1, listed)
