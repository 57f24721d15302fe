"""What a caller gives: pairs, lists of ids, a new user's ratings; checked, as row numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Int64
from scipy.sparse import issparse

from recollect.arguments import expect
from recollect.data.by_kind import is_by_kind, item_ids_by_kind
from recollect.data.from_objects import columns_of, ids_in, is_table
from recollect.data.parsing import times
from recollect.data.ratings import AnyRatings
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import Vocab, as_text
from recollect.errors import DataError, SettingError, warn
from recollect.model import Model
from recollect.system.door import words
from recollect.unseen import flags_of


def given_of(model: Any) -> AnyRatings:
    """The ratings that a fitted model was fitted on.

    Raises:
        SettingError: for something that is no model.
        NotFittedError: if it is not fitted.
    """
    how = "a fitted model: recollect.make(name).fit(train), or recollect.load_model(folder)"
    expect("model", model, Model, how)

    return model.given()


def a_few(ids: pl.Series) -> str:
    """The first ids of a series, for a message."""
    quoted = [repr(id_) for id_ in ids.head(5)]
    listed = ", ".join(quoted)
    if len(ids) > 5:
        return f"{listed} …"

    return listed


def pairs_frame(pairs: Any) -> pl.DataFrame:
    """A frame with user_id and item_id as text, and timestamp where there is one.

    Args:
        pairs: a frame (pandas, Polars, DuckDB, Arrow), or an iterable of (user_id, item_id).

    Raises:
        SettingError: if it is neither.
        DataError: if the columns are missing, or something is no pair.
    """
    if not is_table(pairs):
        return _frame_of_tuples(_list_of_pairs(pairs))

    names = ("user_id", "item_id", "timestamp")
    columns = columns_of(pairs, names, ids=("user_id", "item_id"))
    missing = {"user_id", "item_id"} - set(columns)
    if missing:
        found = pairs.collect_schema().names() if isinstance(pairs, pl.LazyFrame) else pairs.columns
        raise DataError(
            f"Pairs need the columns user_id and item_id, found {', '.join(map(str, found))}; "
            "rename them."
        )

    return pl.DataFrame(columns)


def _list_of_pairs(pairs: Any) -> list[Any]:
    """The members of an iterable of pairs.

    Raises:
        SettingError: for something else, such as a mapping or ratings.
    """
    no_pairs = (str, bytes, Mapping, Vocab, AnyRatings, Model, pl.Series)
    kind = type(pairs).__name__
    is_column = hasattr(pairs, "to_frame") or issparse(pairs)  # of pandas
    if not isinstance(pairs, Iterable) or isinstance(pairs, no_pairs) or is_column:
        hint = "pass ratings.frame()" if isinstance(pairs, AnyRatings) else "pass one of these"
        raise SettingError(
            "pairs is a list of (user_id, item_id), or a frame with these columns; found a "
            f"{kind}: {hint}."
        )

    return list(pairs)


def _frame_of_tuples(pairs: list[Any]) -> pl.DataFrame:
    for pair in pairs:
        is_sequence = isinstance(pair, Sequence | np.ndarray) and not isinstance(pair, str)
        if not is_sequence or len(pair) != 2:
            raise DataError(f"Each pair is (user_id, item_id); found {pair!r}.")

    users = as_text([user_id for user_id, _ in pairs])
    items = as_text([item_id for _, item_id in pairs])

    return pl.DataFrame({"user_id": users, "item_id": items})


def times_of(column: pl.Series) -> Int64[np.ndarray, " pairs"]:
    """Timestamps as whole seconds since 1970.

    Raises:
        DataError: naming the first timestamp that cannot be read.
    """
    read = times.Times()

    try:
        time = read.add(column, lambda row: f"Pair {row + 1}")
        read.check()
    except DataError as problem:
        raise DataError(f"{problem}. Leave the column out if times are not known.") from problem

    return read.in_units(time)


def excluded_items(model: Model, items: Iterable[object] | None) -> Bool[np.ndarray, " n_items"]:
    """Which items are not among the candidates; without candidates, none.

    Warns of candidates that the model does not know.

    Raises:
        DataError: if the model knows none of the candidates.
    """
    vocab = model.given_.items
    if items is None:
        return np.zeros(len(vocab), bool)

    ids = ids_in("items", items)
    row = vocab.rows(ids)
    is_known = flags_of(model.known_items(), row)
    if not is_known.any():
        raise DataError(
            f"None of the {len(row)} candidate items has ratings in this model; check their ids, "
            f"such as {a_few(vocab.ids.head(3))}."
        )

    if not is_known.all():
        left_out = ids.filter(pl.Series(~is_known))
        warn(
            f"{len(left_out):,} of {len(ids):,} candidate items have no ratings in this model and "
            f"are never recommended: {a_few(left_out)}."
        )

    excluded = np.ones(len(vocab), bool)
    excluded[row[is_known]] = False

    return excluded


def ratings_of_new_user(model: Model, ratings: Any, events: Any) -> dict[str, float]:
    """What a new user gives: a rating, or a count of events, per item_id.

    Args:
        model: a fitted model.
        ratings: {item_id: rating}.
        events: a list of item ids, {item_id: count}, or lists of ids by kind.

    Raises:
        SettingError: if both or neither are given, ratings to a model of events or the reverse, or
            something that is no mapping (or list).
        DataError: for a rating outside the scale, a count that is not above 0, or an item twice.
    """
    if (ratings is None) == (events is None):
        raise SettingError("Someone new is given by ratings or by events, one of the two.")

    name = type(model).__name__
    is_of_events = model.given_.implicit
    if events is not None and not is_of_events:
        how = words("ratings={item_id: rating}", "--ratings FILE")
        raise SettingError(
            f"This {name} learned from ratings on a scale, and events have none; give ratings: "
            f"{how}."
        )

    if ratings is not None and is_of_events:
        how = words("events=[item_id, …] or {item_id: count}", "--event ID or --events FILE")
        raise SettingError(
            f"This {name} learned from events, and to it a low rating would count as having chosen "
            f"the item; give events: {how}."
        )

    if is_by_kind(events):
        events = item_ids_by_kind(model.given_.kinds, events)

    if events is not None and not isinstance(events, Mapping):
        counts = ids_in("events", events).value_counts(sort=False)
        numbers = counts["count"].cast(pl.Float64).to_list()
        return dict(zip(counts["id"].to_list(), numbers, strict=True))

    given = _mapping("ratings", ratings) if events is None else events
    ids = as_text(list(given))
    if ids.null_count():
        raise DataError("An item id is missing (None or NaN); every rating is of an item.")

    if ids.is_duplicated().any():
        twice = ids.filter(ids.is_duplicated()).unique()
        raise DataError(
            f"Item {a_few(twice)} is rated twice, as text and as a number; rate it once."
        )

    values = [_checked_value(model, item_id, value) for item_id, value in given.items()]

    return dict(zip(ids.to_list(), values, strict=True))


def _mapping(name: str, given: Any) -> Mapping[Any, Any]:
    """A mapping of item ids to values, unchanged.

    Raises:
        SettingError: for anything else, saying how to make one.
    """
    if isinstance(given, Mapping):
        return given

    hint = "pass a dict"
    if is_table(given):
        hint = f"pass dict(zip({name}['item_id'], {name}['rating']))"
    elif type(given).__name__ == "Series" and hasattr(given, "to_dict"):
        hint = f"pass {name}.to_dict()"
    elif isinstance(given, list | tuple):
        hint = f"pass dict({name}) if it holds pairs of an item id and a rating"

    raise SettingError(f"{name} is {{item_id: rating}}; found a {type(given).__name__}: {hint}.")


def _checked_value(model: Model, item_id: object, value: Any) -> float:
    """A rating or a count as a number; numbers written as text are numbers, too.

    Args:
        model: a fitted model.
        item_id: whose value it is.
        value: of any type.

    Raises:
        DataError: if it is no number, or outside the scale.
    """
    number = _number(value)
    if model.given_.implicit:
        if not 0 < number < np.inf:
            raise DataError(
                f"The count of item {str(item_id)!r} is {value!r}; expected a number above 0."
            )
        return number

    low, high = model.given_.scale
    if not low <= number <= high:  # NaN is refused, too
        raise DataError(
            f"The rating of item {str(item_id)!r} is {value!r}; this model's scale is {low:g} to "
            f"{high:g}."
        )

    return number


def _number(value: Any) -> float:
    """A number from a number or a text; NaN if it is none."""
    if isinstance(value, bool | np.bool_):
        return float("nan")

    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def with_earlier_ratings(model: Model, ids: pl.Series, newer: dict[str, float]) -> dict[str, float]:
    """A known user's ratings with newer ones: ratings replace earlier ones, events add up.

    Args:
        model: a fitted model.
        ids: the user_id of one user.
        newer: a rating or count per item_id.

    Raises:
        SettingError: for more or fewer than one user.
    """
    if len(ids) != 1:
        raise SettingError(
            f"Newer ratings or events are of one person; found {len(ids)} user_ids: ask for each "
            "of them."
        )

    given = model.given_
    row = given.by_user.take(given.users.rows(ids))
    item_ids = given.items.at(row.column).to_list()
    values = row.value.tolist()
    all_ratings = dict(zip(item_ids, values, strict=True))

    for item_id, value in newer.items():
        earlier = all_ratings.get(item_id, 0.0)
        all_ratings[item_id] = earlier + value if given.implicit else value

    return all_ratings


def row_of_new_user(model: Model, ratings: dict[str, float]) -> Rows:
    """A new user's ratings as one sparse row.

    Items that the model cannot predict are left out, with a warning.
    """
    vocab = model.given_.items
    column = vocab.rows(list(ratings))
    value = np.array(list(ratings.values()), np.float32)
    known = flags_of(model.known_items(), column)
    if not known.all():
        _warn_of_unknown(model, pl.Series(list(ratings)).filter(pl.Series(~known)), len(known))

    user = np.zeros(int(known.sum()), np.int64)
    row, _ = Rows.group(user, column[known], value[known], n_rows=1, n_columns=len(vocab))

    return row


def _warn_of_unknown(model: Model, left_out: pl.Series, n_given: int) -> None:
    """Warn of a new user's items that are left out.

    Args:
        model: a fitted model.
        left_out: their ids.
        n_given: how many items the user gave.
    """
    what = "chosen" if model.given_.implicit else "rated"
    if len(left_out) < n_given:
        warn(
            f"{len(left_out):,} of {n_given:,} {what} items are unknown to this model and left "
            f"out: {a_few(left_out)}."
        )
        return

    warn(
        f"None of the {what} items is known to this model ({a_few(left_out)}); what is best for "
        f"everyone follows. Its ids are such as {a_few(model.given_.items.ids.head(3))}."
    )
