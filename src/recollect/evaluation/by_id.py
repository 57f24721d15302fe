"""Protocols for test ratings that have vocabularies of their own, such as those of another file.

Users and items are matched with the model's by id. A rating of a user or an item that the model
does not know is scored, too: its prediction is the model's default.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.vocab import Vocab
from recollect.errors import DataError
from recollect.evaluation.protocols import Scores, full_ranking, held_out
from recollect.model import Model


def aligned(ratings: Ratings, known: AnyRatings) -> tuple[Ratings, Bool[np.ndarray, " ratings"]]:
    """The ratings whose user and item are both known, in the known row numbers; and which they are.

    Args:
        ratings: with vocabularies of their own.
        known: ratings with the vocabularies to use, such as a model's `given_`.
    """
    user = known.users.rows(ratings.users.ids)[ratings.user]
    item = known.items.rows(ratings.items.ids)[ratings.item]
    is_known = (user >= 0) & (item >= 0)
    matched = replace(
        ratings,
        user=user[is_known],
        item=item[is_known],
        value=ratings.value[is_known],
        time=None if ratings.time is None else ratings.time[is_known],
        users=known.users,
        items=known.items,
    )

    return matched, is_known


def with_given(model: Model, ratings: Ratings) -> AnyRatings:
    """What the model was fitted on together with these ratings, for predictions from both.

    Args:
        model: fitted.
        ratings: of known items by known users; others are left out.
    """
    given = model.given_
    known, _ = aligned(ratings, given)
    return given.union(known)


def count_unknown(ids: Vocab, known: Vocab) -> int:
    """How many ids are not among the known ones."""
    rows = known.rows(ids.ids)
    is_unknown = rows < 0
    return int(is_unknown.sum())


def held_out_by_id(model: Model, test: Ratings, *, given: AnyRatings | None = None) -> Scores:
    """`held_out` on all test ratings, those of unknown users and items included.

    Args:
        model: fitted; one that predicts ratings.
        test: ratings that the model has not seen.
        given: what predictions are made from; None: what the model was fitted on.

    Raises:
        LeakError: if test shares pairs with what the model was fitted on or with `given`.
        DataError: if the model predicts no ratings.
    """
    part, is_known = aligned(test, model.given_)
    unknown = test.value[~is_known].astype(np.float64)
    error = unknown - model.cold_value
    values = {"rmse": error**2, "mae": np.abs(error)}
    n_cold = len(unknown)
    if len(part):
        scores = held_out(model, part, given=given)
        n_cold += scores.about["n_cold"]

        for name, of_unknown in values.items():
            values[name] = np.concatenate([scores.values[name], of_unknown])

    # In the order of the values: known users and items first.
    user = np.concatenate([test.user[is_known], test.user[~is_known]])
    about = {"n_cold": n_cold, "clipped": model.clip, "cold_value": model.cold_value}

    return Scores(values, "rating", about, group=user.astype(np.int64))


def full_ranking_by_id(
    model: Model,
    test: Ratings,
    *,
    n: int = 10,
    relevant: int | float | None = None,
    given: AnyRatings | None = None,
) -> Scores:
    """`full_ranking` for the users and items that the model knows.

    Args:
        model: fitted.
        test: ratings or events that the model has not seen.
        n: length of the list.
        relevant: the lowest rating that counts as relevant; None: as `full_ranking`.
        given: what predictions are made from; None: what the model was fitted on.

    Raises:
        DataError: if no test rating is of a known user and a known item.
        LeakError: if test shares pairs with what the model was fitted on or with `given`.
    """
    part, _ = aligned(test, model.given_)
    if not len(part):
        raise DataError(
            "The model knows both the user and the item of no test rating, so there is nothing to "
            "rank; check that the ids are written as in the training file."
        )

    return full_ranking(
        model,
        part,
        n=n,
        relevant=relevant,
        given=given,
    )
