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

from recollect.data.ratings import AnyRatings
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.training.offsets import RidgeOffsets

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

    fitted = model.given_
    if model.output == "ratings":
        offsets = model.cold_offsets()
        predicted = default_ratings(offsets, user, item, fitted=fitted, given=given)
        return predicted.astype(np.float32)

    is_stranger = ~flags_of(given.count("user") > 0, user)
    share = share_of_users(fitted)[item]

    return np.where(is_stranger & (item >= 0), share, default)


def default_ratings(
    offsets: RidgeOffsets,
    user: Int[np.ndarray, " pairs"],
    item: Int[np.ndarray, " pairs"],
    *,
    fitted: AnyRatings,
    given: AnyRatings,
) -> Float64[np.ndarray, " pairs"]:
    """The mean, plus the offset of the user and that of the item as far as they are known.

    Args:
        offsets: estimated from the training ratings.
        user: row numbers of users; -1 is an unknown one.
        item: row numbers of items; -1 is an unknown one.
        fitted: the training ratings.
        given: the ratings a prediction may be made from. A user without any is unknown; one with
            ratings here and none in `fitted` gets an offset from these.
    """
    of_items = np.where(item >= 0, offsets.b_item[item], 0.0)
    is_given = flags_of(given.count("user") > 0, user)
    of_users = np.where(is_given, offsets.b_user[user], 0.0)

    is_new = is_given & ~flags_of(fitted.count("user") > 0, user)
    if is_new.any():
        people, person = np.unique(user[is_new], return_inverse=True)
        b_new = offsets.of_new_users(given.by_user.take(people))
        of_users[is_new] = b_new[person]

    return offsets.mu + of_users + of_items


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
    rows = given.by_user.take(people)
    return fold_in_pairs(model, rows, person, item)
