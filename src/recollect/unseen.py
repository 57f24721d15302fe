"""Users and items without training ratings: new users are folded in, cold pairs get a default.

A pair is cold if nothing is known of its user, or nothing of its item. What a model then predicts
is its setting `cold`:

    "bias"     the mean, plus the item's offset for an unknown user, or the user's for an unknown
               item, as the bias model estimates them; of two unknowns the mean
    "mean"     the mean of the training ratings
    "middle"   the middle of the scale
    a number   that number

Among scores, which have no unit, "bias" is the share of the users who have the item, by which a
list for an unknown user is ranked; everything else is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError

COLD = ("bias", "mean", "middle")
BLOCK_CELLS = 8_000_000  # numbers in a dense block of scores that is held at once: 32 MB


def check_cold(cold: str | float, ratings: AnyRatings) -> None:
    """Refuse a default prediction that lies outside the scale of the ratings.

    Args:
        cold: the setting.
        ratings: to learn from.

    Raises:
        SettingError: if it is such a number.
    """
    low, high = ratings.scale
    if isinstance(cold, str) or ratings.implicit or low <= cold <= high:
        return

    raise SettingError(
        f"cold={cold:g} is the prediction for unknown users and items, and lies outside the scale "
        f"of these ratings, {low:g} to {high:g}; choose a rating, or one of {', '.join(COLD)}."
    )


def constant_default(cold: str | float, ratings: AnyRatings) -> float:
    """The default prediction where neither the user nor the item is known.

    Args:
        cold: the setting.
        ratings: the training ratings.
    """
    if isinstance(cold, str):
        return sum(ratings.scale) / 2 if cold == "middle" else ratings.mean

    return float(cold)


def share_of_users(events: AnyRatings) -> Float32[np.ndarray, " n_items"]:
    """The share of the users with any event who have one with each item."""
    n_active = max(1, np.count_nonzero(events.count("user")))
    return (events.count("item") / n_active).astype(np.float32)


def default_predictions(
    model: Any, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"], given: AnyRatings
) -> Float32[np.ndarray, " pairs"]:
    """What a model predicts for cold pairs, not clipped.

    Args:
        model: a fitted Model.
        user: row numbers of users; -1 is an unknown one.
        item: row numbers of items; -1 is an unknown one.
        given: the ratings a prediction may be made from.
    """
    default = np.full(len(user), model.cold_value, np.float32)
    if model.cold != "bias" or not len(user):
        return default

    if model.output == "ratings":
        return default_ratings(model, user, item, given).astype(np.float32)

    is_stranger = ~flags_of(users_known_to(model, given), user)
    share = share_of_users(model.given_)[item]

    return np.where(is_stranger & (item >= 0), share, default)


def default_ratings(
    model: Any, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"], given: AnyRatings
) -> Float64[np.ndarray, " pairs"]:
    """The mean, plus the offset of the user and that of the item as far as they are known.

    Args:
        model: a fitted Model.
        user: row numbers of users; -1 is an unknown one.
        item: row numbers of items; -1 is an unknown one.
        given: the ratings a prediction may be made from. A user without any is unknown; one with
            ratings here and none in training gets an offset from these.
    """
    offsets = model.cold_offsets()
    of_items = np.where(item >= 0, offsets.b_item[item], 0.0)
    is_given = flags_of(users_known_to(model, given), user)
    of_users = np.where(is_given, offsets.b_user[user], 0.0)

    is_new = is_given & ~flags_of(model.given_.count("user") > 0, user)
    if is_new.any():
        people, person = np.unique(user[is_new], return_inverse=True)
        rows = usable_rows_of(model, given, people)
        of_users[is_new] = offsets.of_new_users(rows)[person]

    return offsets.mu + of_users + of_items


def users_known_to(model: Any, given: AnyRatings) -> Bool[np.ndarray, " n_users"]:
    """The users who have ratings that a prediction can be made from: of items the model knows.

    Args:
        model: a fitted Model.
        given: the ratings a prediction may be made from.
    """
    if given is model.given_ or not isinstance(given, Ratings):
        return given.count("user") > 0

    usable = model.known_items()[given.item]
    return np.bincount(given.user[usable], minlength=given.n_users) > 0


def usable_rows_of(model: Any, given: AnyRatings, people: Int[np.ndarray, " people"]) -> Rows:
    """The given ratings of some users, without items that the model does not know.

    Args:
        model: a fitted Model.
        given: the ratings a prediction may be made from.
        people: row numbers of users.
    """
    return given.by_user.take(people).only_columns(model.known_items())


def default_of_new_users(model: Any, rows: Rows) -> Float32[np.ndarray, " people"]:
    """What a model predicts of an unknown item for new users, not clipped.

    Args:
        model: a fitted Model.
        rows: a row of item ratings for each of them.
    """
    default = np.full(len(rows), model.cold_value, np.float32)
    if model.cold != "bias" or model.output == "scores":
        return default

    offsets = model.cold_offsets()
    predicted = offsets.mu + offsets.of_new_users(rows)

    return predicted.astype(np.float32)


def flags_of(flags: Bool[np.ndarray, " rows"], row: np.ndarray) -> Bool[np.ndarray, " pairs"]:
    """The flag of each row number; False for -1."""
    row = np.asarray(row)
    # Row -1 reads the last flag, which is not its own.
    is_known = row >= 0
    return np.where(is_known, flags[row], False)


def fold_in_pairs(
    model: Any,
    rows: Rows,
    person: Int[np.ndarray, " pairs"],
    item: Int[np.ndarray, " pairs"],
) -> Float32[np.ndarray, " pairs"]:
    """Raw predictions for pairs of new users, each of whom is folded in once.

    Args:
        model: a fitted Model.
        rows: a row of item ratings for each new user.
        person: the row of each pair's user.
        item: row numbers of items.
    """
    out = np.empty(len(person), np.float32)
    step = max(1, BLOCK_CELLS // max(1, rows.n_columns))

    for first in range(0, len(rows), step):
        block = np.arange(first, min(first + step, len(rows)))
        table = model.fold_in(rows.take(block))
        in_block = (person >= first) & (person < first + step)
        row_in_table = person[in_block] - first
        out[in_block] = table[row_in_table, item[in_block]]

    return out


def predict_new_users(
    model: Any,
    user: Int[np.ndarray, " pairs"],
    item: Int[np.ndarray, " pairs"],
    given: AnyRatings,
) -> Float32[np.ndarray, " pairs"]:
    """Raw predictions for users who were not in the training ratings.

    Args:
        model: a fitted Model.
        user: row numbers of users; one may stand several times.
        item: row numbers of items.
        given: where the users' ratings are.
    """
    people, person = np.unique(user, return_inverse=True)
    rows = usable_rows_of(model, given, people)
    return fold_in_pairs(model, rows, person, item)


def predict_people(
    model: Any,
    rows: Rows,
    person: Int[np.ndarray, " pairs"],
    item: Int[np.ndarray, " pairs"],
) -> tuple[Float32[np.ndarray, " pairs"], Bool[np.ndarray, " pairs"]]:
    """Predictions for people whom the model's vocabulary lacks, and which pairs are cold.

    Args:
        model: a fitted Model.
        rows: their ratings of the model's items.
        person: the row of each pair's user.
        item: row numbers of items; -1 is an unknown one.
    """
    rows = rows.only_columns(model.known_items())
    has_ratings = rows.counts[person] > 0
    cold = ~(has_ratings & flags_of(model.known_items(), item))
    out = np.empty(len(person), np.float32)

    # Someone without usable ratings is a stranger, and an item may be known all the same.
    nobody = np.full(len(item), -1)
    is_stranger = cold & ~has_ratings
    out[is_stranger] = model.predict_cold(nobody[is_stranger], item[is_stranger])
    only_item_is_unknown = cold & has_ratings
    if only_item_is_unknown.any():
        of_people = default_of_new_users(model, rows)
        out[only_item_is_unknown] = of_people[person[only_item_is_unknown]]

    if not cold.all():
        out[~cold] = fold_in_pairs(model, rows, person[~cold], item[~cold])

    return model.within_scale(out), cold
