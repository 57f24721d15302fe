"""The ratings of a user that spoke for an item most: why it stands in their list."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Int

from recollect.arguments import expect, expect_whole
from recollect.data.from_objects import is_table
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import UNKNOWN, as_text
from recollect.errors import DataError, SettingError, warn
from recollect.interest import interest_of
from recollect.model import Model
from recollect.ranking import BOTH, checked_rank_by
from recollect.request import (
    a_few,
    given_of,
    ratings_of_new_user,
    row_of_new_user,
    with_earlier_ratings,
)
from recollect.unseen import BLOCK_CELLS, flags_of, usable_rows_of

MOST = 200  # ratings of a user that are left out in turn
COLUMNS = ("user_id", "item_id")


@dataclass(frozen=True, eq=False)
class Person:
    """A user whose list is explained.

    Args:
        user_id: of the user.
        row: their ratings, one row.
        items: row numbers of the items in the list.
    """

    user_id: str | None
    row: Rows
    items: Int[np.ndarray, " some"]


def explain_list(
    model: Model,
    lists: Any,
    *,
    n: int = 3,
    ratings: Mapping[Any, Any] | None = None,
    events: Iterable[Any] | None = None,
    rank_by: str | None = None,
) -> pl.DataFrame:
    """For each listed item the ratings of the user that spoke for it most, and how much.

    The number is by how much a rating raises what the item is ranked by: the logarithm of the score
    of both interest and rating, the predicted rating, or the score of a model of events, as
    `fold_in` gives them (`Model.influences`). Only what raises it is a reason. Of a user
    with more than 200 ratings a model without a closed form tries the 200 latest or, where no times
    are known, the 200 highest; a RecollectWarning says so.

    Args:
        model: a fitted model.
        lists: what `top_n` returns, or another frame with columns user_id and item_id.
        n: how many reasons an item, at most.
        ratings: as in the call of `top_n` that made the list, if it had any.
        events: the same.
        rank_by: the same.

    Returns: columns user_id, item_id, reason (1, 2, …), because_id, because_title (if titles are
        known), rating (or count) and influence; no row for an item that nothing speaks for, such as
        those of a user of whom nothing is known.

    Raises:
        SettingError: if n is below 1, lists is no frame, or ratings or events are not of one user.
        DataError: for a column that is missing, or an item the model does not know.
    """
    given = given_of(model)
    expect_whole("n", n, at_least=1, what="how many reasons are wanted")
    frame = _pairs(lists)
    frame = frame.with_columns(item=pl.Series(_item_rows(model, frame["item_id"])))
    parts = []
    rank_by = checked_rank_by(model, rank_by)
    n_limited = 0

    for people in _together(_people(model, frame, ratings, events), given.n_items):
        influences = _influences(model, people, rank_by)

        for person, influence in zip(people, influences, strict=True):
            n_limited += int(np.isnan(influence).any())
            parts.append(_reasons(model, person, influence, n))

    if n_limited:
        by = "latest" if isinstance(given, Ratings) and given.time is not None else "highest"
        warn(
            f"{n_limited:,} users have more than {MOST} ratings; reasons are looked for among the "
            f"{MOST} {by} of each."
        )

    return _with_titles(model, parts)


def _pairs(lists: Any) -> pl.DataFrame:
    """The user_id and item_id of lists, each pair once."""
    how = "the frame that top_n returns, or another with columns user_id and item_id"
    if not is_table(lists):
        expect("lists", lists, pl.DataFrame, how)

    frame = lists.collect() if isinstance(lists, pl.LazyFrame) else pl.DataFrame(lists)
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise DataError(
            f"lists has no column {missing[0]}, it has {', '.join(frame.columns)}; pass {how}."
        )

    columns = {name: as_text(frame[name]) for name in COLUMNS}

    return pl.DataFrame(columns).unique(maintain_order=True)


def _item_rows(model: Model, ids: pl.Series) -> Int[np.ndarray, " pairs"]:
    """The row numbers of listed items.

    Raises:
        DataError: for one that the model does not know.
    """
    row = model.given_.items.rows(ids)
    is_known = flags_of(model.known_items(), row)
    if not is_known.all():
        unknown = ids.filter(pl.Series(~is_known)).unique(maintain_order=True)
        raise DataError(
            f"The model knows no rating of item {a_few(unknown)}, and has no score to explain."
        )

    return row.astype(np.int64)


def _people(model: Model, frame: pl.DataFrame, ratings: Any, events: Any) -> Iterator[Person]:
    """Each user of whom something is known.

    Args:
        model: a fitted model.
        frame: the lists; columns user_id and item.
        ratings: of the one user of the lists, as in `top_n`; None: the model's.
        events: the same.

    Raises:
        SettingError: if there are ratings or events, and lists of several users.
    """
    given = model.given_
    newer = None
    if ratings is not None or events is not None:
        if frame["user_id"].n_unique() > 1:
            raise SettingError(
                "ratings and events are of one user, and the lists of "
                f"{frame['user_id'].n_unique():,}; explain the list of each."
            )

        newer = ratings_of_new_user(model, ratings, events)

    for (user_id,), part in frame.group_by("user_id", maintain_order=True):
        [user] = given.users.rows([user_id])
        if newer is not None:
            if user != UNKNOWN:
                newer = with_earlier_ratings(model, pl.Series([user_id]), newer)
            row = row_of_new_user(model, newer)
        else:
            row = usable_rows_of(model, given, np.array([user]))

        if row.n_cells:
            yield Person(user_id, row, part["item"].to_numpy())


def _together(people: Iterable[Person], n_items: int) -> Iterator[list[Person]]:
    """Neighbors with lists of the same length, as many as a block of scores has rows."""
    most = max(1, BLOCK_CELLS // n_items)

    for _, same in itertools.groupby(people, key=lambda person: len(person.items)):
        while some := list(itertools.islice(same, most)):
            yield some


def _influences(
    model: Model, people: list[Person], rank_by: str
) -> list[Float32[np.ndarray, "cells some"]]:
    """What each rating of each user says for each item of the user's list.

    Args:
        model: a fitted model.
        people: the users.
        rank_by: what the items are ranked by.
    """
    rows = Rows.stack([person.row for person in people], n_columns=people[0].row.n_columns)
    items = np.stack([person.items for person in people])
    only = np.concatenate([_tried(model.given_, person) for person in people])
    influence = model.influences(rows, items, only=only)
    if rank_by == BOTH:
        predicted = np.take_along_axis(model.fold_in(rows), items, axis=1)
        influence = interest_of(model).influences(rows, items, predicted, influence)

    return np.split(influence, rows.start[1:-1])


def _tried(given: AnyRatings, person: Person) -> Bool[np.ndarray, " cells"]:
    """The MOST latest ratings of a user, or the highest ones where no times are known."""
    row = person.row
    tried = np.ones(row.n_cells, bool)
    if row.n_cells <= MOST:
        return tried

    key = row.value.astype(np.float64)
    [user] = given.users.rows([person.user_id])
    if isinstance(given, Ratings) and given.time is not None and user != UNKNOWN:
        mine = given.user == user
        time = np.full(given.n_items, np.inf)  # what is not among them was given just now
        time[given.item[mine]] = given.time[mine]
        key = time[row.column]

    tried[np.argsort(-key, kind="stable")[MOST:]] = False

    return tried


def _reasons(
    model: Model, person: Person, influence: Float32[np.ndarray, "cells some"], n: int
) -> pl.DataFrame:
    """The largest influences on each item of one user's list.

    Args:
        model: a fitted model.
        person: the user.
        influence: of each rating on each item; NaN where it was not tried.
        n: how many reasons an item.
    """
    row = person.row
    items = person.items
    # An item that the user has rated is no reason for itself.
    speaks = (np.nan_to_num(influence) > 0) & (row.column[:, None] != items)
    usable = np.where(speaks, influence, -np.inf)
    order = np.argsort(-usable, axis=0, kind="stable")[:n]
    # Listed item by listed item, and the strongest reason first.
    place, reason = np.nonzero(np.take_along_axis(speaks, order, axis=0).T)
    cell = order[reason, place]
    vocab = model.given_.items
    value = "count" if model.given_.implicit else "rating"

    return pl.DataFrame(
        {
            "user_id": pl.Series([person.user_id] * len(cell), dtype=pl.String),
            "item_id": vocab.at(items[place]),
            "reason": (reason + 1).astype(np.int32),
            "because_id": vocab.at(row.column[cell]),
            value: row.value[cell],
            "influence": influence[cell, place],
        }
    )


def _with_titles(model: Model, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """All parts as one frame, with the titles of the reasons if the model knows any."""
    nothing = np.zeros((0, 0), np.float32)
    no_row = Rows(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), 0)
    empty = _reasons(model, Person(None, no_row, np.zeros(0, np.int64)), nothing, 1)
    frame = pl.concat([empty, *parts])
    catalogue = model.given_.catalogue
    if catalogue is None or "title" not in catalogue.columns:
        return frame

    titles = pl.Series("because_title", model.given_.titles(frame["because_id"]), dtype=pl.String)

    return frame.insert_column(frame.columns.index("because_id") + 1, titles)
