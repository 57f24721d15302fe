"""Objects in memory become Ratings: data frames, tuples, SciPy matrices."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import polars as pl
from polars.exceptions import PolarsError
from pyarrow.lib import ArrowException
from scipy import sparse

from recollect.arguments import expect_scale
from recollect.data.builder import RatingsBuilder, RatingTable
from recollect.data.parsing.columns import Column, find_columns, requested_columns
from recollect.data.parsing.files import Format
from recollect.data.parsing.names import EVENT_ROLES, ROLES
from recollect.data.parsing.values import counts_in, ratings_in, stated_scale
from recollect.data.parsing.wide import check_wide, melt_frame
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.vocab import Vocab, as_text
from recollect.errors import DataError, SettingError

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
    wide: bool = False,
    not_rated: int | float | None = None,
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
        wide: whether a row holds all ratings of a user, with a column for each item, as in `read`.
        not_rated: the number that means not rated in a wide table, as a missing value does.
        name: of the ratings.

    Raises:
        DataError: if the table is of another kind or empty, a column cannot be found, or an entry
            cannot be used; it names the row, counted from 0.
        SettingError: for an impossible scale.
    """
    requested = requested_columns(user=user, item=item, rating=rating, time=time)
    expect_scale(scale)
    builder = RatingsBuilder(
        scale,
        time_is_required=time is not None,
        implicit=implicit,
    )
    form = Format(wide=wide, not_rated=not_rated)
    if form.wide:
        check_wide(requested, implicit=implicit)
        builder.add(*melt_frame(table, requested, form.not_rated, locate=_locate))
        return builder.ratings(name, "the table")

    columns = _columns_by_role(table, requested, implicit=implicit)
    builder.add(columns, _locate)
    return builder.ratings(name, "the table")


def _locate(row: int) -> str:
    return f"Row {row} of the table"


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
    if not is_table(table):
        raise DataError(
            f"A {type(table).__name__} is no table that speaks Arrow; pass a pandas or Polars "
            "frame, a DuckDB relation or an Arrow table, or use from_tuples or from_scipy."
        )

    if type(table).__module__.partition(".")[0] == "pandas":
        names = [str(column) for column in table.columns]
        places = find_columns(names, requested, named=True, implicit=implicit)
        # Each column by itself, as Arrow refuses a table with a column of mixed types (1 and "a").
        columns = {}
        for role, place in places.items():
            columns[role] = series_of(table.iloc[:, place], is_id=role in IDS)
        return pl.DataFrame(columns)

    frame = _polars_frame(table)
    places = find_columns(frame.columns, requested, named=True, implicit=implicit)
    columns = {}
    for role, place in places.items():
        column = frame.to_series(place)
        _refuse_nested(column, f"In column {column.name!r}, the {role}")
        columns[role] = as_text(column) if column.dtype == pl.Categorical else column

    return pl.DataFrame(columns)


def columns_of(
    table: Any, names: Sequence[str], *, ids: Sequence[str] = ()
) -> dict[str, pl.Series]:
    """Those of these columns that a table has.

    Args:
        table: what `is_table` accepts.
        names: of the columns.
        ids: those of them whose entries become text.

    Raises:
        DataError: for a column that holds no single values.
    """
    is_pandas = type(table).__module__.partition(".")[0] == "pandas"
    frame: Any = table if is_pandas else _polars_frame(table)
    available = list(frame.columns)
    columns = {}

    for name in names:
        if name in available:
            place = available.index(name)
            column = frame.iloc[:, place] if is_pandas else frame.to_series(place)
            columns[name] = series_of(column, is_id=name in ids)

    return columns


def _polars_frame(table: Any) -> pl.DataFrame:
    if isinstance(table, pl.LazyFrame):
        return table.collect()

    try:
        return pl.DataFrame(table)
    except (PolarsError, TypeError, ValueError) as problem:
        raise DataError(
            f"This {type(table).__name__} cannot be read as a table with named columns; pass a "
            "pandas or Polars frame."
        ) from problem


def series_of(column: Any, *, is_id: bool) -> pl.Series:
    """A column of pandas or Polars as a Polars one; ids as text.

    A pandas column may hold 1 and "a" at once, categories, nullable numbers, or periods, which
    become the times of their beginnings.

    Args:
        column: of either library; or an index of pandas.
        is_id: whether its entries are ids.

    Raises:
        DataError: for an index of several levels, nested values, or another type.
    """
    if isinstance(column, pl.Series):
        _refuse_nested(column, "An entry")
        return as_text(column) if is_id else column

    if hasattr(column, "levels"):
        raise DataError("A column has one level, found a MultiIndex; pass one of its levels.")

    series = _from_pandas(_plain(_pandas_series(column), is_id=is_id), is_id=is_id)
    _refuse_nested(series, "An entry")

    return as_text(series) if is_id else series


def _plain(column: Any, *, is_id: bool) -> Any:
    """A Series of pandas as one without categories, sparse entries or periods."""
    kind = type(column.dtype).__name__
    if kind == "PeriodDtype" and not is_id:
        return column.dt.to_timestamp()

    if kind in ("CategoricalDtype", "SparseDtype", "PeriodDtype"):
        return column.astype(object)

    return column


def _from_pandas(column: Any, *, is_id: bool) -> pl.Series:
    """A plain Series of pandas as a Polars one; ids that are objects as text.

    Raises:
        DataError: if its type cannot be read, or an id is several values.
    """
    try:
        if column.dtype != object:
            return cast(pl.Series, pl.from_pandas(column))

        if is_id:
            entries = column.to_numpy()
            _refuse_containers(entries)
            return as_text(entries)

        return pl.Series(column.tolist(), strict=False)
    except (PolarsError, TypeError, ValueError, ArrowException) as problem:
        raise DataError(
            f"A column of the type {column.dtype} cannot be read; convert it to text or numbers."
        ) from problem


def ids_in(name: str, ids: Any) -> pl.Series:
    """A list of ids as text: a list, an array or a column.

    A text is refused, for its letters would pass for ids; so are tables and mappings, of which the
    names of columns and the keys would.

    Args:
        name: of the argument.
        ids: as the caller gave them.

    Raises:
        SettingError: naming the argument.
    """
    is_text = isinstance(ids, str | bytes)
    if is_text or not isinstance(ids, Iterable):
        raise SettingError(f"{name} is a list of ids, found {ids!r}; write [{ids!r}].")

    kind = type(ids).__name__
    if is_table(ids):
        raise SettingError(f"{name} is a list of ids, found a {kind}; pass one of its columns.")

    if isinstance(ids, Mapping | Vocab | AnyRatings) or sparse.issparse(ids):
        raise SettingError(f"{name} is a list of ids, found a {kind}; pass a list.")

    n_axes = getattr(ids, "ndim", 1)  # of an array, a tensor, a matrix
    if n_axes != 1:
        raise SettingError(
            f"{name} is a list of ids, found {kind} of {n_axes} axes; pass one of its columns."
        )

    if isinstance(ids, pl.Series) or type(ids).__module__.partition(".")[0] == "pandas":
        return series_of(ids, is_id=True)

    return as_text(ids)


def _pandas_series(column: Any) -> Any:
    """An index or an array of pandas as a Series; a Series as it is."""
    pandas: Any = importlib.import_module("pandas")
    return column if isinstance(column, pandas.Series) else pandas.Series(column)


def _refuse_containers(entries: Iterable[object]) -> None:
    for entry in entries:
        if isinstance(entry, list | tuple | set | dict | np.ndarray):
            raise DataError(
                f"An id is {entry!r}, several values in one; expected text or a number."
            )


def _refuse_nested(column: pl.Series, what: str) -> None:
    """Refuse a column whose entries are lists or records; `what` an entry is, for the message."""
    if column.dtype.is_nested() or column.dtype == pl.Object:
        raise DataError(
            f"{what} is {column.dtype}, several values in one field; expected text or numbers."
        )


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
    expect_scale(scale)
    rows = _list_of_tuples(rows)
    roles = EVENT_ROLES if implicit else ROLES
    _check_lengths(rows, roles)
    table = {}

    for role, entries in zip(roles, zip(*rows, strict=True), strict=False):
        table[role] = as_text(entries) if role in IDS else _numbers(role, entries)

    builder = RatingsBuilder(scale, time_is_required=True, implicit=implicit)
    builder.add(pl.DataFrame(table), lambda row: f"Tuple {row}")

    return builder.ratings(name, "the list")


def _list_of_tuples(rows: Any) -> list[Any]:
    """The rows, each a tuple or a list.

    Raises:
        DataError: naming the first thing that is none.
    """
    expected = "expected a list of (user_id, item_id, rating) tuples"
    if is_table(rows):
        raise DataError(f"A {type(rows).__name__} is a table; use from_frame.")

    if (
        isinstance(rows, str | bytes | Mapping)
        or not isinstance(rows, Iterable)
        or sparse.issparse(rows)
    ):
        raise DataError(f"{expected[0].upper()}{expected[1:]}, found a {type(rows).__name__}.")

    members = list(rows)
    for number, row in enumerate(members):
        if not isinstance(row, Sequence | np.ndarray) or isinstance(row, str | bytes):
            raise DataError(f"Tuple {number} is {row!r}; {expected}.")

    return members


def _numbers(role: str, entries: Sequence[Any]) -> pl.Series:
    """Ratings or times of tuples; numbers written as text beside others stay numbers."""
    try:
        return pl.Series(entries, strict=False)
    except (PolarsError, TypeError, ValueError, OverflowError) as problem:
        raise DataError(
            f"The {role}s of the tuples are of different types; expected numbers."
        ) from problem


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

    expect_scale(scale)
    checked_scale = stated_scale(scale, implicit=implicit)
    cells = sparse.coo_array(matrix)
    users = Vocab(range(cells.shape[0]) if user_ids is None else ids_in("user_ids", user_ids))
    items = Vocab(range(cells.shape[1]) if item_ids is None else ids_in("item_ids", item_ids))
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
