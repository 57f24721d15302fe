"""What a caller gives: pairs, lists of ids, a new user's ratings; checked, as row numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Int64

from recollect.data.parsing import times
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import UNKNOWN, as_text
from recollect.errors import DataError, SettingError
from recollect.model import Model


def list_of_ids(name: str, ids: Any) -> Any:
    """A list of ids, unchanged; a text is refused, for its letters would pass for ids.

    Raises:
        SettingError: naming the argument.
    """
    is_text = isinstance(ids, str | bytes)
    if is_text or not isinstance(ids, Iterable):
        raise SettingError(f"{name} is a list of ids, found {ids!r}; write [{ids!r}].")

    return ids


def check_count(name: str, value: Any, what: str) -> None:
    """Refuse what is no whole number of 1 or more.

    Args:
        name: of the argument.
        value: of the argument.
        what: it is, for the message.

    Raises:
        SettingError: naming the argument.
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < 1:
        raise SettingError(f"{name} is {what}, a whole number of 1 or more; found {value!r}.")


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
        DataError: if the columns are missing, or something is no pair.
    """
    if isinstance(pairs, pl.LazyFrame):
        pairs = pairs.collect()

    is_pandas = type(pairs).__module__.partition(".")[0] == "pandas"
    if not is_pandas and not hasattr(pairs, "__arrow_c_stream__"):
        return _frame_of_tuples(list(list_of_ids("pairs", pairs)))

    frame = pairs if is_pandas else pl.DataFrame(pairs)
    missing = {"user_id", "item_id"} - set(frame.columns)
    if missing:
        raise DataError(
            "Pairs need the columns user_id and item_id, found "
            f"{', '.join(map(str, frame.columns))}; rename them."
        )

    columns = {}

    for name in ("user_id", "item_id"):
        columns[name] = as_text(_column(frame[name]))

    ids = pl.DataFrame(columns)
    if "timestamp" not in frame.columns:
        return ids

    return ids.with_columns(pl.Series("timestamp", _column(frame["timestamp"])))


def _frame_of_tuples(pairs: list[Any]) -> pl.DataFrame:
    for pair in pairs:
        is_sequence = isinstance(pair, Sequence | np.ndarray) and not isinstance(pair, str)
        if not is_sequence or len(pair) != 2:
            raise DataError(f"Each pair is (user_id, item_id); found {pair!r}.")

    users = as_text([user_id for user_id, _ in pairs])
    items = as_text([item_id for _, item_id in pairs])

    return pl.DataFrame({"user_id": users, "item_id": items})


def _column(column: Any) -> Any:
    """A column of a Polars or pandas frame as `as_text` takes it.

    A pandas column may hold 1 and "a" at once.
    """
    if isinstance(column, pl.Series):
        return column

    if column.dtype == object:
        return column.to_numpy()

    return pl.from_pandas(column)


def times_of(column: pl.Series) -> Int64[np.ndarray, " pairs"]:
    """Timestamps as whole seconds since 1970.

    Raises:
        DataError: naming the first timestamp that cannot be read.
    """
    seconds = times.seconds(column)
    if np.isnan(seconds).any():
        row = int(np.isnan(seconds).argmax())
        raise DataError(
            f"Pair {row + 1}: the timestamp is {column[row]!r}; expected seconds since 1970 or an "
            "ISO date. Leave the column out if times are not known."
        )

    whole = np.floor(seconds).astype(np.int64)

    return whole // times.unit_of(whole)[0]


def excluded_items(model: Model, items: Iterable[object] | None) -> Bool[np.ndarray, " n_items"]:
    """Which items are not among the candidates; without candidates, none.

    Raises:
        DataError: if the model knows none of the candidates.
    """
    vocab = model.given_.items
    if items is None:
        return np.zeros(len(vocab), bool)

    row = vocab.rows(as_text(list_of_ids("items", items)))
    excluded = np.ones(len(vocab), bool)
    excluded[row[row != UNKNOWN]] = False
    if not model.known_items()[~excluded].any():
        raise DataError(
            f"None of the {len(row)} candidate items has ratings in this model; check their ids, "
            f"such as {a_few(vocab.ids.head(3))}."
        )

    return excluded


def ratings_of_new_user(
    model: Model, ratings: Mapping[Any, Any] | None, events: Iterable[Any] | None
) -> dict[str, float]:
    """What a new user gives: a rating, or a count of events, per item_id.

    Args:
        model: a fitted model.
        ratings: {item_id: rating}.
        events: a list of item ids, or {item_id: count}.

    Raises:
        SettingError: if both or neither are given, or events to a model of ratings.
        DataError: for a rating outside the scale, a count that is not above 0, or an item twice.
    """
    if (ratings is None) == (events is None):
        raise SettingError("Someone new is given by ratings or by events, one of the two.")

    if events is not None and not model.given_.implicit:
        raise SettingError(
            f"This {type(model).__name__} learned from ratings on a scale, and events have none; "
            "give ratings={item_id: rating}."
        )

    if events is not None and not isinstance(events, Mapping):
        counts = as_text(list_of_ids("events", events)).value_counts(sort=False)
        numbers = counts["count"].cast(pl.Float64).to_list()
        return dict(zip(counts["id"].to_list(), numbers, strict=True))

    given = ratings if events is None else events
    assert isinstance(given, Mapping)
    _check_values(model, given)
    ids = as_text(list(given))
    if ids.is_duplicated().any():
        twice = ids.filter(ids.is_duplicated()).unique()
        raise DataError(
            f"Item {a_few(twice)} is rated twice, as text and as a number; rate it once."
        )

    item_ids = ids.to_list()
    values = [float(value) for value in given.values()]

    return dict(zip(item_ids, values, strict=True))


def _check_values(model: Model, ratings: Mapping[Any, Any]) -> None:
    low, high = model.given_.scale

    for item_id, value in ratings.items():
        is_number = isinstance(value, int | float | np.number)
        if model.given_.implicit:
            if not is_number or not 0 < value < np.inf:
                raise DataError(
                    f"The count of item {str(item_id)!r} is {value!r}; expected a number above 0."
                )
        elif not is_number or not low <= value <= high:  # NaN is refused, too
            raise DataError(
                f"The rating of item {str(item_id)!r} is {value!r}; this model's scale is {low:g} "
                f"to {high:g}."
            )


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
    """A new user's ratings as one sparse row; items that the model cannot predict are left out."""
    vocab = model.given_.items
    column = vocab.rows(list(ratings))
    value = np.array(list(ratings.values()), np.float32)
    known = (column != UNKNOWN) & model.known_items()[column]
    user = np.zeros(int(known.sum()), np.int64)
    row, _ = Rows.group(user, column[known], value[known], n_rows=1, n_columns=len(vocab))

    return row
