"""Protocols: show a fitted model what it may see, and score its predictions. All return `Scores`.

    held_out             test ratings: RMSE and MAE, per rating and per user
    full_ranking         every item ranked for every user: NDCG, recall, …; what is shown; coverage
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
from recollect.arguments import expect, expect_number, expect_whole
from recollect.data.levels import relevant_from
from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import Rows
from recollect.data.splitting import Split
from recollect.errors import DataError, LeakError
from recollect.evaluation.by_id import Matched, Visible, shared_by_id
from recollect.evaluation.list_facts import facts_of_lists
from recollect.evaluation.metrics import metrics_of
from recollect.evaluation.ranked_lists import (
    catalogue,
    figures_of_all_lists,
    figures_of_shown,
    random_ndcg,
    refuse_negatives,
    relevant_items,
)
from recollect.evaluation.scores import Scores
from recollect.model import Model
from recollect.ranking import NEVER, everyones_best, first_n, hits, scores_of
from recollect.request import given_of
from recollect.system.door import words

# Scores of a block of users: which users, and a row of every item's score each.
ScoreBlock = tuple[slice, Float[np.ndarray, "some n_items"]]


def held_out(model: Model, test: Any, *, given: Any = None, split: Split | None = None) -> Scores:
    """Errors on test ratings, each predicted for its own time.

    All are scored; those of unknown users and items are counted in `about["n_cold"]`.

    Args:
        model: a fitted model of ratings.
        test: the ratings to predict: Ratings, which may have ids that the model does not know; a
            data frame; or the path of a file.
        given: what predictions may be made from, like `test`; default: what the model was fitted
            on. `by_id.with_given` joins the two.
        split: where the test ratings come from, for `about`.

    Raises:
        LeakError: if test shares pairs with what the model was fitted on or with `given`.
        DataError: if test is empty or the model predicts no ratings.
    """
    given_of(model)
    if model.output != "ratings":
        raise DataError(
            f"{type(model).__name__} gives scores without a unit: RMSE and MAE mean nothing for "
            "it; use full_ranking."
        )

    matched, visible = _matched(model, test, given)
    ratings = matched.ratings
    predicted, cold = matched.predict(model, visible)
    values = {}

    for metric in metrics_of("ratings"):
        values[metric.name] = metric.function(ratings.value, predicted)

    about = _about(model, ratings, split, n_cold=int(cold.sum()), clipped=model.clip)

    return Scores(values, "rating", about, group=ratings.user.astype(np.int64), pair=ratings.pair)


def full_ranking(
    model: Model,
    test: Any,
    *,
    n: int = 10,
    relevant: int | float | None = None,
    given: Any = None,
    split: Split | None = None,
    rank_by: str | None = None,
    field: str | None = None,
    negatives: int | None = None,
) -> Scores:
    """Rank all items for each user with test ratings, as `recommend.top_n` does; score the first n.

    Neither what a user has in `given` is ranked, nor items without training ratings; a user of whom
    nothing is known gets what is best for everyone. Users with nothing relevant count in no mean
    (their values are NaN). A relevant item that the model does not know counts as not found. What
    the lists are like (novelty, diversity, …) is measured of every user who has one.

    Args:
        model: a fitted model.
        test: the ratings or events to find, like `test` of `held_out`.
        n: length of the lists.
        relevant: the rating from which on a test item is relevant; default: three quarters up the
            scale (4 of 1 to 5), for events every one.
        given: as `held_out`.
        split: where the test ratings come from, for `about`.
        rank_by: as `top_n`.
        field: the field of the items from which diversity and miscalibration are computed; None:
            genres, categories or tags, whichever there is. Without one, diversity is computed from
            the users whom items share, and there is no miscalibration; `about` says so.
        negatives: refused: all items are ranked, never a sample of them.

    Raises:
        LeakError: as held_out.
        DataError: as held_out; or for a field without values.
        SettingError: if n is below 1, for negatives, a field that the items do
            not have, or an unknown `rank_by`.
    """
    refuse_negatives(negatives)
    matched, visible = _matched(model, test, given, n=n)
    if relevant is not None:
        expect_number("relevant", relevant, "the lowest rating of a relevant item")

    people = np.flatnonzero(matched.ratings.count("user") > 0)
    new = visible.rows_of(matched.ratings.users.at(people)) if len(visible.people) else None
    blocks = scores_of(model, matched.user_row[people], visible.known, new=new, rank_by=rank_by)

    return _ranked(
        model,
        matched,
        visible,
        blocks,
        n=n,
        relevant=relevant,
        split=split,
        field=field,
    )


def _ranked(
    model: Model,
    matched: Matched,
    visible: Visible,
    blocks: Iterable[ScoreBlock],
    *,
    n: int,
    relevant: int | float | None,
    split: Split | None,
    field: str | None = None,
    candidates: Bool[np.ndarray, " n_numbers"] | None = None,
) -> Scores:
    """Judge the first n items by these scores, for each user with test ratings in turn.

    Args:
        model: fitted.
        matched: the test ratings.
        visible: what the scores were made from.
        blocks: the scores of the users with test ratings.
        n: length of the lists.
        relevant: the rating from which on an item is relevant; None: by the scale.
        split: where the test ratings come from.
        field: of the items, for diversity and miscalibration; None: the usual ones.
        candidates: the items of which coverage is a share; None: those with ratings in the fit or
            the test, and those that the model can predict without.
    """
    test = matched.ratings
    threshold = relevant_from(model.given_) if relevant is None else float(relevant)
    people = np.flatnonzero(test.count("user") > 0)
    good = relevant_items(matched, threshold)
    shown, is_hit = _first_items(n, blocks, good, people)
    n_good = good.counts[people]
    values = {}

    for metric in metrics_of("lists"):
        values[f"{metric.name}@{n}"] = metric.function(n, is_hit, n_good)

    facts = facts_of_lists(model, matched, visible, shown, people, field=field)
    values |= figures_of_shown(n, facts)
    strangers = matched.is_stranger(model, visible, people)
    about = _about(
        model,
        test,
        split,
        n=n,
        relevant_from=threshold,
        n_users=len(people),
        n_without_relevant=int((n_good == 0).sum()),
        n_cold=int(strangers.sum()),
        **facts.about,
    )
    listed = catalogue(model, matched) if candidates is None else candidates
    whole = figures_of_all_lists(n, shown, listed)

    return Scores(values, "user", about, whole=whole)


def _first_items(
    n: int, blocks: Iterable[ScoreBlock], good: Rows, people: Int64[np.ndarray, " people"]
) -> tuple[Int64[np.ndarray, "people n"], Bool[np.ndarray, "people n"]]:
    """The numbers of the first n items of each user (-1: none), and whether each is relevant.

    Args:
        n: length of the lists.
        blocks: the scores of the users.
        good: the relevant items of every test user.
        people: the rows in `good` of the users.
    """
    shown = np.empty((len(people), n), np.int64)
    is_hit = np.empty((len(people), n), bool)

    for part, scores in blocks:
        shown[part] = first_n(n, scores)
        is_hit[part] = hits(good.take(people[part]), shown[part])

    return shown, is_hit


def new_users(model: Model, split: Split) -> Scores:
    """`held_out` for users without training ratings, from what `new_user_split` gives of them.

    Raises:
        DataError: if the split gives nothing of them.
    """
    given = _joined_with_given(model, split)
    return held_out(
        model,
        split.test,
        given=given,
        split=split,
    )


def new_users_ranking(
    model: Model,
    split: Split,
    *,
    n: int = 10,
    relevant: int | float | None = None,
    rank_by: str | None = None,
    field: str | None = None,
) -> Scores:
    """`full_ranking` for users without training ratings: strong generalization.

    Args:
        model: a fitted model.
        split: made by `new_user_split`.
        n: length of the lists.
        relevant: as `full_ranking`.
        rank_by: as `top_n`.
        field: as `full_ranking`.

    Raises:
        DataError: if the split gives nothing of these users.

    Source: Liang, Krishnan, Hoffman, Jebara. WWW 2018.
    """
    given = _joined_with_given(model, split)
    return full_ranking(
        model,
        split.test,
        n=n,
        relevant=relevant,
        given=given,
        split=split,
        rank_by=rank_by,
        field=field,
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
    model: Model,
    split: Split,
    *,
    n: int = 10,
    relevant: int | float | None = None,
    rank_by: str | None = None,
    field: str | None = None,
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
        rank_by: as `top_n`.
        field: as `full_ranking`.

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
    blocks = _only_candidates(
        new, unknown, best, scores_of(model, people, model.given_, rank_by=rank_by)
    )
    scores = _ranked(
        model,
        Matched.of(model, split.test),
        Visible.of(model),
        blocks,
        n=n,
        relevant=relevant,
        split=split,
        field=field,
        candidates=new,
    )
    n_new = int(new.sum())
    is_relevant = split.test.value >= scores.about["relevant_from"]
    n_good = split.test.where(is_relevant).count("user")[people]
    baseline = {
        "n_candidates": n_new,
        "n_unknown_items": int(unknown.sum()),
        f"random_ndcg@{n}": random_ndcg(n, n_good, n_new),
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


def _check_new_items(model: Model, split: Split, *, n: int = 1) -> None:
    expect("split", split, Split, "a Split, made by recollect.new_item_split")
    _matched(model, split.test, None, n=n)
    fitted = model.given_
    if split.test.users != fitted.users or split.test.items != fitted.items:
        raise DataError(
            f"{split.test!r} and what the model was fitted on have different vocabularies; make "
            "both with one split."
        )

    tested = split.test.count("item") > 0
    in_train = split.train.count("item") > 0
    in_fit = fitted.count("item") > 0
    old = tested & (in_train | in_fit)
    if old.any():
        n_old = int(old.sum())
        n_tested = int(tested.sum())
        raise DataError(
            f"{n_old:,} of the {n_tested:,} items in test have ratings in train, "
            "so they are not new; make the split with new_item_split, or use held_out or "
            "full_ranking."
        )


def _joined_with_given(model: Model, split: Split) -> Ratings:
    fitted = given_of(model)
    expect("split", split, Split, "a Split, made by recollect.new_user_split")
    if split.given is None:
        raise DataError(f"{split!r} gives no ratings of new users; make it with new_user_split.")

    return fitted.union(split.given)


def _matched(model: Model, test: Any, given: Any, *, n: int = 1) -> tuple[Matched, Visible]:
    """The test ratings beside the model's rows, and what predictions may be made from.

    Raises:
        SettingError: if n is below 1.
        DataError: for an empty test, or something that holds no ratings.
        LeakError: for test ratings that the model may see.
    """
    expect_whole("n", n, at_least=1, what="the length of the lists")
    visible = Visible.of(model, given)
    matched = Matched.of(model, test)
    if not len(matched.ratings):
        raise DataError("There is no test rating to score.")

    fitted = model.given_
    for what, part in (("the ratings the model was fitted on", fitted), ("given", visible.further)):
        n_shared = shared_by_id(matched.ratings, part) if part is not None else 0
        if n_shared:
            raise LeakError(
                f"test shares {n_shared} pairs with {what}; a model must not see the ratings it is "
                f"scored on: split again, or pass {words('given=', '--given')} without them."
            )

    return matched, visible


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
