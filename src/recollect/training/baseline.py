"""Baseline: the validation figure of the simplest model, beside that of a fit.

Ratings are compared with `bias` (the mean, and an offset of each user and item), events with
`popularity` (every list has the items with the most events). A fit that is worse has learned
nothing that is worth its time, which its own figure alone does not show.
"""

from __future__ import annotations

import logging

import numpy as np
from jaxtyping import Int64

from recollect.data.ratings import AnyRatings, Ratings
from recollect.training.history import History
from recollect.training.offsets import RidgeOffsets

log = logging.getLogger("recollect")

# Of a million ratings, offsets are within 0.0001 of their final RMSE after two epochs.
EPOCHS = 2
ALMOST_EQUAL = 0.0005  # as a share: such as a fit that ended where it began, at the offsets
NDCG = "valid_ndcg@"


def add_baseline(
    history: History,
    name: str,
    train: AnyRatings,
    valid: Ratings | None,
    *,
    clip: bool,
    warns: bool = True,
) -> None:
    """Put the baseline's figure into a history, and warn if the fit is worse.

    Of ratings on disk there is none: it would read all of them four times.

    Args:
        history: of a fit that has ended, in rating points.
        name: of the model, for the warning.
        train: the ratings or events it learned from.
        valid: those of its validation.
        clip: whether predictions are clipped to the scale.
        warns: whether a fit that is worse is warned of.
    """
    if history.best_valid is None or valid is None or not isinstance(train, Ratings):
        return

    if history.valid_name == "valid_rmse":
        history.baseline_name = "bias"
        history.baseline = bias_rmse(train, valid, clip=clip)
        is_worse = history.best_valid > history.baseline * (1 + ALMOST_EQUAL)
    elif history.valid_name.startswith(NDCG):
        history.baseline_name = "popularity"
        n = int(history.valid_name.removeprefix(NDCG))
        history.baseline = popularity_ndcg(train, valid, n=n)
        is_worse = history.best_valid < history.baseline
    else:
        return

    if is_worse and warns:
        log.warning(_warning(history, name))


def _warning(history: History, name: str) -> str:
    metric = history.valid_name.removeprefix("valid_").upper()
    fault = (
        f"{name} is worse than {history.baseline_name} on the validation ratings: {metric} "
        f"{history.best_valid:.4g}, {history.baseline_name} {history.baseline:.4g}."
    )
    n_epochs = len(history)
    if history.members:
        return f"{fault} {history.baseline_name} can be the better model."

    if n_epochs and history.best_epoch == n_epochs:
        return f"{fault} It was best in its last epoch: raise epochs, or the learning rate."

    return (
        f"{fault} It was best in epoch {history.best_epoch} of {n_epochs}: raise the penalties "
        "(reg), lower the learning rate, or let `recollect tune` choose. With few ratings a user, "
        f"{history.baseline_name} can be the better model."
    )


def bias_rmse(train: Ratings, valid: Ratings, *, clip: bool) -> float:
    """The RMSE on validation ratings of offsets estimated from the training ratings.

    Args:
        train: the ratings that offsets are estimated from.
        valid: the ratings to predict; users and items without training ratings have offset 0.
        clip: whether predictions are clipped to the scale.
    """
    offsets = RidgeOffsets.fit(train, epochs=EPOCHS)
    of_users = offsets.b_user[valid.user]
    of_items = offsets.b_item[valid.item]
    predicted = offsets.mu + of_users + of_items
    if clip:
        predicted = np.clip(predicted, *train.scale)

    error = predicted - valid.value

    return float(np.sqrt(np.mean(error**2)))


def popularity_ndcg(train: Ratings, valid: Ratings, *, n: int) -> float:
    """The mean NDCG@n of lists by the number of training events, without what a user has already.

    Args:
        train: the events that are counted; items without any are not ranked.
        valid: the events to be found; users without any do not count.
        n: length of the lists.
    """
    count = train.count("item")
    by_count = np.argsort(-count, kind="stable")
    rank = np.empty(len(count), np.int64)
    rank[by_count] = np.arange(len(count))

    # A user's list is the common order without the items of the user's training events: an item
    # moves up by as many as stand before it.
    place = rank[valid.item] - _seen_before(train, valid, rank)
    is_shown = (place < n) & (count[valid.item] > 0)
    discount = 1 / np.log2(np.arange(n) + 2)
    gain = np.zeros(len(valid))
    gain[is_shown] = discount[place[is_shown]]

    of_user = np.bincount(valid.user, weights=gain, minlength=valid.n_users)
    n_events = valid.count("user")
    people = n_events > 0
    gain_of_hits = np.cumsum(discount)
    ideal = gain_of_hits[np.minimum(n_events[people], n) - 1]

    return float(np.mean(of_user[people] / ideal))


def _seen_before(
    train: Ratings, valid: Ratings, rank: Int64[np.ndarray, " n_items"]
) -> Int64[np.ndarray, " valid"]:
    """How many items that each validation event's user has seen are ranked before its item."""
    n_items = len(rank)
    user, item = train.user, train.item
    if train.disliked is not None:
        user = np.concatenate([user, train.disliked.row])
        item = np.concatenate([item, train.disliked.column])

    seen = np.sort(user.astype(np.int64) * n_items + rank[item])
    first_of_user = valid.user.astype(np.int64) * n_items
    before_item = np.searchsorted(seen, first_of_user + rank[valid.item])
    before_user = np.searchsorted(seen, first_of_user)

    return before_item - before_user
