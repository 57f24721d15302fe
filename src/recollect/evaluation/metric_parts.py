"""What several metrics share: checks of arrays, quotients without a value, cosines of sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8, UInt16
from numpy import ndarray

from recollect.data.sparse_rows import AnyRows, Rows
from recollect.errors import DataError

FEW_MEMBERS = 128  # up to which sets are compared faster than repeated pairs are found
MEMBERS = 65_536  # members of sets that are compared at once
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
    one: Int[ndarray, " pairs"], other: Int[ndarray, " pairs"], sets: AnyRows
) -> Float[ndarray, " pairs"]:
    """|A ∩ B| / √(|A| |B|) of pairs of sets, none of which is empty.

    Args:
        one: the row of A in `sets`, for each pair.
        other: the row of B.
        sets: a row per set, with a cell for each of its members.
    """
    listed = np.zeros(len(sets), bool)
    listed[one] = True
    listed[other] = True
    number = np.cumsum(listed) - 1
    in_pairs = sets.take(np.flatnonzero(listed))
    shared = _n_shared(number[one], number[other], in_pairs)
    size = sets.counts.astype(np.float64)

    return shared / np.sqrt(size[one] * size[other])


def _n_shared(
    one: Int[ndarray, " pairs"], other: Int[ndarray, " pairs"], sets: Rows
) -> Int[ndarray, " pairs"]:
    """How many members the sets of each pair have in common."""
    of_pair: Any = slice(None)
    if sets.n_columns > FEW_MEMBERS:
        # Popular items stand side by side in many lists: each pair once, whichever comes first.
        pair = np.minimum(one, other) * len(sets) + np.maximum(one, other)
        pair, of_pair = np.unique(pair, return_inverse=True)
        one, other = np.divmod(pair, max(1, len(sets)))

    shared = np.zeros(len(one), np.int64)
    bits_in = _bits_in_a_word()

    for first_member in range(0, sets.n_columns, MEMBERS):
        bits = _as_bits(sets, first_member)
        step = max(1, PAIR_WORDS // bits.shape[1])
        for first in range(0, len(one), step):
            part = slice(first, first + step)
            common = bits[one[part]] & bits[other[part]]
            shared[part] += bits_in[common].sum(axis=1, dtype=np.int64)

    return shared[of_pair]


def _as_bits(sets: Rows, first: int) -> UInt16[ndarray, "sets words"]:
    """Which of MEMBERS members from the first on are in each set, 16 in a word.

    An intersection is then one operation for every 16 members.
    """
    n_words = -(-min(MEMBERS, sets.n_columns - first) // 16)
    bits = np.zeros(len(sets) * n_words, np.uint16)
    is_here = (sets.column >= first) & (sets.column < first + MEMBERS)
    member = sets.column[is_here] - first
    word = sets.row[is_here].astype(np.int64) * n_words + member // 16
    # Each member has a bit of its own, so the sum is the union.
    np.add.at(bits, word, np.uint16(1) << (member % 16).astype(np.uint16))

    return bits.reshape(len(sets), n_words)


def _bits_in_a_word() -> UInt8[ndarray, " words"]:
    """How many bits of each number of 16 bits are 1."""
    count = np.zeros(1, np.uint8)
    for _ in range(16):
        count = np.concatenate([count, count + 1]).astype(np.uint8)

    return count
