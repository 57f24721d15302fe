"""What each event of a batch is worth: the squared error of its rating, or the gain of its rank."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from recollect.data.ratings import Ratings
from recollect.model import Model
from recollect.ranking import NEVER, scores_of

# Of a model, a batch and what predictions may be made from.
Score = Callable[[Model, Ratings, Ratings], Float64[np.ndarray, " events"]]


def squared_errors(model: Model, batch: Ratings, given: Ratings) -> Float64[np.ndarray, " events"]:
    """(value − prediction)² of each rating; unknown users and items by the default prediction.

    Args:
        model: fitted, with the vocabularies of the batch.
        batch: the ratings to predict.
        given: what predictions may be made from.
    """
    predicted = model.predict(batch.user, batch.item, given=given, times=batch.time)
    error = predicted.astype(np.float64) - batch.value
    return np.square(error)


def discounted_gains(
    model: Model, batch: Ratings, given: Ratings, *, n: int
) -> Float64[np.ndarray, " events"]:
    """1 / log2(1 + rank) of each event's item in its user's list, 0 beyond the first n.

    A list has all items that the model knows but those that the user has; of a user of whom
    nothing is known it is everyone's. An item of equal score counts as before the event's own.

    Args:
        model: fitted, with the vocabularies of the batch.
        batch: the events to predict.
        given: what lists may be made from.
        n: length of a list.

    Source: Frigó, Pálovics, Kelen, Kocsis, Benczúr. "Online Ranking Prediction in Non-Stationary
        Environments." CEUR Workshop Proceedings 1922, 2017 (online DCG).
    """
    people, person = np.unique(batch.user, return_inverse=True)
    gain = np.zeros(len(batch))

    for part, scores in scores_of(model, people, given):
        events = np.flatnonzero((person >= part.start) & (person < part.stop))
        row = scores[person[events] - part.start]
        own = row[np.arange(len(events)), batch.item[events]]
        rank = (row >= own[:, None]).sum(axis=1)
        is_shown = (own > NEVER) & (rank <= n)
        gain[events[is_shown]] = 1 / np.log2(1 + rank[is_shown])

    return gain
