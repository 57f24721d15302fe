"""Rank items for people. What `recommend` shows and what `evaluation.protocol` judges is ranked here, once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Int64

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.model import BLOCK_CELLS, Model

NEVER = -np.inf  # the score of what must not be ranked


def first_n(n: int, scores: Float32[np.ndarray, "rows columns"]) -> Int64[np.ndarray, "rows n"]:
    """The columns of each row's n largest scores, largest first, equal ones by column; -1 where fewer may be ranked."""
    place = np.full((len(scores), n), -1, np.int64)
    least = min(n, scores.shape[1])
    if not least:
        return place
    cut = torch.from_numpy(scores).topk(least, sorted=False).values.min(dim=1).values.numpy()
    cut = np.maximum(cut, np.finfo(np.float32).min)  # what must never be ranked lies below
    row, column = np.nonzero(scores >= cut[:, None])  # more than n of a row where they tie
    order = np.lexsort((column, -scores[row, column], row))
    each = np.bincount(row, minlength=len(scores))
    rank = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
    kept = rank < n
    place[row[kept], rank[kept]] = column[order][kept]
    return place


def scores_of(
    model: Model, user: Int[np.ndarray, " users"], given: AnyRatings, *, seen: bool = False
) -> Iterator[tuple[slice, Float32[np.ndarray, "some n_items"]]]:
    """What every item is ranked by for each user, a block of users at a time: which users, and their scores.

    These are raw predictions from `given`: kept within the scale, many would tie at its top. Someone of whom nothing is
    known (row number -1, or nobody in `given`) gets `everyones_best`. Items that were not there in fitting are never
    ranked, nor, unless `seen`, those that the user has in `given`.
    """
    best, unknown = everyones_best(model.given_), ~model.known_items()
    known = (user >= 0) & (given.count("user") > 0)[user]
    step = max(1, BLOCK_CELLS // max(1, given.n_items))
    for first in range(0, len(user), step):
        part = slice(first, first + step)
        who, can = user[part].astype(np.int64), known[part]
        if can.all():
            table = model.scores(who, given)
        else:
            table = np.tile(best, (len(who), 1))
            table[can] = model.scores(who[can], given)
        table[:, unknown] = NEVER
        if not seen:
            rows = given.by_user.take(who)
            table[rows.row, rows.column] = NEVER
        yield part, table


def hits(good: Rows, shown: Int64[np.ndarray, "users n"]) -> Bool[np.ndarray, "users n"]:
    """Whether each item shown (-1: none) is among the user's good ones."""
    width = good.n_columns + 1  # column 0 is for -1
    person = np.arange(len(good))[:, None]
    return np.isin(person * width + shown + 1, good.row * np.int64(width) + good.column + 1)


def mean_ndcg(model: Model, events: Ratings, given: AnyRatings, *, n: int) -> float:
    """NDCG@n of the events, the mean over the users who have any, as `evaluation.full_ranking` has it: every item that is not
    in `given` is ranked."""
    people, discount = np.flatnonzero(events.count("user") > 0), 1 / np.log2(np.arange(2, n + 2))
    good, gain = events.by_user, np.empty(len(people))
    for part, scores in scores_of(model, people, given):
        gain[part] = hits(good.take(people[part]), first_n(n, scores)) @ discount
    best = np.cumsum(discount)[np.minimum(events.count("user")[people], n) - 1]
    return float(np.mean(gain / best))


def everyones_best(given: AnyRatings) -> Float32[np.ndarray, " n_items"]:
    """What to expect of each item, nothing being known of the person: its mean, drawn to that of all by 10 ratings; of events
    the share of all users who have one."""
    if given.implicit:
        return (given.count("item") / max(1, np.count_nonzero(given.count("user")))).astype(
            np.float32
        )
    return ((given.total("item") + 10 * given.mean) / (given.count("item") + 10)).astype(np.float32)
