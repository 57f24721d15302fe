"""Protocols: show a fitted model what it may see, and score its predictions. All return `Scores`.

    held_out             test ratings: RMSE and MAE, per rating and per user
    full_ranking         every item ranked for every user: NDCG, recall, precision, …; coverage
    new_users            held_out for users without training ratings, from the ratings they give
    new_users_ranking    full_ranking for them
    new_items            held_out for items without training ratings
    new_items_ranking    these items alone ranked, for users who rated some of them

A protocol refuses test ratings that the model may see, and says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from recollect import registry
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.splitting import Split, shared_pairs
from recollect.errors import DataError, LeakError, SettingError
from recollect.evaluation.metrics import metrics_of
from recollect.evaluation.scores import Scores
from recollect.model import Model
from recollect.ranking import NEVER, everyones_best, first_n, hits, scores_of

# Scores of a block of users: which users, and a row of every item's score each.
ScoreBlock = tuple[slice, Float[np.ndarray, "some n_items"]]

DEFAULT_RELEVANT = 0.75  # a rating this far up the scale is relevant: 4 of 1 to 5


def held_out(
    model: Model, test: Ratings, *, given: AnyRatings | None = None, split: Split | None = None
) -> Scores:
    """Errors on test ratings, each predicted for its own time.

    All are scored; those of unknown users and items are counted in `about["n_cold"]`.

    Args:
        model: a fitted model of ratings.
        test: the ratings to predict.
        given: what predictions may be made from; default: what the model was fitted on.
        split: where the test ratings come from, for `about`.

    Raises:
        LeakError: if test shares pairs with what the model was fitted on or with `given`.
        DataError: if test is empty or the model predicts no ratings.
    """
    if model.output != "ratings":
        raise DataError(
            f"{type(model).__name__} gives scores without a unit: RMSE and MAE mean nothing for "
            "it; use full_ranking."
        )

    _check(model, test, given)
    predicted = model.predict(test.user, test.item, given=given, times=test.time)
    values = {}

    for metric in metrics_of("ratings"):
        values[metric.name] = metric.function(test.value, predicted)

    cold = model.is_cold(test.user, test.item, given=given)
    about = _about(model, test, split, n_cold=int(cold.sum()), clipped=model.clip)

    return Scores(values, "rating", about, group=test.user.astype(np.int64), pair=test.pair)


def full_ranking(
    model: Model,
    test: Ratings,
    *,
    n: int = 10,
    relevant: int | float | None = None,
    given: AnyRatings | None = None,
    split: Split | None = None,
) -> Scores:
    """Rank all items for each user with test ratings, as `recommend.top_n` does; score the first n.

    Neither what a user has in `given` is ranked, nor items without training ratings; a user of whom
    nothing is known gets what is best for everyone. Users with nothing relevant count in no mean
    (their values are NaN).

    Args:
        model: a fitted model.
        test: the ratings or events to find.
        n: length of the lists.
        relevant: the rating from which on a test item is relevant; default: three quarters up the
            scale (4 of 1 to 5), for events every one.
        given: what predictions may be made from; default: what the model was fitted on.
        split: where the test ratings come from, for `about`.

    Raises:
        LeakError: as held_out.
        DataError: as held_out.
        SettingError: if n is below 1.
    """
    _check(model, test, given, n=n)
    given = model.given_ if given is None else given
    people = np.flatnonzero(test.count("user") > 0)
    blocks = scores_of(model, people, given)

    return _ranked(
        model,
        test,
        given,
        blocks,
        n=n,
        relevant=relevant,
        split=split,
    )


def _ranked(
    model: Model,
    test: Ratings,
    given: AnyRatings,
    blocks: Iterable[ScoreBlock],
    *,
    n: int,
    relevant: int | float | None,
    split: Split | None,
    candidates: Bool[np.ndarray, " n_items"] | None = None,
) -> Scores:
    """Judge the first n items by these scores, for each user with test ratings in turn."""
    threshold = _relevant_from(test) if relevant is None else float(relevant)
    good = test.where(test.value >= threshold).by_user
    people = np.flatnonzero(test.count("user") > 0)
    shown = np.empty((len(people), n), np.int64)
    is_hit = np.empty((len(people), n), bool)

    for part, scores in blocks:
        shown[part] = first_n(n, scores)
        is_hit[part] = hits(good.take(people[part]), shown[part])

    n_good = good.counts[people]
    values = {}

    for metric in metrics_of("lists"):
        values[f"{metric.name}@{n}"] = metric.function(n, is_hit, n_good)

    about = _about(
        model,
        test,
        split,
        n=n,
        relevant_from=threshold,
        n_users=len(people),
        n_without_relevant=int((n_good == 0).sum()),
        n_cold=int((given.count("user")[people] == 0).sum()),
    )
    whole = _figures_of_all_lists(n, shown, test.n_items, candidates)

    return Scores(values, "user", about, whole=whole)


def _figures_of_all_lists(
    n: int,
    shown: Int64[np.ndarray, "users n"],
    n_items: int,
    candidates: Bool[np.ndarray, " n_items"] | None,
) -> dict[str, float]:
    """The metrics of the catalogue, for lists of all items or of the candidates alone."""
    if candidates is not None:
        # Number the candidates from 0, so that figures of all lists are shares of them.
        n_items = int(candidates.sum())
        number = np.cumsum(candidates) - 1
        shown = np.where(shown >= 0, number[shown], -1)

    figures = {}

    for metric in metrics_of("catalogue"):
        figures[f"{metric.name}@{n}"] = metric.function(shown, n_items)

    return figures


def _relevant_from(test: Ratings) -> float:
    """The rating from which on a test item is relevant; every event is."""
    low, high = test.scale
    if test.implicit:
        return float(low)

    return float(low + DEFAULT_RELEVANT * (high - low))


def new_users(model: Model, split: Split) -> Scores:
    """`held_out` for users without training ratings, from what `new_user_split` gives of them.

    Raises:
        DataError: if the split gives nothing of them.
    """
    given = _with_given(model, split)
    return held_out(
        model,
        split.test,
        given=given,
        split=split,
    )


def new_users_ranking(
    model: Model, split: Split, *, n: int = 10, relevant: int | float | None = None
) -> Scores:
    """`full_ranking` for users without training ratings: strong generalization.

    Args:
        model: a fitted model.
        split: made by `new_user_split`.
        n: length of the lists.
        relevant: as `full_ranking`.

    Raises:
        DataError: if the split gives nothing of these users.

    Source: Liang, Krishnan, Hoffman, Jebara. WWW 2018.
    """
    given = _with_given(model, split)
    return full_ranking(
        model,
        split.test,
        n=n,
        relevant=relevant,
        given=given,
        split=split,
    )


def new_items(model: Model, split: Split) -> Scores:
    """`held_out` for items without training ratings (`new_item_split`).

    To a model that knows nothing else of them they are all alike; `about["n_cold"]` counts the
    ratings for which it has only its default prediction.

    Raises:
        LeakError: as held_out.
        DataError: as held_out; or if a test item has ratings in train.
    """
    _check_new_items(model, split)
    return held_out(model, split.test, split=split)


def new_items_ranking(
    model: Model, split: Split, *, n: int = 10, relevant: int | float | None = None
) -> Scores:
    """Rank the items without training ratings alone, for each user with test ratings.

    The figures are those of `full_ranking`; coverage is the share of these items. Items that the
    model cannot predict are ranked by what is best for everyone, which is the same for all of them,
    so they come in the order of the vocabulary; `about["n_unknown_items"]` counts them. `about` has
    the baseline, too: `random_ndcg@n` and `random_recall@n`, the expectation of a random order.

    Args:
        model: a fitted model.
        split: made by `new_item_split`.
        n: length of the lists.
        relevant: as `full_ranking`.

    Raises:
        LeakError: as full_ranking.
        DataError: as full_ranking; or if a test item has ratings in train.
        SettingError: if n is below 1.
    """
    _check_new_items(model, split, n=n)
    new = split.test.count("item") > 0
    unknown = new & ~model.known_items()
    people = np.flatnonzero(split.test.count("user") > 0)
    best = everyones_best(model.given_)
    blocks = _only_candidates(new, unknown, best, scores_of(model, people, model.given_))
    scores = _ranked(
        model,
        split.test,
        model.given_,
        blocks,
        n=n,
        relevant=relevant,
        split=split,
        candidates=new,
    )
    n_new = int(new.sum())
    is_relevant = split.test.value >= scores.about["relevant_from"]
    n_good = split.test.where(is_relevant).count("user")[people]
    baseline = {
        "n_candidates": n_new,
        "n_unknown_items": int(unknown.sum()),
        f"random_ndcg@{n}": _random_ndcg(n, n_good, n_new),
        f"random_recall@{n}": min(n, n_new) / n_new,
    }

    return replace(scores, about=scores.about | baseline)


def _only_candidates(
    candidates: Bool[np.ndarray, " n_items"],
    unknown: Bool[np.ndarray, " n_items"],
    best: Float[np.ndarray, " n_items"],
    blocks: Iterable[ScoreBlock],
) -> Iterator[ScoreBlock]:
    """The scores of the candidates only; unknown ones get what is best for everyone."""
    for part, scores in blocks:
        scores[:, unknown] = best[unknown]
        scores[:, ~candidates] = NEVER
        yield part, scores


def _random_ndcg(n: int, n_relevant: Int64[np.ndarray, " users"], n_items: int) -> float:
    """The expected NDCG@n of n_items in random order, the mean over users with anything relevant.

    Each place is a hit with probability n_relevant / n_items. NaN if nobody has anything relevant.
    """
    n_good = n_relevant[n_relevant > 0]
    if not len(n_good):
        return float("nan")

    rank = np.arange(1, n + 1)
    # The gain of a list whose places are all hits, by its length from 1 on.
    gain = np.cumsum(1 / np.log2(rank + 1))
    expected = n_good / n_items * gain[min(n, n_items) - 1]
    ideal = gain[np.minimum(n, n_good) - 1]
    ndcg = expected / ideal

    return float(np.mean(ndcg))


def _check_new_items(model: Model, split: Split, *, n: int = 1) -> None:
    _check(model, split.test, None, n=n)
    tested = split.test.count("item") > 0
    in_train = split.train.count("item") > 0
    in_fit = model.given().count("item") > 0
    old = tested & (in_train | in_fit)
    if old.any():
        n_old = int(old.sum())
        n_tested = int(tested.sum())
        raise DataError(
            f"{n_old:,} of the {n_tested:,} items in test have ratings in train, "
            "so they are not new; make the split with new_item_split, or use held_out or "
            "full_ranking."
        )


def _with_given(model: Model, split: Split) -> Ratings:
    if split.given is None:
        raise DataError(f"{split!r} gives no ratings of new users; make it with new_user_split.")
    return model.given().union(split.given)


def _check(model: Model, test: Ratings, given: AnyRatings | None, *, n: int = 1) -> None:
    """Refuse an empty test, lists of no items, and test ratings that the model may see."""
    if n < 1:
        raise SettingError(f"n is the length of the lists, 1 or more; found {n}.")

    fitted = model.given()
    if not len(test):
        raise DataError("There is no test rating to score.")

    for what, part in (("the ratings the model was fitted on", fitted), ("given", given)):
        n_shared = shared_pairs(test, part) if part is not None else 0
        if n_shared:
            raise LeakError(
                f"test shares {n_shared} pairs with {what}; a model must not see the ratings it is "
                "scored on: split again, or pass given= without them."
            )


def _about(model: Model, test: Ratings, split: Split | None, **more: Any) -> dict[str, Any]:
    """What the scores were measured on; `more` is added at the end."""
    about = {
        "model": registry.name_of(model),
        "settings": registry.settings(model),
        "seed": model.seed_,
        "data": model.given_.name,
        "trained_on": model.given_.fingerprint,
        "tested_on": test.fingerprint,
        "n_train": len(model.given_),
        "n_test": len(test),
    }

    if split is not None:
        about |= {
            "split": split.how,
            "split_seed": split.seed,
            "split_settings": split.settings,
        }

    return about | more
