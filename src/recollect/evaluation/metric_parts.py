"""What several metrics share: checks of their arrays, and quotients that may have no value."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from recollect.errors import DataError


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
