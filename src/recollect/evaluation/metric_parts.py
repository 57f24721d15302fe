"""What several metrics share: checks of arrays, quotients without a value, cosines of sets."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from recollect.data.sparse_rows import Rows
from recollect.errors import DataError

PAIR_WORDS = 4_000_000  # words of 16 bits that a block of pairs of sets holds at once


def errors_of(
    value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]
) -> Float[ndarray, " ratings"]:
    """value − predicted of each rating, in double precision.

    Raises:
        DataError: if the two differ in length or an error is not finite.
    """
    if len(value) != len(predicted):
        raise DataError(
            f"{len(value)} ratings and {len(predicted)} predictions; predict every rating once."
        )

    errors = value.astype(np.float64) - predicted
    is_finite = np.isfinite(errors)
    if not is_finite.all():
        n_bad = int((~is_finite).sum())
        raise DataError(
            f"{n_bad} of {len(errors)} ratings or predictions are NaN or infinite; a metric would "
            "hide or spread that, so repair the model or the data."
        )

    return errors


def mean_of(values: Float[ndarray, " ratings"]) -> float:
    """The mean; NaN of nothing."""
    if not len(values):
        return float("nan")
    return float(values.mean())


def first_places(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Bool[ndarray, "users k"]:
    """The first k places of every list.

    Args:
        k: length of the list that counts.
        ranked: whether the j-th recommendation was relevant.
        n_relevant: relevant items in all, for each list.

    Raises:
        DataError: if k is smaller than 1 or the lists are shorter than k.
    """
    if not 1 <= k <= ranked.shape[1]:
        raise DataError(
            f"A metric at {k} needs lists of {max(k, 1)} items or more, and k from 1; these have "
            f"{ranked.shape[1]}. Rank more items, or lower k."
        )

    if len(ranked) != len(n_relevant):
        raise DataError(
            f"{len(ranked)} lists, but n_relevant has {len(n_relevant)} entries; give one per user."
        )

    return ranked[:, :k]


def divide(numerator: ndarray, denominator: ndarray) -> Float[ndarray, " users"]:
    """The quotient; NaN where the denominator is 0."""
    quotient = np.full(len(numerator), np.nan)
    np.divide(
        numerator,
        denominator,
        out=quotient,
        where=denominator > 0,
    )

    return quotient


def where_any_relevant(
    values: ndarray, n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """The values; NaN for a user with nothing relevant."""
    has_relevant = n_relevant > 0
    return np.where(has_relevant, values, np.nan)


def times_recommended(recommended: Int[ndarray, "users k"], n_items: int) -> Int[ndarray, " items"]:
    """How often each item is recommended; entries of -1 (no item) do not count.

    Raises:
        DataError: if an item row is not below n_items.
    """
    items = recommended[recommended >= 0]
    if len(items) and items.max() >= n_items:
        raise DataError(
            f"Item row {items.max()} was recommended, but there are {n_items} items; give the "
            "n_items of the model's training ratings."
        )

    return np.bincount(items, minlength=n_items)


def cosine_of_sets(
    one: Int[ndarray, " pairs"], other: Int[ndarray, " pairs"], sets: Rows
) -> Float[ndarray, " pairs"]:
    """|A ∩ B| / √(|A| |B|) of pairs of sets, none of which is empty.

    Args:
        one: the row of A in `sets`, for each pair.
        other: the row of B.
        sets: a row per set, with a cell for each of its members.
    """
    if not len(one):
        return np.zeros(0)

    # Each pair once, whichever of the two comes first: popular items stand in many lists.
    low, high = np.minimum(one, other), np.maximum(one, other)
    pair, of_pair = np.unique(low * len(sets) + high, return_inverse=True)
    low, high = np.divmod(pair, len(sets))
    listed, position = np.unique([low, high], return_inverse=True)
    low, high = position.reshape(2, -1)
    shared = _n_shared(low, high, sets.take(listed))
    size = sets.counts[listed].astype(np.float64)
    cosine = shared / np.sqrt(size[low] * size[high])

    return cosine[of_pair]


def _n_shared(
    one: Int[ndarray, " pairs"], other: Int[ndarray, " pairs"], sets: Rows
) -> Int[ndarray, " pairs"]:
    """How many members the sets of each pair have in common."""
    # A set is a row of bits, so that an intersection is one operation for every 16 members.
    n_words = -(-sets.n_columns // 16)
    word = sets.row.astype(np.int64) * n_words + sets.column // 16
    bit = np.uint16(1) << (sets.column % 16).astype(np.uint16)
    # Each member has a bit of its own, so their sum is their union.
    bits = np.bincount(word, weights=bit, minlength=len(sets) * n_words)
    bits = bits.astype(np.uint16).reshape(len(sets), n_words)
    bits_in = _bits_in_a_word()
    shared = np.empty(len(one), np.int64)
    step = max(1, PAIR_WORDS // n_words)

    for first in range(0, len(one), step):
        part = slice(first, first + step)
        common = bits[one[part]] & bits[other[part]]
        shared[part] = bits_in[common].sum(axis=1, dtype=np.int64)

    return shared


def _bits_in_a_word() -> Int[ndarray, " words"]:
    """How many bits of each number of 16 bits are 1."""
    count = np.zeros(1, np.uint8)
    for _ in range(16):
        count = np.concatenate([count, count + 1]).astype(np.uint8)

    return count
