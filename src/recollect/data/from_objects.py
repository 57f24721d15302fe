"""Objects in memory become Ratings: data frames, tuples, SciPy matrices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from scipy import sparse

from recollect.data.builder import RatingsBuilder, RatingTable
from recollect.data.parsing.columns import EVENT_ROLES, ROLES, Column, find_columns
from recollect.data.parsing.values import counts_in, ratings_in, stated_scale
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab, as_text
from recollect.errors import DataError

IDS = ("user", "item")  # the roles whose entries are text


def from_frame(
    table: Any,
    *,
    user: Column = None,
    item: Column = None,
    rating: Column = None,
    time: Column = None,
    scale: Sequence[int | float] | None = None,
    implicit: bool = False,
    name: str = "frame",
) -> Ratings:
    """The ratings in a table: pandas, Polars, DuckDB, PyArrow, or another that speaks Arrow.

    Columns, times, scale, duplicates and events are treated as in `read`.

    Args:
        table: the table; nothing in it is changed.
        user: the column of user ids: its name, its place from 0, or None: found by its usual name.
        item: the column of item ids, like `user`.
        rating: the column of ratings or counts, like `user`.
        time: the column of times, like `user`; if it is named, an unreadable time is an error.
        scale: the lowest and the highest possible rating; None: inferred.
        implicit: the rows are events.
        name: of the ratings.

    Raises:
        DataError: if the table is of another kind or empty, a column cannot be found, or an entry
            cannot be used; it names the row, counted from 0.
        SettingError: for an impossible scale.
    """
    requested = {
        "user": user,
        "item": item,
        "rating": rating,
        "time": time,
    }
    builder = RatingsBuilder(
        scale,
        time_is_required=time is not None,
        implicit=implicit,
    )
    columns = _columns_by_role(table, requested, implicit=implicit)
    builder.add(columns, lambda row: f"Row {row} of the table")
    return builder.ratings(name, "the table")


def is_table(value: Any) -> bool:
    """Whether `from_frame` takes it: a data frame of pandas, or a table that speaks Arrow."""
    if type(value).__module__.partition(".")[0] == "pandas":
        return type(value).__name__ == "DataFrame"

    if isinstance(value, pl.Series):
        return False

    return isinstance(value, pl.LazyFrame | _ArrowStream)


@runtime_checkable
class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def _columns_by_role(table: Any, requested: dict[str, Column], *, implicit: bool) -> pl.DataFrame:
    """The columns of a table that play a role, under its name."""
    if type(table).__module__.partition(".")[0] == "pandas":
        names = [str(column) for column in table.columns]
        places = find_columns(names, requested, named=True, implicit=implicit)
        # Each column by itself, as Arrow refuses a table with a column of mixed types (1 and "a").
        columns = {}
        for role, place in places.items():
            columns[role] = _from_pandas(table.iloc[:, place], role)
        return pl.DataFrame(columns)

    if isinstance(table, pl.LazyFrame):
        table = table.collect()

    if not isinstance(table, _ArrowStream):
        raise DataError(
            f"A {type(table).__name__} is no table that speaks Arrow; pass a pandas or Polars "
            "frame, a DuckDB relation or an Arrow table, or use from_tuples or from_scipy."
        )

    frame = pl.DataFrame(table)
    places = find_columns(frame.columns, requested, named=True, implicit=implicit)

    return pl.DataFrame({role: frame.to_series(place) for role, place in places.items()})


def _from_pandas(column: Any, role: str) -> pl.Series:
    if column.dtype != object:
        series: Any = pl.from_pandas(column)
        return series

    if role in IDS:
        return as_text(column.to_numpy())

    return pl.Series(column.tolist(), strict=False)


def from_tuples(
    rows: Iterable[Sequence[object]],
    *,
    scale: Sequence[int | float] | None = None,
    implicit: bool = False,
    name: str = "list",
) -> Ratings:
    """The ratings in (user_id, item_id, rating) or (user_id, item_id, rating, time) tuples.

    Events (`implicit`, as in `read`) are (user_id, item_id) or (user_id, item_id, time) tuples.

    Args:
        rows: the tuples, all of one length.
        scale: the lowest and the highest possible rating; None: inferred.
        implicit: the tuples are events.
        name: of the ratings.

    Raises:
        DataError: if there are none, a tuple has another length, or an entry cannot be used.
        SettingError: for an impossible scale.
    """
    rows = list(rows)
    roles = EVENT_ROLES if implicit else ROLES
    _check_lengths(rows, roles)
    table = {}

    for role, entries in zip(roles, zip(*rows, strict=True), strict=False):
        table[role] = as_text(entries) if role in IDS else pl.Series(entries, strict=False)

    builder = RatingsBuilder(scale, time_is_required=True, implicit=implicit)
    builder.add(pl.DataFrame(table), lambda row: f"Tuple {row}")

    return builder.ratings(name, "the list")


def _check_lengths(rows: Sequence[Sequence[object]], roles: Sequence[str]) -> None:
    lengths = (len(roles) - 1, len(roles))

    for number, row in enumerate(rows):
        if len(row) not in lengths or len(row) != len(rows[0]):
            raise DataError(
                f"Tuple {number} is {tuple(row)!r}; expected ({', '.join(roles[:-1])}) or "
                f"({', '.join(roles)}), all of one length."
            )


def from_scipy(
    matrix: Any,
    *,
    user_ids: Iterable[object] | None = None,
    item_ids: Iterable[object] | None = None,
    scale: Sequence[int | float] | None = None,
    implicit: bool = False,
    name: str = "matrix",
) -> Ratings:
    """The ratings in a SciPy sparse matrix, users × items; a stored 0 is a rating, too.

    All rows and columns are users and items, rated or not. Entries of one pair are treated as in
    `read`.

    Args:
        matrix: sparse, of any format.
        user_ids: ids of the rows; None: their numbers.
        item_ids: ids of the columns; None: their numbers.
        scale: the lowest and the highest possible rating; None: inferred.
        implicit: the entries are counts of events.
        name: of the ratings.

    Raises:
        DataError: if the matrix is dense, ids do not fit its shape, or an entry is not finite.
        SettingError: for an impossible scale.
    """
    if not sparse.issparse(matrix):
        raise DataError(
            f"A {type(matrix).__name__} is not a SciPy sparse matrix; a dense array cannot tell a "
            "rating of 0 from an absent one."
        )

    checked_scale = stated_scale(scale, implicit=implicit)
    cells = sparse.coo_array(matrix)
    users = Vocab(range(cells.shape[0]) if user_ids is None else user_ids)
    items = Vocab(range(cells.shape[1]) if item_ids is None else item_ids)
    if (len(users), len(items)) != cells.shape:
        raise DataError(
            f"The matrix has {cells.shape[0]} rows and {cells.shape[1]} columns, but there are "
            f"{len(users)} user ids and {len(items)} item ids; expected users × items."
        )

    numbers_in = counts_in if implicit else ratings_in
    value = numbers_in(pl.Series(cells.data), lambda entry: f"Entry {entry} of the matrix")
    user, item = (index.astype(np.int32) for index in cells.coords)
    table = RatingTable(user, item, value, None, users, items)

    if implicit:
        return table.events(name, ())

    return table.ratings(name, (), checked_scale)
