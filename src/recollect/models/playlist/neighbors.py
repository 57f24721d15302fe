"""Neighbors of a list: the lists that share most with it, and the items that stand in them.

    sim(u, l)   = Σ_c x_uc x_lc idf_c / (‖x_u‖ ‖x_l‖),    ‖x‖² = Σ_c x_c² idf_c
    lists[u, i] = Σ_l sim(u, l)^ρ x_li,                    l among the k lists of largest sim

    s_ji        = Σ_l x_lj x_li / √|l| / ((n_j + s)^(1 − α) (n_i + s)^α)
    items[u, i] = Σ_j s_ji                                 over the items j of u, of any kind

|l| is how many items a list has, n_i how many lists have an item, s a shrinkage. x has a column c
for each item of every kind and each feature of items, so that a tag finds lists by their tags and a
title those with the same words. s_ji is never written out: items[u] is a product of sparse rows
with the lists and back, which has the cost of the lists that share an item with u.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.sparse import csr_array

Scores = Float32[np.ndarray, "lists n_items"]


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The lists that a model was fitted on.

    Args:
        lists: lists × items, ones.
        by_item: items × lists, 1 / √|l|.
        vectors: columns × lists, each list of length 1.
        weight: √idf of each column; 0 if it does not count.
        count: n_i, how many lists have each item.
    """

    lists: csr_array
    by_item: csr_array
    vectors: csr_array
    weight: Float64[np.ndarray, " columns"]
    count: Int64[np.ndarray, " n_items"]

    @classmethod
    def of(cls, expanded: csr_array, n_items: int, *, most: int) -> Neighbors:
        """The neighbors among some lists.

        Args:
            expanded: lists × columns, items first.
            n_items: how many columns are items.
            most: a column that more lists have finds no lists, as it says little and costs much.
        """
        n_lists = expanded.shape[0]
        in_lists = np.bincount(expanded.indices, minlength=expanded.shape[1])
        idf = np.log1p(n_lists / np.maximum(in_lists, 1))
        weight = np.sqrt(np.where(in_lists <= most, idf, 0.0))
        lists = csr_array(expanded[:, :n_items])
        lists.data = np.ones_like(lists.data)
        length = np.maximum(np.diff(lists.indptr), 1)
        by_length = lists.copy()
        by_length.data = np.repeat(length**-0.5, np.diff(lists.indptr)).astype(np.float32)

        return cls(
            lists,
            csr_array(by_length.T),
            csr_array(unit(expanded, weight).T),
            weight,
            in_lists[:n_items],
        )

    def by_lists(self, expanded: csr_array, *, k: int, power: float) -> csr_array:
        """Scores by the k nearest lists, lists × items.

        Args:
            expanded: lists, of which the neighbors are asked.
            k: lists at most.
            power: ρ, by which near lists count more.
        """
        similar = csr_array(unit(expanded, self.weight) @ self.vectors)
        nearest = largest_of_rows(similar, k)
        nearest.data = nearest.data**power

        return csr_array(nearest @ self.lists)

    def by_items(
        self, expanded: csr_array, *, k: int, shrinkage: float, asymmetry: float
    ) -> csr_array:
        """Scores by the items of a list, lists × items.

        Args:
            expanded: lists, of which the neighbors are asked.
            k: lists that share an item with a list at most, those that share the rarest ones.
            shrinkage: s.
            asymmetry: α, by which popular items count less.
        """
        n_items = len(self.count)
        smoothed = self.count + shrinkage
        own = csr_array(expanded[:, :n_items])
        own.data = (smoothed ** (asymmetry - 1))[own.indices].astype(np.float32)
        shared = largest_of_rows(csr_array(own @ self.by_item), k)
        scores = csr_array(shared @ self.lists)
        scores.data = scores.data * (smoothed**-asymmetry)[scores.indices].astype(np.float32)

        return scores


def unit(expanded: csr_array, weight: Float64[np.ndarray, " columns"]) -> csr_array:
    """Rows with their columns weighed, of length 1; a row that has nothing stays empty."""
    value = expanded.data * weight[expanded.indices]
    row = np.repeat(np.arange(expanded.shape[0]), np.diff(expanded.indptr))
    square = np.bincount(row, weights=value**2, minlength=expanded.shape[0])
    length = np.sqrt(np.maximum(square, 1e-12))
    scaled = (value / length[row]).astype(np.float32)
    # A copy, as columns without weight are taken out in place.
    matrix = csr_array((scaled, expanded.indices, expanded.indptr), shape=expanded.shape, copy=True)
    matrix.eliminate_zeros()

    return matrix


def largest_of_rows(matrix: csr_array, k: int) -> csr_array:
    """The k largest values of each row; the others are as if they were 0."""
    counts = np.diff(matrix.indptr)
    if counts.max(initial=0) <= k:
        return matrix

    columns, values = [], []

    for first, last in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        value = matrix.data[first:last]
        kept = np.arange(len(value))
        if len(value) > k:
            kept = np.argpartition(-value, k - 1)[:k]

        columns.append(matrix.indices[first:last][kept])
        values.append(value[kept])

    start = np.concatenate([[0], np.cumsum(np.minimum(counts, k))])

    return csr_array((np.concatenate(values), np.concatenate(columns), start), shape=matrix.shape)
