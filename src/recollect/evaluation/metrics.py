"""Metrics: functions on plain arrays, which know no model, no Ratings and no split.

METRICS has every metric by the name that protocols, experiments and the command line take. To add
one, write a function and decorate it:

    @metric("mae", of="ratings")           one value per rating; the figure is their mean
    @metric("ndcg", of="lists")            one value per user, from a ranked list; likewise
    @metric("novelty", of="shown")         one value per user, from what the items shown are
    @metric("coverage", of="catalogue")    one figure of all lists together

Of ranked lists, `ranked[u, j]` says whether the j-th recommendation to user u was relevant, and
`n_relevant[u]` how many items were relevant to u in all, including those not recommended. A user
with nothing relevant gets NaN, so that the caller decides whether to leave them out.

A metric of the items shown takes what it needs by name: shown, share, own_share, sets, genres,
own_genres (`shown_items` says what they are). Where one is missing, such as genres, a protocol
leaves the metric out and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from recollect.errors import DataError, SettingError, unknown
from recollect.evaluation.metric_parts import (
    divide,
    errors_of,
    first_places,
    mean_of,
    times_recommended,
    where_any_relevant,
)
from recollect.evaluation.shown_items import (
    diversity_of,
    miscalibration_of,
    novelty_of,
    popularity_lift_of,
)

Kind = Literal["ratings", "lists", "shown", "catalogue"]
Better = Literal["lower", "higher"]

SAMPLED = (
    "A ranking among sampled items is another metric than one among all items: it may put models "
    "in another order, and what it rewards changes with the size of the sample (Krichene and "
    "Rendle, KDD 2020)"
)


@dataclass(frozen=True)
class Metric:
    """A metric: its function, what it is computed from, and how values become a figure."""

    name: str
    function: Callable[..., Any]
    of: Kind
    root: bool = False  # the figure is the root of the mean
    better: Better | None = None  # None: neither is; it says what lists are like


METRICS: dict[str, Metric] = {}


def metric(
    name: str, *, of: Kind, root: bool = False, better: Better | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put the decorated function into METRICS.

    Args:
        name: in tables, on the command line and in experiments.
        of: what the function is computed from.
        root: whether the figure is the root of the mean of the values, as for RMSE.
        better: which figures are better; None: neither.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        METRICS[name] = Metric(name, function, of, root, better)
        return function

    return register


def find(name: str) -> Metric:
    """The metric of this name.

    Raises:
        SettingError: listing the names there are; for a sampled metric, why there is none.
    """
    if "sampled" in name.lower():
        raise SettingError(
            f"There is no metric {name!r}. {SAMPLED}. Ask for it without the sample: "
            f"{', '.join(metric.name for metric in metrics_of('lists'))} rank all items."
        )

    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


def metrics_of(kind: Kind) -> list[Metric]:
    """The metrics that are computed from ratings, from ranked lists, or from all lists together."""
    registered = METRICS.values()
    return [metric for metric in registered if metric.of == kind]


def rating_figures() -> list[str]:
    """The names of all figures of predicted ratings: each metric, then its mean over users."""
    of_ratings = metrics_of("ratings")
    names = [metric.name for metric in of_ratings]
    over_users = [f"{name}_macro" for name in names]
    return names + over_users


@metric("rmse", of="ratings", root=True, better="lower")
def squared_errors(
    value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]
) -> Float[ndarray, " ratings"]:
    """(value − predicted)² of each rating, in double precision; 0 is best.

    Raises:
        DataError: if the two differ in length or a prediction is not finite.
    """
    errors = errors_of(value, predicted)
    return np.square(errors)


@metric("mae", of="ratings", better="lower")
def absolute_errors(
    value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]
) -> Float[ndarray, " ratings"]:
    """|value − predicted| of each rating, in double precision; 0 is best.

    Raises:
        DataError: if the two differ in length or a prediction is not finite.
    """
    errors = errors_of(value, predicted)
    return np.abs(errors)


def rmse(value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]) -> float:
    """Root mean squared error over all ratings (micro), in the ratings' unit; NaN without ratings.

    Raises:
        DataError: if the two differ in length or a prediction is not finite.
    """
    squared = squared_errors(value, predicted)
    root = np.sqrt(mean_of(squared))
    return float(root)


def mae(value: Float[ndarray, " ratings"], predicted: Float[ndarray, " predictions"]) -> float:
    """Mean absolute error over all ratings (micro), in the ratings' unit; NaN without ratings.

    Raises:
        DataError: if the two differ in length or a prediction is not finite.
    """
    absolute = absolute_errors(value, predicted)
    return mean_of(absolute)


def rmse_per_user(
    value: Float[ndarray, " ratings"],
    predicted: Float[ndarray, " predictions"],
    user: Int[ndarray, " ratings"],
    n_users: int,
) -> Float[ndarray, " users"]:
    """Root mean squared error of each user's ratings; NaN for a user without any.

    Its mean over users (macro) is not the RMSE: `rmse` weighs users by how much they rate.

    Args:
        value: the ratings.
        predicted: their predictions.
        user: the row number of each rating's user.
        n_users: how many users there are.
    """
    squared = squared_errors(value, predicted)
    means = mean_per_user(squared, user, n_users)
    return np.sqrt(means)


def mae_per_user(
    value: Float[ndarray, " ratings"],
    predicted: Float[ndarray, " predictions"],
    user: Int[ndarray, " ratings"],
    n_users: int,
) -> Float[ndarray, " users"]:
    """Mean absolute error of each user's ratings; NaN for a user without any.

    Args:
        value: the ratings.
        predicted: their predictions.
        user: the row number of each rating's user.
        n_users: how many users there are.
    """
    absolute = absolute_errors(value, predicted)
    return mean_per_user(absolute, user, n_users)


def mean_per_user(
    per_rating: Float[ndarray, " ratings"], user: Int[ndarray, " ratings"], n_users: int
) -> Float[ndarray, " users"]:
    """The mean of a number over each user's ratings; NaN for a user without any.

    Args:
        per_rating: one number per rating.
        user: the row number of each rating's user, below n_users.
        n_users: how many users there are.

    Raises:
        DataError: if the two arrays differ in length.
    """
    if len(per_rating) != len(user):
        raise DataError(
            f"{len(per_rating)} figures and {len(user)} users; give the user of every rating."
        )

    total = np.bincount(user, weights=per_rating, minlength=n_users)
    count = np.bincount(user, minlength=n_users)

    return divide(total, count)


@metric("ndcg", of="lists", better="higher")
def ndcg_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Normalized discounted cumulative gain of each user's first k items, 0 to 1.

    The relevance is binary. The ideal list has min(k, n_relevant) hits, as in Liang et al. 2018.

    Args:
        k: length of the list that counts.
        ranked: whether the j-th recommendation was relevant.
        n_relevant: relevant items in all.

    Raises:
        DataError: if k is smaller than 1 or the lists are shorter than k.

    Source: Järvelin and Kekäläinen, TOIS 2002.
    """
    hits = first_places(k, ranked, n_relevant)
    rank = np.arange(1, k + 1)
    discount = 1 / np.log2(rank + 1)
    gain = hits @ discount

    # The gain of a list whose first n places are hits, by n.
    gain_of_hits = np.concatenate([[0.0], np.cumsum(discount)])
    n_possible = np.minimum(k, n_relevant)
    ideal = gain_of_hits[n_possible]

    return divide(gain, ideal)


@metric("recall", of="lists", better="higher")
def recall_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Share of each user's relevant items among the first k; below 1 if there are more than k.

    Args:
        k: length of the list that counts.
        ranked: whether the j-th recommendation was relevant.
        n_relevant: relevant items in all; `capped_recall_at` divides by at most k.

    Raises:
        DataError: if k is smaller than 1 or the lists are shorter than k.
    """
    hits = first_places(k, ranked, n_relevant)
    n_hits = hits.sum(axis=1)
    return divide(n_hits, n_relevant)


@metric("capped_recall", of="lists", better="higher")
def capped_recall_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Hits among the first k as a share of the most there can be, min(k, n_relevant); 0 to 1.

    Liang et al. call this Recall@R.

    Args:
        k: length of the list that counts.
        ranked: whether the j-th recommendation was relevant.
        n_relevant: relevant items in all.

    Raises:
        DataError: if k is smaller than 1 or the lists are shorter than k.

    Source: Liang, Krishnan, Hoffman, Jebara. "Variational Autoencoders for Collaborative
    Filtering." WWW 2018.
    """
    hits = first_places(k, ranked, n_relevant)
    n_hits = hits.sum(axis=1)
    n_possible = np.minimum(k, n_relevant)
    return divide(n_hits, n_possible)


@metric("precision", of="lists", better="higher")
def precision_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Share of each user's first k items that is relevant; below 1 if fewer than k are.

    A user with nothing relevant gets NaN here too: all metrics are means over the same users.

    Args:
        k: length of the list that counts.
        ranked: whether the j-th recommendation was relevant.
        n_relevant: relevant items in all.

    Raises:
        DataError: if k is smaller than 1 or the lists are shorter than k.
    """
    hits = first_places(k, ranked, n_relevant)
    precision = hits.sum(axis=1) / k
    return where_any_relevant(precision, n_relevant)


@metric("map", of="lists", better="higher")
def average_precision_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """Sum of the precision at each hit among the first k, over min(k, n_relevant); 0 to 1.

    Its mean over users is MAP@k. Some authors divide by n_relevant or by the number of hits, which
    gives other figures.

    Args:
        k: length of the list that counts.
        ranked: whether the j-th recommendation was relevant.
        n_relevant: relevant items in all.

    Raises:
        DataError: if k is smaller than 1 or the lists are shorter than k.

    Source: Manning, Raghavan, Schütze. "Introduction to Information Retrieval", section 8.4, cut
    at k.
    """
    hits = first_places(k, ranked, n_relevant)
    rank = np.arange(1, k + 1)
    precision = np.cumsum(hits, axis=1) / rank
    at_hits = precision * hits
    n_possible = np.minimum(k, n_relevant)

    return divide(at_hits.sum(axis=1), n_possible)


@metric("mrr", of="lists", better="higher")
def reciprocal_rank_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """1 / rank of the first hit among the first k, 0 if there is none. Its mean is MRR@k.

    Args:
        k: length of the list that counts.
        ranked: whether the j-th recommendation was relevant.
        n_relevant: relevant items in all.

    Raises:
        DataError: if k is smaller than 1 or the lists are shorter than k.

    Source: Kantor and Voorhees, "The TREC-5 Confusion Track", Information Retrieval 2000.
    """
    hits = first_places(k, ranked, n_relevant)
    has_hit = hits.any(axis=1)
    # argmax gives 0 for a list without a hit, too; such a list is set to 0 below.
    rank = 1 + hits.argmax(axis=1)
    reciprocal = np.where(has_hit, 1 / rank, 0.0)

    return where_any_relevant(reciprocal, n_relevant)


@metric("hit", of="lists", better="higher")
def hit_at(
    k: int, ranked: Bool[ndarray, "users places"], n_relevant: Int[ndarray, " users"]
) -> Float[ndarray, " users"]:
    """1 if any of the first k items is relevant, else 0. Its mean is the hit rate.

    Args:
        k: length of the list that counts.
        ranked: whether the j-th recommendation was relevant.
        n_relevant: relevant items in all.

    Raises:
        DataError: if k is smaller than 1 or the lists are shorter than k.
    """
    hits = first_places(k, ranked, n_relevant)
    n_hits = hits.sum(axis=1)
    has_hit = n_hits > 0
    return where_any_relevant(has_hit, n_relevant)


@metric("coverage", of="catalogue", better="higher")
def coverage(recommended: Int[ndarray, "users k"], n_items: int) -> float:
    """Share of the items that are recommended to anyone, 0 to 1; NaN without items.

    Entries of -1 (no item) do not count.

    Raises:
        DataError: if an item row is not below n_items.
    """
    if n_items == 0:
        return float("nan")

    times = times_recommended(recommended, n_items)
    n_recommended = np.count_nonzero(times)

    return float(n_recommended / n_items)


@metric("gini", of="catalogue")
def gini(recommended: Int[ndarray, "users k"], n_items: int) -> float:
    """How unequally recommendations fall on items: 0, all equally often; near 1, all on one item.

    Entries of -1 (no item) do not count. NaN if nothing is recommended.

    Raises:
        DataError: if an item row is not below n_items.

    Source: Fleder and Hosanagar, "Blockbuster Culture's Next Rise or Fall", Management Science
    2009.
    """
    counts = times_recommended(recommended, n_items)
    times = np.sort(counts).astype(np.float64)
    total = times.sum()
    if not total:
        return float("nan")

    # Σ_i (2i − n − 1) x_i / (n Σ_i x_i), with x in ascending order.
    rank = np.arange(1, n_items + 1)
    weight = 2 * rank - n_items - 1
    weighted = (weight * times).sum()

    return float(weighted / (n_items * total))


# What items shown are, rather than whether they were relevant.
metric("novelty", of="shown")(novelty_of)
metric("popularity_lift", of="shown")(popularity_lift_of)
metric("diversity", of="shown")(diversity_of)
metric("miscalibration", of="shown", better="lower")(miscalibration_of)
