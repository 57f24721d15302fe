"""Metrics of what the items of a list are: how popular, how alike, and of which genres.

None asks whether an item was relevant. `shown[u, j]` is the j-th item of user u's list, -1 where
the list ends. Each returns one value per user, NaN where a list or the user's own row says nothing.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recollect.data.sparse_rows import AnyRows
from recollect.evaluation.metric_parts import cosine_of_sets, divide

SMOOTHING = 0.01  # Steck's α


def novelty_of(
    shown: Int[ndarray, "users n"], share: Float[ndarray, " items"]
) -> Float[ndarray, " users"]:
    """Mean self-information of each list's items, −log2 of the share of users who chose them.

    In bits, from 0: an item of every second user has 1, one of every 1,024th has 10. Items that
    nobody chose have no finite value and do not count.

    Args:
        shown: row numbers of items; -1: none.
        share: of the users with ratings, those who chose the item; 0 to 1.

    Source: Zhou, Kuscsik, Liu, Medo, Wakeling, Zhang. "Solving the Apparent Diversity-Accuracy
    Dilemma of Recommender Systems." PNAS 2010.
    """
    counts = (shown >= 0) & (share[shown] > 0)
    information = -np.log2(np.where(counts, share[shown], 1))

    return divide(information.sum(axis=1), counts.sum(axis=1))


def popularity_lift_of(
    shown: Int[ndarray, "users n"],
    share: Float[ndarray, " items"],
    own_share: Float[ndarray, " users"],
) -> Float[ndarray, " users"]:
    """Mean popularity of each list's items over that of the items in the users' own rows.

    The denominator is the mean over users of the mean popularity of their row, the same for every
    list; so the mean of the values is the ratio of the two means, GAP(lists) / GAP(rows), which no
    single user with a rare taste can carry away. 1: lists as popular as what users choose
    themselves; above 1: more popular. NaN for a user without a row.

    Args:
        shown: row numbers of items; -1: none.
        share: of the users with ratings, those who chose the item; 0 to 1.
        own_share: the mean of `share` over each user's own row; NaN: the row is empty.

    Source: Abdollahpouri, Mansoury, Burke, Mobasher. "The Unfairness of Popularity Bias in
    Recommendation." RMSE workshop at RecSys 2019; ΔGAP is this ratio less 1.
    """
    is_shown = shown >= 0
    popularity = np.where(is_shown, share[shown], 0)
    of_list = divide(popularity.sum(axis=1), is_shown.sum(axis=1))

    has_row = np.isfinite(own_share)
    if not has_row.any():
        return np.full(len(shown), np.nan)

    of_rows = own_share[has_row].mean()

    return np.where(has_row, of_list / of_rows, np.nan)


def diversity_of(shown: Int[ndarray, "users n"], sets: AnyRows) -> Float[ndarray, " users"]:
    """Mean distance of the pairs of items in each list, 1 − cosine; 0 (all alike) to 1.

    An item is the set of its genres, or, where there are none, of the users who chose it: the
    cosine of two sets is the size of what they share over the root of the product of their sizes.
    Items with an empty set do not count; NaN for fewer than two items.

    Args:
        shown: row numbers of items; -1: none.
        sets: a row per item, with a cell for each genre it has, or for each user.

    Source: Zhang and Hurley. "Avoiding Monotony: Improving the Diversity of Recommendation Lists."
    RecSys 2008; the cosine of genres as in Ziegler, McNee, Konstan, Lausen, WWW 2005.
    """
    n_places = shown.shape[1]
    first, second = np.triu_indices(n_places, k=1)
    has_set = (shown >= 0) & (sets.counts[shown] > 0)
    counts = has_set[:, first] & has_set[:, second]
    one, other = shown[:, first][counts], shown[:, second][counts]
    distance = np.zeros(counts.shape)
    distance[counts] = 1 - cosine_of_sets(one, other, sets)

    return divide(distance.sum(axis=1), counts.sum(axis=1))


def miscalibration_of(
    shown: Int[ndarray, "users n"],
    genres: Float[ndarray, "items genres"],
    own_genres: Float[ndarray, "users genres"],
) -> Float[ndarray, " users"]:
    """Kullback-Leibler divergence of the genres of each list from those of the user's own row.

    Σ_g p(g) ln(p(g) / q(g)), in nats, 0 (best) to ln(1/α): p is the distribution of genres in the
    row, q that in the list, smoothed with α = 0.01: q(g) ← (1 − α) q(g) + α p(g). Items without
    genres do not count; NaN where none of the row or of the list has any.

    Args:
        shown: row numbers of items; -1: none.
        genres: the share of each genre in an item, adding up to 1; all 0 for an item without any.
        own_genres: the sum of these over each user's row, in any unit; NaN: the row is empty.

    Source: Steck. "Calibrated Recommendations." RecSys 2018, equations 2 to 5, without weights.
    """
    # Place by place, as all lists times all genres would be ten times what is needed.
    total = np.zeros(own_genres.shape)
    for place in range(shown.shape[1]):
        item = shown[:, place]
        total += np.where((item >= 0)[:, None], genres[item], 0)

    size = total.sum(axis=1)
    own_size = own_genres.sum(axis=1)
    has_both = (size > 0) & (own_size > 0)
    p = own_genres[has_both] / own_size[has_both, None]
    q = total[has_both] / size[has_both, None]
    smoothed = (1 - SMOOTHING) * q + SMOOTHING * p
    ratio = np.where(p > 0, p / np.where(p > 0, smoothed, 1), 1)
    values = np.full(len(shown), np.nan)
    values[has_both] = (p * np.log(ratio)).sum(axis=1)

    return values
