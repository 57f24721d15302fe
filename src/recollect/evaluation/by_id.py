"""Test and given ratings that have vocabularies of their own, such as those of another file.

Users and items are matched with the model's by id. Whether an id stands in the model's vocabulary
makes no difference to any figure: what counts is whether the model has ratings of it, or is given
some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32, Int64

from recollect.data.from_objects import from_frame, is_table
from recollect.data.on_disk.stored_ratings import StoredRatings
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.read import read
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError
from recollect.model import Model
from recollect.request import given_of
from recollect.unseen import flags_of, predict_people, users_known_to


def ratings_for(model: Model, data: Any, *, what: str) -> Ratings:
    """Ratings, or those in a table or a file, read as what the model has learned from.

    Args:
        model: a fitted model.
        data: Ratings; a data frame; or the path of a file. The two are read with the scale of the
            model's ratings, or as events.
        what: the argument's name, for the message.

    Raises:
        DataError: for anything else, or if the table or the file cannot be read.
    """
    if isinstance(data, Ratings):
        return data

    like = given_of(model)
    how: dict[str, Any] = {"implicit": True} if like.implicit else {"scale": like.scale}
    if isinstance(data, str | Path):
        return read(data, **how)

    if is_table(data):
        return from_frame(data, **how)

    if isinstance(data, StoredRatings):
        raise DataError(
            f"{what} is {data!r}, which is on disk; pass ratings in memory, such as "
            "recollect.read(stored.folder / 'test.parquet')."
        )

    raise DataError(
        f"{what} is a {type(data).__name__}; pass Ratings (recollect.read, recollect.from_tuples), "
        "a data frame with the columns user_id, item_id and rating, or the path of a file."
    )


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
        catalogue=None,
        text=None,
        disliked=None,
    )

    return matched, is_known


def shared_by_id(ratings: Ratings, other: AnyRatings) -> int:
    """How many pairs of a user and an item both contain, whatever their vocabularies."""
    if ratings.users != other.users or ratings.items != other.items:
        ratings, _ = aligned(ratings, other)

    return other.shared(ratings)


def count_without_ratings(test: Ratings, fitted: AnyRatings, side: Side) -> int:
    """How many users (or items) with test ratings have none in the fit.

    Args:
        test: with vocabularies of their own.
        fitted: what the model was fitted on.
        side: "user" or "item".
    """
    own, known = (test.users, fitted.users) if side == "user" else (test.items, fitted.items)
    tested = own.at(np.flatnonzero(test.count(side)))
    has_ratings = flags_of(fitted.count(side) > 0, known.rows(tested))

    return int((~has_ratings).sum())


@dataclass(frozen=True)
class Visible:
    """What predictions may be made from.

    Args:
        known: ratings in the model's vocabularies.
        further: the ratings that were given, in vocabularies of their own; None: those of the fit.
        people: the users among them whom the model's vocabulary lacks.
        rows: a row of the model's items for each of these.
    """

    known: AnyRatings
    further: Ratings | None
    people: Vocab
    rows: Rows

    @classmethod
    def of(cls, model: Model, given: Any = None) -> Visible:
        """What predictions may be made from, in place of what the model was fitted on.

        Args:
            model: a fitted model.
            given: ratings, a table or a file; None: what the model was fitted on.
        """
        fitted = given_of(model)
        if isinstance(given, Visible):
            return given

        if given is None or given is fitted:
            return cls(fitted, None, Vocab(), Rows.stack([], n_columns=fitted.n_items))

        if isinstance(given, StoredRatings):
            model.given(given)  # refuses other ratings on disk

        ratings = ratings_for(model, given, what="given")
        if ratings.users == fitted.users and ratings.items == fitted.items:
            return cls(ratings, ratings, Vocab(), Rows.stack([], n_columns=fitted.n_items))

        known, _ = aligned(ratings, fitted)

        return cls(known, ratings, *_people_outside(ratings, fitted))

    def rows_of(self, user_ids: Any) -> Rows:
        """A row of the model's items for each user outside its vocabulary; empty for others."""
        return self.rows.take(self.people.rows(user_ids))

    def rows_for(self, user_row: Int[np.ndarray, " some"], user_ids: Any) -> Rows:
        """What is known of each user, in the model's numbers of items; its values mean nothing.

        Args:
            user_row: the model's row number of each user; -1: it does not know the id.
            user_ids: their ids.
        """
        known = self.known.by_user.take(user_row)
        if not len(self.people):
            return known

        # Nobody has ratings in both: the others are of users outside the vocabulary.
        new = self.rows_of(user_ids)
        row = np.concatenate([known.row, new.row])
        column = np.concatenate([known.column, new.column])
        rows, _ = Rows.group(row, column, n_rows=len(known), n_columns=known.n_columns)

        return rows


def _people_outside(ratings: Ratings, fitted: AnyRatings) -> tuple[Vocab, Rows]:
    """The users whom the fitted vocabulary lacks, and their ratings of its items."""
    is_outside = fitted.users.rows(ratings.users.ids) == UNKNOWN
    own_row = np.flatnonzero(is_outside)
    people = Vocab(ratings.users.at(own_row))
    person = np.full(ratings.n_users, UNKNOWN)
    person[own_row] = np.arange(len(own_row))

    row = person[ratings.user]
    column = fitted.items.rows(ratings.items.ids)[ratings.item]
    usable = (row >= 0) & (column >= 0)
    rows, _ = Rows.group(
        row[usable],
        column[usable],
        ratings.value[usable],
        n_rows=len(people),
        n_columns=fitted.n_items,
    )

    return people, rows


def with_given(model: Model, data: Any) -> Visible:
    """What the model was fitted on together with further ratings, for predictions from both.

    They may be of people whom training never saw. Of a pair that stands in both, the further
    rating counts. Items that the model does not know are left out.

    Args:
        model: a fitted model.
        data: ratings, a table or a file.

    Raises:
        DataError: if the model's ratings are on disk and there are further ones of its own users.
    """
    fitted = given_of(model)
    ratings = ratings_for(model, data, what="given")
    part, _ = aligned(ratings, fitted)
    known = fitted
    if len(part):
        known = _without(fitted, part).union(part)

    return Visible(known, ratings, *_people_outside(ratings, fitted))


def _without(ratings: AnyRatings, part: Ratings) -> AnyRatings:
    """The ratings whose pair does not stand in a part of them."""
    if not isinstance(ratings, Ratings) or not ratings.shared(part):
        return ratings

    return ratings.where(~np.isin(ratings.pair, part.pair))


@dataclass(frozen=True)
class Matched:
    """Test ratings beside the model's row numbers.

    Args:
        ratings: the test ratings, in vocabularies of their own.
        user_row: the model's row number of each of their users; -1: it does not know the id.
        item_row: the same of each of their items.
        n_items: how many items the model's vocabulary has.
    """

    ratings: Ratings
    user_row: Int32[np.ndarray, " own_users"]
    item_row: Int32[np.ndarray, " own_items"]
    n_items: int

    @classmethod
    def of(cls, model: Model, test: Any) -> Matched:
        """Match test ratings (also of a table or a file) with a fitted model by id."""
        fitted = given_of(model)
        ratings = ratings_for(model, test, what="test")
        return cls(
            ratings,
            _rows_of(fitted.users, ratings.users),
            _rows_of(fitted.items, ratings.items),
            fitted.n_items,
        )

    @property
    def user(self) -> Int32[np.ndarray, " ratings"]:
        """The model's row number of each rating's user, or -1."""
        return self.user_row[self.ratings.user]

    @property
    def item(self) -> Int32[np.ndarray, " ratings"]:
        """The model's row number of each rating's item, or -1."""
        return self.item_row[self.ratings.item]

    @property
    def item_number(self) -> Int64[np.ndarray, " own_items"]:
        """A number for each item: the model's row number, and those after it for other items."""
        is_outside = self.item_row == UNKNOWN
        after = self.n_items + np.cumsum(is_outside) - 1
        return np.where(is_outside, after, self.item_row)

    @property
    def n_numbers(self) -> int:
        """How many numbers items can have."""
        return self.n_items + int((self.item_row == UNKNOWN).sum())

    def predict(
        self, model: Model, visible: Visible
    ) -> tuple[Float32[np.ndarray, " ratings"], Bool[np.ndarray, " ratings"]]:
        """The prediction of each rating, for its own time; and which are cold.

        Args:
            model: the model it was matched with.
            visible: what predictions may be made from.
        """
        user, item = self.user, self.item
        known = visible.known
        predicted = model.predict(user, item, given=known, times=self.ratings.time)
        cold = model.is_cold(user, item, given=known)
        if not len(visible.people):
            return predicted, cold

        person = visible.people.rows(self.ratings.users.ids)[self.ratings.user]
        is_new = person >= 0
        predicted[is_new], cold[is_new] = predict_people(
            model, visible.rows, person[is_new], item[is_new]
        )

        return predicted, cold

    def is_stranger(
        self, model: Model, visible: Visible, people: Sequence[int] | np.ndarray
    ) -> Bool[np.ndarray, " people"]:
        """Of which of some users nothing is known.

        Args:
            model: the model it was matched with.
            visible: what predictions may be made from.
            people: rows of users of the test ratings.
        """
        is_known = flags_of(users_known_to(model, visible.known), self.user_row[people])
        rows = visible.rows_of(self.ratings.users.at(people))
        return ~(is_known | (rows.only_columns(model.known_items()).counts > 0))


def _rows_of(known: Vocab, own: Vocab) -> Int32[np.ndarray, " own"]:
    if own == known:
        return np.arange(len(known), dtype=np.int32)

    return known.rows(own.ids)
