"""Ratings of pairs of a user and an item, from the ratings that the store has of them now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from recollect.data.sparse_rows import Rows
from recollect.serve.answers.catalogue import Items
from recollect.serve.answers.scoring import Basis, known_user, row_of
from recollect.serve.answers.served import Served
from recollect.serve.store.records import Person
from recollect.unseen import predict_people


@dataclass(frozen=True)
class Pair:
    """What is asked.

    Args:
        person: the user.
        item: id of the item.
        time: when the rating is given, in seconds since 1970; None: the user's last day.
    """

    person: Person
    item: str
    time: int | None


@dataclass(frozen=True)
class Predicted:
    """What is predicted of a pair.

    Args:
        prediction: the rating, or the score of a model of events.
        cold: whether the user or the item is unknown to the model.
        basis: as in lists.
        std: standard deviation of the rating; None: not asked for, or not estimated for them.
        low: lower bound of the interval; None likewise.
        high: upper bound.
    """

    prediction: float
    cold: bool
    basis: Basis
    std: float | None = None
    low: float | None = None
    high: float | None = None


def predict_pairs(
    served: Served, items: Items, pairs: Sequence[Pair], interval: float | None
) -> list[Predicted]:
    """The prediction of each pair.

    Args:
        served: the model.
        items: the catalogue.
        pairs: what is asked; pairs of one user share a Person.
        interval: the probability of the intervals; None: without.

    Raises:
        SettingError: if intervals are asked for that the model does not estimate.
    """
    people = {id(pair.person): pair.person for pair in pairs}
    number = {key: place for place, key in enumerate(people)}
    rows = [row_of(served, items, person) for person in people.values()]
    users = np.array(
        [known_user(served, one, row) for one, row in zip(people.values(), rows, strict=True)],
        np.int64,
    )
    person = np.array([number[id(pair.person)] for pair in pairs], np.int64)
    item = _columns(served, items, pairs)
    stacked = Rows.stack(rows, n_columns=len(served.known_items))
    predicted, cold = _predict(served, users[person], person, item, stacked, pairs)
    bounds = _bounds(served, users[person], item, cold, interval)

    answers = []
    for place in range(len(pairs)):
        basis: Basis = "model" if users[person[place]] >= 0 else "fold_in"
        if not rows[person[place]].n_cells:
            basis = "popular"
        answers.append(Predicted(float(predicted[place]), bool(cold[place]), basis, *bounds[place]))

    return answers


def _columns(served: Served, items: Items, pairs: Sequence[Pair]) -> Int64[np.ndarray, " pairs"]:
    """The model's row number of each pair's item; -1 of one that it cannot predict."""
    rows = items.rows([pair.item for pair in pairs])
    column = np.where(rows >= 0, served.columns(items)[rows], -1) if len(items.ids) else rows
    return np.where((column >= 0) & served.known_items[column], column, -1)


def _predict(
    served: Served,
    user: Int64[np.ndarray, " pairs"],
    person: Int64[np.ndarray, " pairs"],
    item: Int64[np.ndarray, " pairs"],
    rows: Rows,
    pairs: Sequence[Pair],
) -> tuple[Float32[np.ndarray, " pairs"], Bool[np.ndarray, " pairs"]]:
    """The predictions, and which pairs are cold.

    Args:
        served: the model.
        user: its row number of each pair's user, as it learned them; -1: folded in.
        person: the row of each pair's user in `rows`.
        item: its row number of each pair's item.
        rows: the ratings of all people.
        pairs: for their times.
    """
    model = served.model
    out = np.empty(len(pairs), np.float32)
    cold = np.zeros(len(pairs), bool)
    known = user >= 0
    has_time = np.array([pair.time is not None for pair in pairs])
    times = np.array([pair.time or 0 for pair in pairs], np.int64)
    for part, of_part in ((known & has_time, times), (known & ~has_time, None)):
        if part.any():
            stated = None if of_part is None else of_part[part]
            out[part] = model.predict(user[part], item[part], times=stated)
            cold[part] = item[part] < 0

    if not known.all():
        new = ~known
        out[new], cold[new] = predict_people(model, rows, person[new], item[new])

    return out, cold


def _bounds(
    served: Served,
    user: Int64[np.ndarray, " pairs"],
    item: Int64[np.ndarray, " pairs"],
    cold: Bool[np.ndarray, " pairs"],
    interval: float | None,
) -> list[tuple[float | None, float | None, float | None]]:
    """Standard deviation, lower and upper bound of each pair, where they are estimated.

    Args:
        served: the model.
        user: its row number of each pair's user; -1: folded in.
        item: its row number of each pair's item.
        cold: which pairs are cold.
        interval: the probability; None: without.
    """
    bounds: list[tuple[float | None, float | None, float | None]] = [(None, None, None)] * len(user)
    if interval is None:
        return bounds

    places = np.flatnonzero((user >= 0) & ~cold)
    low, high = served.model.predict_interval(user[places], item[places], interval)
    std = served.model.predict_std(user[places], item[places])
    for place, *bound in zip(places, std.tolist(), low.tolist(), high.tolist(), strict=True):
        bounds[place] = (bound[0], bound[1], bound[2])

    return bounds
