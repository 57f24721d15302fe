"""Lists from ratings: will someone choose an item, and will they like it?

    score[u, i] = P(u chooses i) · P(u likes i)
    P(u chooses i) ∝ max(Σ_j x[u, j] B[j, i], least),    x[u, j] = 1 where u has rated j, else 0
    P(u likes i) = Φ((r̂[u, i] − t) / σ)

B are the weights of EASE, learned from who rated what, whatever the ratings. r̂ is the model's
prediction, σ its validation RMSE, Φ the normal distribution function, and t lies midway between the
lowest rating that counts as liking and the one below it. A predicted rating alone puts items first
that a few people love: it was learned from the ratings that people chose to give, and says nothing
of whether someone would choose the item.

Source: Steck. "Embarrassingly Shallow Autoencoders for Sparse Data." WWW 2019 (B). Steck. "Training
    and Testing of Recommender Systems on Data Missing Not at Random." KDD 2010 (that a list takes
    more than the rating). The product is ours; docs/recommending.md has its figures.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, Int64
from scipy.special import ndtr

from recollect import registry
from recollect.data.levels import levels_of, relevant_from
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import Vocab
from recollect.errors import SizeError
from recollect.families.item_weights import ItemWeights, as_events
from recollect.run import Run
from recollect.system.once import Once
from recollect.training.history import History

log = logging.getLogger("recollect")

MOST_EVENTS = 5_000_000  # that B is learned from; of more, those of some users are drawn
MOST_ITEMS = 10_000  # whose B has 400 MB; of more items, each has neighbors instead
LEAST = 1e-4  # of a row's largest: no item is certain not to be chosen
LOWEST = -12.0  # (r̂ − t) / σ; Φ of less is 0 in 32 bits
# After updates, B is learned anew when so large a share of the ratings has come, or a new item has
# so many.
MOST_CHANGE = 0.01
ENOUGH = 5
SHARE_OF_SPREAD = 0.8  # the error of a model that was not validated, as a share of the ratings'


@dataclass(frozen=True)
class Interest:
    """What turns predicted ratings into an order of items."""

    choices: ItemWeights  # B, learned from who rated what
    threshold: float  # t
    error: float  # sigma, in rating points
    item_count: Int64[np.ndarray, " n_items"]  # the ratings that B was learned from, per item

    def join(
        self, predicted: Float32[np.ndarray, "people n_items"], rows: Rows
    ) -> Float32[np.ndarray, "people n_items"]:
        """P(u chooses i) · P(u likes i).

        Args:
            predicted: raw predictions of every item.
            rows: what each of the people has rated.
        """
        chosen = self.choices.sums(as_events(rows))
        np.maximum(chosen, _least(chosen), out=chosen)
        chosen *= self._liked(predicted)

        return chosen

    def influences(
        self,
        rows: Rows,
        items: Int[np.ndarray, "people some"],
        predicted: Float32[np.ndarray, "people some"],
        influence: Float32[np.ndarray, "cells some"],
    ) -> Float32[np.ndarray, "cells some"]:
        """By how much each rating of a row raises the logarithm of the scores of some items.

        The score with the rating, less the score without it, as in `Model.influences`.

        Args:
            rows: what each of the people has rated.
            items: row numbers of items, the same number for each row.
            predicted: their raw predictions.
            influence: what each rating adds to these (`Model.influences`).
        """
        sums = self.choices.sums(as_events(rows))
        least = _least(sums)[rows.row]
        chosen = np.take_along_axis(sums, items, axis=1)[rows.row]
        weights = self.choices.influences(as_events(rows), items)
        of_choice = np.log(np.maximum(chosen, least) / np.maximum(chosen - weights, least))
        with_it = predicted[rows.row]
        of_rating = np.log(self._liked(with_it)) - np.log(self._liked(with_it - influence))

        return (of_choice + of_rating).astype(np.float32)

    def _liked(
        self, predicted: Float32[np.ndarray, "rows some"]
    ) -> Float32[np.ndarray, "rows some"]:
        """P(u likes i); never quite 0, so that there is a logarithm."""
        # Not the difference first: of very large ratings it would be infinite.
        z = predicted / np.float32(self.error) - np.float32(self.threshold / self.error)
        liked: np.ndarray = ndtr(np.maximum(z, np.float32(LOWEST)))

        return liked


def _least(chosen: Float32[np.ndarray, "people n_items"]) -> Float32[np.ndarray, "people 1"]:
    """What P(u chooses i) is at least, for each row."""
    most = chosen.max(axis=1, keepdims=True, initial=0)
    # Someone with no rated item that has weights chooses any item alike.
    most[most <= 0] = 1

    return np.float32(LEAST) * most


def interest_of(model: Any) -> Interest:
    """The interest that goes with a model of ratings; learned when it is first asked for.

    Args:
        model: a fitted model of ratings.
    """
    return _once(model).get(lambda: _make(model, learn_choices(model.given_)))


def keep_choices(model: Any, choices: ItemWeights) -> None:
    """Give a fitted model of ratings the choices that were learned earlier.

    Args:
        model: a fitted model of ratings.
        choices: as `learn_choices` gives them.
    """
    _once(model).get(lambda: _make(model, choices))


def _once(model: Any) -> Once[Interest]:
    """Where a model keeps its interest, as long as its ratings are the same."""
    given, interest = vars(model).get("_interest", (None, None))
    if given is not model.given_ or interest is None:
        former = None if interest is None else interest.known
        interest = Once()
        if former is not None and _is_current(former, model.given_):
            grown = former.choices.with_items(model.given_.n_items)
            kept = replace(_make(model, grown), item_count=former.item_count)
            interest.get(lambda: kept)

        # In one assignment, as several threads may ask.
        model._interest = (model.given_, interest)

    return interest


def _is_current(interest: Interest, ratings: AnyRatings) -> bool:
    """Whether B of earlier ratings still serves after updates: few have come, and none of the new
    items has enough to be chosen by.
    """
    before = interest.item_count
    now = ratings.count("item")
    if len(now) < len(before):
        return False

    n_before = int(before.sum())
    is_new = np.append(before == 0, np.ones(len(now) - len(before), bool))
    has_enough = (now[is_new] >= ENOUGH).any()

    return bool(abs(int(now.sum()) - n_before) <= MOST_CHANGE * n_before and not has_enough)


def _make(model: Any, choices: ItemWeights) -> Interest:
    given = model.given_
    return Interest(choices, threshold(given), error_of(model), given.count("item"))


def learn_choices(ratings: AnyRatings) -> ItemWeights:
    """Learn who chooses what from the pairs of ratings; of very many, from users drawn of them."""
    events = _events(ratings)
    if ratings.n_items <= MOST_ITEMS:
        try:
            return _fit("ease", events)
        except SizeError as problem:
            log.info("Lists are made from neighbors of items instead of EASE: %s", problem)

    # It takes little, and a model that was fitted must be saved.
    return _fit("item_knn", events, Run(memory_check=False))


def _fit(name: str, events: Ratings, run: Run | None = None) -> ItemWeights:
    choices = registry.make(name)
    assert isinstance(choices, ItemWeights)
    choices.fit(events, run=run)

    return choices


def _events(ratings: AnyRatings) -> Ratings:
    """The pairs of ratings as events; at most `MOST_EVENTS`, all of each user drawn."""
    if isinstance(ratings, Ratings) and len(ratings) <= MOST_EVENTS:
        return ratings.events()

    people = _draw_users(ratings.count("user"))
    rows = ratings.by_user.take(people)

    return Ratings(
        user=rows.row,
        item=rows.column,
        value=np.ones(rows.n_cells, np.float32),
        users=Vocab(ratings.users.at(people)),
        items=ratings.items,
        scale=(0.0, 1.0),
        implicit=True,
        name=ratings.name,
        checked=True,
    )


def _draw_users(count: Int64[np.ndarray, " users"]) -> Int64[np.ndarray, " some"]:
    """Users drawn without replacement, as many as have `MOST_EVENTS` ratings at most, sorted."""
    order = np.random.default_rng(0).permutation(np.flatnonzero(count))
    n_events = np.cumsum(count[order])
    n_users = max(1, int(np.searchsorted(n_events, MOST_EVENTS, side="right")))

    return np.sort(order[:n_users])


def threshold(ratings: AnyRatings) -> float:
    """t: where ratings are levels, midway between the lowest that is liked and the one below."""
    liked = relevant_from(ratings)
    levels = levels_of(ratings)
    if levels is None:
        return liked

    is_liked = levels >= liked
    if is_liked.all() or not is_liked.any():
        return liked

    return float(levels[is_liked].min()) / 2 + float(levels[~is_liked].max()) / 2


def error_of(model: Any) -> float:
    """σ: the validation RMSE of a fit, or what is usual of the spread of the ratings."""
    history = getattr(model, "history_", History())  # a model that was not fitted has none
    if history.valid_name == "valid_rmse" and history.best_valid:
        return float(history.best_valid)

    # In the unit of the model, as the square of a very large number would be infinite.
    spread = float(model.inner.given_.variance) ** 0.5
    width = model.inner.given_.scale[1] - model.inner.given_.scale[0]

    return float(SHARE_OF_SPREAD * spread or width) * float(model.unit_.size)
