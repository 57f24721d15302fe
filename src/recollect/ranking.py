"""Rank items for users: what `recommend` shows and what `evaluation.protocols` judges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError, unknown
from recollect.interest import interest_of
from recollect.kernels.first_n import first_n as largest_of_rows
from recollect.model import Model
from recollect.system.door import words
from recollect.unseen import BLOCK_CELLS, flags_of, share_of_users, users_known_to

NEVER = -np.inf  # the score of an item that must not be ranked
BOTH = "both"
RATING = "rating"
RANK_BY = (BOTH, RATING)
SHRINKAGE = 10  # ratings of the overall mean that are added to each item's own, for everyone's best


def first_n(n: int, scores: Float32[np.ndarray, "rows columns"]) -> Int64[np.ndarray, "rows n"]:
    """The columns of each row's n largest scores, largest first, ties by column.

    -1 stands where fewer than n may be ranked.
    """
    ranked = np.full((len(scores), n), -1, np.int64)
    n_largest = min(n, scores.shape[1])
    if not n_largest:
        return ranked

    ranked[:, :n_largest] = largest_of_rows(scores, n_largest)

    return ranked


@dataclass(frozen=True)
class Ranking:
    """What ranks every item for some users: `NEVER` where an item must not be ranked."""

    part: slice  # which of the users
    scores: Float32[np.ndarray, "some n_items"]
    # Raw predictions; the same array where items are ranked by them
    predicted: Float32[np.ndarray, "some n_items"]


def scores_of(
    model: Model,
    user: Int[np.ndarray, " users"],
    given: AnyRatings,
    *,
    seen: bool = False,
    new: Rows | None = None,
    rank_by: str | None = None,
) -> Iterator[tuple[slice, Float32[np.ndarray, "some n_items"]]]:
    """The scores by which every item is ranked for each user, a block of users at a time.

    Args:
        model: as `rankings`.
        user: as `rankings`.
        given: as `rankings`.
        seen: as `rankings`.
        new: as `rankings`.
        rank_by: as `rankings`.

    Returns: which users, and their scores.
    """
    asked = rankings(model, user, given, seen=seen, new=new, rank_by=rank_by)

    return ((ranking.part, ranking.scores) for ranking in asked)


def rankings(
    model: Model,
    user: Int[np.ndarray, " users"],
    given: AnyRatings,
    *,
    seen: bool = False,
    new: Rows | None = None,
    rank_by: str | None = None,
) -> Iterator[Ranking]:
    """What ranks every item for each user, a block of users at a time.

    Predictions are raw: clipped to the scale, many would tie at its top. Items that the model
    cannot predict are never ranked, nor those that a user has rated too low to be an event.

    Args:
        model: a fitted model.
        user: row numbers of users; one of whom nothing is known (-1, or without ratings in
            `given`) gets `everyones_best`.
        given: what predictions may be made from.
        seen: whether items are ranked that the user has in `given`.
        new: a row for each of the users: the ratings of those whom the vocabulary lacks (-1), empty
            for the others; None: there are none.
        rank_by: as `checked_rank_by`.

    Raises:
        SettingError: as `checked_rank_by`.
    """
    rank_by = checked_rank_by(model, rank_by)

    return _rankings(model, user, given, seen=seen, new=new, rank_by=rank_by)


def _rankings(
    model: Model,
    user: Int[np.ndarray, " users"],
    given: AnyRatings,
    *,
    seen: bool,
    new: Rows | None,
    rank_by: str,
) -> Iterator[Ranking]:
    """As `rankings`, with every argument."""
    best = everyones_best(model.given_)
    never = ~model.known_items()
    is_known = flags_of(users_known_to(model, given), user)
    step = max(1, BLOCK_CELLS // max(1, given.n_items))

    for first in range(0, len(user), step):
        part = slice(first, first + step)
        people = user[part].astype(np.int64)
        known = is_known[part]
        predicted = _predictions(model, people, given, known=known, best=best)
        rows = given.by_user.take(people)
        if new is not None:
            rows, folded = _fold_in_new(
                model, predicted, new.take(np.arange(len(user))[part]), rows
            )
            known = known | folded

        scores = predicted
        if rank_by == BOTH:
            scores = by_both(model, predicted, rows, known=known)

        scores[:, never] = NEVER
        if not seen:
            scores[rows.row, rows.column] = NEVER
            hide_disliked(given, people, scores)

        yield Ranking(part, scores, predicted)


def hide_disliked(
    given: AnyRatings,
    people: Int64[np.ndarray, " people"],
    scores: Float32[np.ndarray, "people n_items"],
) -> None:
    """Rank nowhere what people have rated too low to be an event (`Ratings.disliked`).

    Args:
        given: what predictions are made from.
        people: row numbers of users; -1 is an unknown one.
        scores: a row for each; changed in place.
    """
    if given.disliked is not None:
        disliked = given.disliked.take(people)
        scores[disliked.row, disliked.column] = NEVER


def checked_rank_by(model: Model, rank_by: str | None) -> str:
    """What a model's items are ranked by.

    Args:
        model: a fitted model.
        rank_by: "both", whether someone will choose an item and whether they will like it
            (`recollect.interest`); "rating", the predicted rating, or the scores of a model of
            events; None: "both" for models of ratings.

    Raises:
        SettingError: for anything else, or "both" of a model of events.
    """
    is_of_ratings = model.output == "ratings"
    if rank_by is None:
        return BOTH if is_of_ratings else RATING

    if rank_by not in RANK_BY:
        raise unknown("way to rank", str(rank_by), RANK_BY)

    if rank_by == BOTH and not is_of_ratings:
        how = words("leave rank_by out", "leave --rank-by out")
        raise SettingError(
            f"{type(model).__name__} learned from events, and its scores say already who will "
            f"choose what; {how}."
        )

    return rank_by


def by_both(
    model: Model,
    predicted: Float32[np.ndarray, "people n_items"],
    rows: Rows,
    *,
    known: Bool[np.ndarray, " people"],
) -> Float32[np.ndarray, "people n_items"]:
    """The product of interest and liking; for someone of whom nothing is known, `predicted`.

    Args:
        model: a fitted model of ratings.
        predicted: its raw predictions; of unknown people, `everyones_best`.
        rows: what each of them has rated.
        known: the people of whom something is known.
    """
    scores = predicted.copy()
    if known.any():
        scores[known] = interest_of(model).join(predicted[known], rows.take(np.flatnonzero(known)))

    return scores


def _predictions(
    model: Model,
    people: Int64[np.ndarray, " people"],
    given: AnyRatings,
    *,
    known: Bool[np.ndarray, " people"],
    best: Float32[np.ndarray, " n_items"],
) -> Float32[np.ndarray, "people n_items"]:
    """Raw predictions of every item; for people of whom nothing is known, what is best for all.

    Args:
        model: a fitted model.
        people: row numbers.
        given: what predictions may be made from.
        known: the people of whom something is known.
        best: the scores for the others.
    """
    if known.all():
        return model.scores(people, given)

    predicted = np.tile(best, (len(people), 1))
    if known.any():
        predicted[known] = model.scores(people[known], given)

    return predicted


def _fold_in_new(
    model: Model, predicted: Float32[np.ndarray, "users n_items"], new: Rows, rows: Rows
) -> tuple[Rows, Bool[np.ndarray, " users"]]:
    """Write the predictions of new users into their rows.

    Args:
        model: a fitted model.
        predicted: of a block of users.
        new: a row of ratings for each of them, empty but for new ones.
        rows: what the others have rated.

    Returns: what each of the users has rated, and who was folded in.
    """
    usable = new.only_columns(model.known_items())
    folded = usable.counts > 0
    is_new = np.flatnonzero(folded)
    if len(is_new):
        predicted[is_new] = model.fold_in(usable.take(is_new))

    row = np.concatenate([rows.row, new.row])
    column = np.concatenate([rows.column, new.column])
    rated, _ = Rows.group(row, column, n_rows=len(rows), n_columns=rows.n_columns)

    return rated, folded


def hits(good: Rows, shown: Int64[np.ndarray, "users n"]) -> Bool[np.ndarray, "users n"]:
    """Whether each item shown (-1: none) is among the user's good ones."""
    # A pair of a user and an item as one number; column 0 stands for -1.
    width = good.n_columns + 1
    person = np.arange(len(good))[:, None]
    shown_pair = person * width + shown + 1
    # Row numbers of 32 bits would overflow.
    good_row = good.row.astype(np.int64)
    good_pair = good_row * width + good.column + 1

    return np.isin(shown_pair, good_pair)


def mean_ndcg(model: Model, events: Ratings, given: AnyRatings, *, n: int) -> float:
    """NDCG@n of the events, the mean over the users who have any.

    As `evaluation.full_ranking`: every item that is not in `given` is ranked.

    Args:
        model: a model, fitted or being fitted.
        events: what is to be found.
        given: what predictions may be made from.
        n: length of the lists.
    """
    people = np.flatnonzero(events.count("user") > 0)
    good = events.by_user
    rank = np.arange(1, n + 1)
    discount = 1 / np.log2(rank + 1)
    gain = np.empty(len(people))

    for part, scores in scores_of(model, people, given):
        shown = first_n(n, scores)
        is_hit = hits(good.take(people[part]), shown)
        gain[part] = is_hit @ discount

    # The gain of a list whose places are all hits, by its length from 1 on.
    gain_of_hits = np.cumsum(discount)
    n_possible = np.minimum(events.count("user")[people], n)
    ideal = gain_of_hits[n_possible - 1]

    return float(np.mean(gain / ideal))


def everyones_best(given: AnyRatings) -> Float32[np.ndarray, " n_items"]:
    """The score by which items are ranked for a user of whom nothing is known.

    Its mean rating, shrunk towards the overall mean; of events, the share of users who have one.
    It is more cautious than what is predicted for such a user: to lead a list, an item needs more
    than a few high ratings. (On MovieLens 100K, latest tenth, NDCG@10 is 0.156; in the order of the
    predictions, 0.114.)
    """
    if given.implicit:
        return share_of_users(given)

    count = given.count("item")
    total = given.total("item") + SHRINKAGE * given.mean

    return (total / (count + SHRINKAGE)).astype(np.float32)
