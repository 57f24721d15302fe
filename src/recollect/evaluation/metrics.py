"""Metrics on plain arrays: they know no model, no Ratings and no split.

For ratings, a metric comes in two weightings. Per rating (micro: every rating counts the same) is what the literature
on rating prediction means by RMSE. Per user (macro: every user counts the same) gives one figure per user.

For rankings, `ranked[u, j]` says whether the j-th recommendation to user u was relevant, `n_relevant[u]` how many
items were relevant for u in all (those that were not recommended included). A user with nothing relevant gets NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from recollect.errors import DataError, unknown

# Ratings, per rating -------------------------------------------------------------------------------------------------


def squared_errors(
    value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]
) -> Float[ndarray, " ratings"]:
    """(value − predicted)² of each rating, in double precision; 0 is best.

    Raises: DataError if the two differ in length or a prediction is not finite.
    """
    return np.square(_errors(value, predicted))


def absolute_errors(
    value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]
) -> Float[ndarray, " ratings"]:
    """|value − predicted| of each rating, in double precision; 0 is best.

    Raises: DataError if the two differ in length or a prediction is not finite.
    """
    return np.abs(_errors(value, predicted))


def rmse(value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]) -> float:
    """Root of the mean squared error over all ratings (micro), in the ratings' unit; 0 is best. NaN without ratings.

    Raises: DataError if the two differ in length or a prediction is not finite.
    """
    return float(np.sqrt(_mean(squared_errors(value, predicted))))


def mae(value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]) -> float:
    """Mean absolute error over all ratings (micro), in the ratings' unit; 0 is best. NaN without ratings.

    Raises: DataError if the two differ in length or a prediction is not finite.
    """
    return _mean(absolute_errors(value, predicted))


# Ratings, per user ---------------------------------------------------------------------------------------------------


def rmse_per_user(
    value: Float[ndarray, " ratings"],
    predicted: Float[ndarray, " predictions"],
    user: Int[ndarray, " ratings"],
    n_users: int,
) -> Float[ndarray, " users"]:
    """Root of the mean squared error of each user's ratings; NaN for a user without any.

    Its mean over users (macro) is not the RMSE: `rmse` weighs users by how much they rate.
    """
    return np.sqrt(mean_per_user(squared_errors(value, predicted), user, n_users))


def mae_per_user(
    value: Float[ndarray, " ratings"],
    predicted: Float[ndarray, " predictions"],
    user: Int[ndarray, " ratings"],
    n_users: int,
) -> Float[ndarray, " users"]:
    """Mean absolute error of each user's ratings; NaN for a user without any."""
    return mean_per_user(absolute_errors(value, predicted), user, n_users)


def mean_per_user(
    per_rating: Float[ndarray, " ratings"], user: Int[ndarray, " ratings"], n_users: int
) -> Float[ndarray, " users"]:
    """Mean of a figure over each user's ratings; `user` holds row numbers below n_users. NaN for a user without any.

    Raises: DataError if the two differ in length.
    """
    if len(per_rating) != len(user):
        raise DataError(
            f"{len(per_rating)} figures and {len(user)} users; give the user of every rating."
        )
    total = np.bincount(user, weights=per_rating, minlength=n_users)
    count = np.bincount(user, minlength=n_users)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


# Rankings, per user --------------------------------------------------------------------------------------------------


def ndcg_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Normalized discounted cumulative gain of each user's first k items, 0 to 1, binary relevance.

    A user with nothing relevant gets NaN, so that the caller decides whether to leave them out. The ideal list has
    min(k, n_relevant) hits, as in Liang et al. 2018, not k.

    Raises: DataError if k is smaller than 1 or the lists are shorter than k.
    Source: Järvelin and Kekäläinen, TOIS 2002.
    """
    hits = _first(k, ranked, n_relevant)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(k, n_relevant)]
    return _divide(hits @ discount, ideal)


def recall_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Share of each user's relevant items that is among the first k, 0 to 1; with more than k, 1 is out of reach.

    NaN for a user with nothing relevant. `capped_recall_at` divides by min(k, n_relevant) instead.

    Raises: DataError if k is smaller than 1 or the lists are shorter than k.
    """
    return _divide(_first(k, ranked, n_relevant).sum(axis=1), n_relevant)


def capped_recall_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Hits among the first k as a share of the most there can be, min(k, n_relevant); 0 to 1, always within reach.

    This is what Liang et al. call Recall@R. NaN for a user with nothing relevant.

    Raises: DataError if k is smaller than 1 or the lists are shorter than k.
    Source: Liang, Krishnan, Hoffman, Jebara. "Variational Autoencoders for Collaborative Filtering." WWW 2018.
    """
    return _divide(_first(k, ranked, n_relevant).sum(axis=1), np.minimum(k, n_relevant))


def precision_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Share of each user's first k items that is relevant, 0 to 1; with fewer than k relevant items 1 is out of reach.

    NaN for a user with nothing relevant, as for the other metrics, so that all are means over the same users.

    Raises: DataError if k is smaller than 1 or the lists are shorter than k.
    """
    hits = _first(k, ranked, n_relevant).sum(axis=1)
    return np.where(n_relevant > 0, hits / k, np.nan)


def average_precision_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Mean of the precision at each hit among the first k, over min(k, n_relevant); 0 to 1.

    Its mean over users is MAP@k. Some authors divide by n_relevant or by the hits instead, which gives other figures.
    NaN for a user with nothing relevant.

    Raises: DataError if k is smaller than 1 or the lists are shorter than k.
    Source: Manning, Raghavan, Schütze. "Introduction to Information Retrieval", section 8.4, cut at k.
    """
    hits = _first(k, ranked, n_relevant)
    precision = np.cumsum(hits, axis=1) / np.arange(1, k + 1)
    return _divide((precision * hits).sum(axis=1), np.minimum(k, n_relevant))


def reciprocal_rank_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """1 / place of the first hit among the first k, 0 if there is none; 0 to 1. Its mean over users is MRR@k.

    NaN for a user with nothing relevant.

    Raises: DataError if k is smaller than 1 or the lists are shorter than k.
    Source: Kantor and Voorhees, "The TREC-5 Confusion Track", Information Retrieval 2000.
    """
    hits = _first(k, ranked, n_relevant)
    reciprocal = np.where(hits.any(axis=1), 1 / (1 + hits.argmax(axis=1)), 0.0)
    return np.where(n_relevant > 0, reciprocal, np.nan)


def hit_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """1 if any of the first k items is relevant, else 0. NaN for a user with nothing relevant.

    Raises: DataError if k is smaller than 1 or the lists are shorter than k.
    """
    return np.where(n_relevant > 0, _first(k, ranked, n_relevant).any(axis=1), np.nan)


# Rankings, all users together ----------------------------------------------------------------------------------------


def coverage(recommended: Int[ndarray, "users k"], n_items: int) -> float:
    """Share of the catalogue that is recommended to anyone, 0 to 1; entries of -1 (no item) do not count.

    NaN without items.

    Raises: DataError if an item row is not below n_items.
    """
    return (
        float(np.count_nonzero(_times_shown(recommended, n_items)) / n_items)
        if n_items
        else float("nan")
    )


def gini(recommended: Int[ndarray, "users k"], n_items: int) -> float:
    """How unequally recommendations fall on items: 0, each item equally often; near 1, all on one item.

    Entries of -1 (no item) do not count. NaN if nothing is recommended.

    Raises: DataError if an item row is not below n_items.
    Source: Fleder and Hosanagar, "Blockbuster Culture's Next Rise or Fall", Management Science 2009.
    """
    shown = np.sort(_times_shown(recommended, n_items)).astype(np.float64)
    if not shown.sum():
        return float("nan")
    place = np.arange(1, n_items + 1)
    return float(((2 * place - n_items - 1) * shown).sum() / (n_items * shown.sum()))


PER_RATING: dict[str, Callable[..., ndarray]] = {
    f.__name__: f for f in (squared_errors, absolute_errors)
}
PER_USER: dict[str, Callable[..., ndarray]] = {f.__name__: f for f in (rmse_per_user, mae_per_user)}
RANKING: dict[str, Callable[..., ndarray]] = {
    f.__name__: f
    for f in (
        ndcg_at,
        recall_at,
        capped_recall_at,
        precision_at,
        average_precision_at,
        reciprocal_rank_at,
        hit_at,
    )
}
WHOLE: dict[str, Callable[..., float]] = {f.__name__: f for f in (rmse, mae, coverage, gini)}


def find(name: str) -> Callable[..., ndarray | float]:
    """The metric with this function name, such as "rmse" or "ndcg_at".

    Raises: SettingError, listing the names there are.
    """
    every: dict[str, Callable[..., ndarray | float]] = {
        **PER_RATING,
        **PER_USER,
        **RANKING,
        **WHOLE,
    }
    if name not in every:
        raise unknown("metric", name, every)
    return every[name]


def _errors(
    value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]
) -> Float[ndarray, " ratings"]:
    if len(value) != len(predicted):
        raise DataError(
            f"{len(value)} ratings and {len(predicted)} predictions; predict every rating once."
        )
    errors = value.astype(np.float64) - predicted
    if not np.isfinite(errors).all():
        raise DataError(
            f"{int((~np.isfinite(errors)).sum())} of {len(errors)} ratings or predictions are NaN or "
            "infinite; a metric would hide or spread that, so repair the model or the data."
        )
    return errors


def _mean(values: Float[ndarray, " ratings"]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _first(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Bool[ndarray, "users k"]:
    """The first k places of every list, checked."""
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


def _divide(a: ndarray, b: ndarray) -> Float[ndarray, " users"]:
    """a / b; NaN where b is 0."""
    return np.divide(a, b, out=np.full(len(a), np.nan), where=b > 0)


def _times_shown(recommended: Int[ndarray, "users k"], n_items: int) -> Int[ndarray, " items"]:
    """How often each item is recommended."""
    items = recommended[recommended >= 0]
    if len(items) and items.max() >= n_items:
        raise DataError(
            f"Item row {items.max()} was recommended, but there are {n_items} items; give the n_items of "
            "the model's training ratings."
        )
    return np.bincount(items, minlength=n_items)
