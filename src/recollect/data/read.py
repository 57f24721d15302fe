"""Tables of ratings become Ratings: files of every usual form, data frames, SciPy matrices, lists.

Columns are found by their usual names or named by the caller. A pair that stands twice keeps its last rating; events of a
pair (`implicit`) are added up. What was done beyond reading (scale inferred, duplicates dropped, times converted) stands in
`Ratings.notes` and in the log.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Int32, Int64
from scipy import sparse

from recollect.data.parsing import columns as roles
from recollect.data.parsing.lines import opened, text_file
from recollect.data.ratings import Ratings
from recollect.data.vocab import UNKNOWN, Vocab, as_text
from recollect.errors import DataError, SettingError

log = logging.getLogger("recollect")

Column = str | int | None  # its name, its place (from 0), or None: found by its usual name
BLOCK = 1 << 20  # rows of a Parquet file taken in at once


def read(
    path: str | Path,
    *,
    user: Column = None,
    item: Column = None,
    rating: Column = None,
    time: Column = None,
    scale: Sequence[int | float] | None = None,
    implicit: bool = False,
    name: str | None = None,
    header: bool | None = None,
    separator: str | None = None,
) -> Ratings:
    """The ratings in a file: CSV, TSV, "::" or blanks between fields, JSON lines, RecBole .inter, Parquet.

    It may be packed with gzip or zstd. Separator and header are found from the first lines, the packing from the first
    bytes. Columns are found by their usual names (`columns.USUAL`); without a header they stand in the order user,
    item, rating, time. Times may be seconds, milliseconds, or ISO dates (UTC if they do not say); they become whole
    seconds. `scale` is the lowest and the highest possible rating; None: inferred (`columns.infer_scale`). In a "::"
    file an id may hold ":", not "::".

    With `implicit` each line is an event, such as a view or a purchase: it counts 1, or what the column of counts says (its
    name as `rating`, or a usual one: `columns.COUNT`). Events of one pair are added up, the newest time is kept. Without a
    header they stand in the order user, item, time.

    Raises: DataError if the file is missing, empty or damaged, a column cannot be found, or an entry cannot be used; it
    names the line.
    """
    asked = {"user": user, "item": item, "rating": rating, "time": time}
    intake = RatingsBuilder(scale, time_asked=time is not None, implicit=implicit)
    for frame, where in frames(path, asked, header=header, separator=separator, implicit=implicit):
        intake.add(frame, where)
    return intake.ratings(name or name_of(path), str(path))


def name_of(path: str | Path) -> str:
    """What the ratings of a file are called."""
    return Path(path).name.split(".")[0]


def frames(
    path: str | Path,
    asked: dict[str, Column],
    *,
    header: bool | None = None,
    separator: str | None = None,
    implicit: bool = False,
) -> Iterator[tuple[pl.DataFrame, roles.Where]]:
    """The columns user, item, rating (of events the count, if there is one) and, if there is one, time of a file, a block at
    a time; and what to call a row.

    Raises: DataError as `read`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"{path} is a folder; expected a file of ratings."
            if path.is_dir()
            else f"There is no file {path} (looked in {path.absolute().parent}); check the path."
        )
    with opened(path) as stream:
        is_parquet = stream.read(4) == b"PAR1"
    if is_parquet:
        yield from _parquet_frames(path, asked, implicit=implicit)
        return
    file = text_file(
        path,
        separator=separator,
        header=header,
        asked=[x for x in asked.values() if isinstance(x, str)],
    )
    named = file.layout.header or file.layout.separator is None
    yield from file.frames(roles.pick(file.layout.columns, asked, named=named, implicit=implicit))


def _parquet_frames(
    path: Path, asked: dict[str, Column], *, implicit: bool
) -> Iterator[tuple[pl.DataFrame, roles.Where]]:
    try:
        with (
            opened(path) as stream,
            pq.ParquetFile(stream if stream.seekable() else io.BytesIO(stream.read())) as file,
        ):
            names, begun = file.schema_arrow.names, 0
            wanted = roles.pick(names, asked, named=True, implicit=implicit)
            for batch in file.iter_batches(
                BLOCK, columns=sorted({names[place] for place in wanted.values()})
            ):
                block = pl.DataFrame(batch)
                yield (
                    block.select(**{role: pl.col(names[place]) for role, place in wanted.items()}),
                    partial(_row_of, path, begun),
                )
                begun += len(block)
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path} is not a readable Parquet file ({error}); make or download it again."
        ) from error


def _row_of(path: Path, begun: int, row: int) -> str:
    return f"Row {begun + row} of {path}"


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
    """The ratings in a table with named columns: pandas, Polars, DuckDB, PyArrow, or any other that speaks Arrow.

    Columns, times, scale, duplicates and events (`implicit`) are treated as in `read`.

    Raises: DataError if the table is of another kind or empty, a column cannot be found, or an entry cannot be used; it
    names the row, counted from 0.
    """
    asked = {"user": user, "item": item, "rating": rating, "time": time}
    if isinstance(table, pl.LazyFrame):
        table = table.collect()
    if type(table).__module__.partition(".")[0] == "pandas":
        columns = _from_pandas(table, asked, implicit=implicit)
    elif isinstance(table, _ArrowStream):
        frame = pl.DataFrame(table)
        wanted = roles.pick(frame.columns, asked, named=True, implicit=implicit)
        columns = pl.DataFrame({role: frame.to_series(place) for role, place in wanted.items()})
    else:
        raise DataError(
            f"A {type(table).__name__} is no table that speaks Arrow; pass a pandas or Polars frame, a "
            "DuckDB relation or an Arrow table, or use from_tuples or from_scipy."
        )
    intake = RatingsBuilder(scale, time_asked=time is not None, implicit=implicit)
    intake.add(columns, lambda row: f"Row {row} of the table")
    return intake.ratings(name, "the table")


@runtime_checkable
class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def _from_pandas(table: Any, asked: dict[str, Column], *, implicit: bool) -> pl.DataFrame:
    """Only the columns that are needed, each by itself: Arrow refuses a column of mixed types, such as 1 and "a"."""
    wanted = roles.pick(
        [str(column) for column in table.columns], asked, named=True, implicit=implicit
    )
    series = {role: table.iloc[:, place] for role, place in wanted.items()}
    return pl.DataFrame(
        {
            role: as_text(column.to_numpy())
            if column.dtype == object and role in ("user", "item")
            else pl.Series(column.tolist(), strict=False)
            if column.dtype == object
            else pl.from_pandas(column)
            for role, column in series.items()
        }
    )


def from_tuples(
    rows: Iterable[Sequence[object]],
    *,
    scale: Sequence[int | float] | None = None,
    implicit: bool = False,
    name: str = "list",
) -> Ratings:
    """The ratings in (user_id, item_id, rating) or (user_id, item_id, rating, time) tuples; events (`implicit`, as in
    `read`) in (user_id, item_id) or (user_id, item_id, time) tuples.

    Raises: DataError if a tuple has another length or an entry cannot be used.
    """
    rows, places = list(rows), roles.EVENT_PLACES if implicit else roles.PLACES
    for row, found in enumerate(rows):
        if len(found) not in (len(places) - 1, len(places)) or len(found) != len(rows[0]):
            raise DataError(
                f"Tuple {row} is {tuple(found)!r}; expected ({', '.join(places[:-1])}) or ({', '.join(places)}), "
                "all of one length."
            )
    columns = dict(zip(places, zip(*rows, strict=True), strict=False))
    table = {
        role: as_text(column) if role in ("user", "item") else pl.Series(column, strict=False)
        for role, column in columns.items()
    }
    intake = RatingsBuilder(scale, time_asked=True, implicit=implicit)
    intake.add(pl.DataFrame(table), lambda row: f"Tuple {row}")
    return intake.ratings(name, "the list")


def from_scipy(
    matrix: Any,
    *,
    user_ids: Iterable[object] | None = None,
    item_ids: Iterable[object] | None = None,
    scale: Sequence[int | float] | None = None,
    implicit: bool = False,
    name: str = "matrix",
) -> Ratings:
    """The ratings in a SciPy sparse matrix, users × items: every stored entry is one, a stored 0 too. Of events
    (`implicit`) the entries are counts.

    Ids are the row and column numbers if not given. All rows and columns count, rated or not.

    Raises: DataError if the matrix is dense, ids do not fit its shape, or an entry is not finite.
    """
    if not sparse.issparse(matrix):
        raise DataError(
            f"A {type(matrix).__name__} is not a SciPy sparse matrix; a dense array cannot tell a rating "
            "of 0 from an absent one."
        )
    cells = sparse.coo_array(matrix)
    users = Vocab(range(cells.shape[0]) if user_ids is None else user_ids)
    items = Vocab(range(cells.shape[1]) if item_ids is None else item_ids)
    if (len(users), len(items)) != cells.shape:
        raise DataError(
            f"The matrix has {cells.shape[0]} rows and {cells.shape[1]} columns, but there are "
            f"{len(users)} user ids and {len(items)} item ids; expected users × items."
        )
    numbers = roles.counts if implicit else roles.values
    value = numbers(pl.Series(cells.data), lambda entry: f"Entry {entry} of the matrix")
    user, item = (index.astype(np.int32) for index in cells.coords)
    _check_scale(scale, implicit=implicit)
    return _assemble(
        user, item, value, None, users, items, scale=scale, implicit=implicit, name=name, notes=()
    )


class RatingsBuilder:
    """Ratings on their way in, a block at a time; keeps row numbers of ids, 20 bytes a rating."""

    def __init__(
        self, scale: Sequence[int | float] | None, *, time_asked: bool, implicit: bool = False
    ) -> None:
        _check_scale(scale, implicit=implicit)
        self.scale, self.implicit = None if scale is None else roles.stated_scale(scale), implicit
        self.time_asked = time_asked
        self.user: list[tuple[Vocab, np.ndarray]] = []
        self.item: list[tuple[Vocab, np.ndarray]] = []
        self.value: list[np.ndarray] = []
        self.time: list[np.ndarray] = []
        self.notes: list[str] = []

    def add(self, frame: pl.DataFrame, where: roles.Where) -> None:
        """Take in the columns user, item, rating (of events: if present) and, if present, time; `where` names a row for
        messages."""
        if not len(frame):
            return
        for role, dtype in frame.schema.items():
            if dtype.is_nested():
                found = frame[role].head(1).to_list()[0]
                raise DataError(
                    f"{where(0)}: the {role} is {found!r}; expected one value, not a {dtype}."
                )
        self.user.append(_encode(frame["user"], "user", where))
        self.item.append(_encode(frame["item"], "item", where))
        value = (
            roles.values(frame["rating"], where)
            if not self.implicit
            else roles.counts(frame["rating"], where)
            if "rating" in frame.columns
            else np.ones(len(frame), np.float32)
        )
        if self.scale is not None and not (inside := _inside(value, self.scale)).all():
            row = int(np.argmin(inside))
            raise DataError(
                f"{where(row)}: user {frame['user'][row]!r} rates item {frame['item'][row]!r} with "
                f"{value[row]:g}, outside the stated scale {self.scale[0]:g} to {self.scale[1]:g}. Correct "
                "the rating, or state the scale that the ratings have."
            )
        self.value.append(value)
        if "time" in frame.columns and not self.notes:
            self._add_time(frame["time"], where)

    def _add_time(self, column: pl.Series, where: roles.Where) -> None:
        time = roles.seconds(column)
        if np.isnan(time).any():
            row = int(np.isnan(time).argmax())
            found = f"{where(row)}: the time is {column[row]!r}; expected seconds since 1970 or an ISO date"
            if self.time_asked:
                raise DataError(f"{found}. Correct it, or leave out the column of times.")
            self.time.clear()
            self.notes.append(f"Times were left out. {found}.")
            return
        self.time.append(np.floor(time).astype(np.int64))

    def pop(self) -> tuple[dict[str, tuple[Vocab, np.ndarray]], np.ndarray, np.ndarray | None]:
        """The block taken in last, which is kept no longer: its users and items, its ratings, and their times, if known."""
        return (
            {"user": self.user.pop(), "item": self.item.pop()},
            self.value.pop(),
            self.time.pop() if self.time else None,
        )

    def ratings(self, name: str, source: str) -> Ratings:
        """All that was taken in."""
        if not self.value:
            raise DataError(
                f"There are no {'events' if self.implicit else 'ratings'} in {source}; expected at least one."
            )
        users, user = joined(self.user)
        self.user = []  # the blocks go as they are joined, to halve the memory at the peak
        items, item = joined(self.item)
        self.item = []
        value, self.value = np.concatenate(self.value), []
        time, self.time = np.concatenate(self.time) if self.time else None, []
        if time is not None:
            divisor, unit = roles.unit(time)
            if divisor > 1:
                time //= divisor
                self.notes.append(f"Times were in {unit} and are now in seconds.")
        return _assemble(
            user,
            item,
            value,
            time,
            users,
            items,
            scale=self.scale,
            implicit=self.implicit,
            name=name,
            notes=tuple(self.notes),
        )


def _check_scale(scale: Sequence[int | float] | None, *, implicit: bool) -> None:
    if implicit and scale is not None:
        raise SettingError(
            f"scale={tuple(scale)} is that of ratings, and events have none; leave it out."
        )


def _inside(value: np.ndarray, scale: tuple[float, float]) -> Bool[np.ndarray, " rows"]:
    return (value >= np.float32(scale[0])) & (value <= np.float32(scale[1]))


def _encode(
    column: pl.Series, role: str, where: roles.Where
) -> tuple[Vocab, Int32[np.ndarray, " rows"]]:
    """The distinct ids of a block's column and the number of each entry's.

    Raises: DataError if an id is missing or blank.
    """
    vocab, code = Vocab.encode(column)
    blank = np.flatnonzero(vocab.ids.str.contains(r"^\s*$").to_numpy())
    missing = np.isin(code, [UNKNOWN, *blank])
    if missing.any():
        raise DataError(
            f"{where(int(missing.argmax()))}: the {role} id is missing; every rating needs one. Correct or "
            f"remove the row. ({int(missing.sum())} such rows nearby.)"
        )
    return vocab, code


def joined(parts: list[tuple[Vocab, np.ndarray]]) -> tuple[Vocab, Int32[np.ndarray, " ratings"]]:
    """One vocabulary for all blocks. Blanks around ids go; so does ".0" where every id is a whole number."""
    ids = [vocab.ids.str.strip_chars() for vocab, _ in parts]
    if all(part.str.contains(r"^-?\d+(\.0+)?$").all() for part in ids):
        ids = [part.str.replace(r"\.0+$", "") for part in ids]
    joined, code = Vocab.encode(pl.concat(ids))
    starts = np.cumsum([0, *map(len, ids)])
    return joined, np.concatenate(
        [code[start:][part] for start, (_, part) in zip(starts[:-1], parts, strict=True)]
    )


def _assemble(
    user: np.ndarray,
    item: np.ndarray,
    value: np.ndarray,
    time: np.ndarray | None,
    users: Vocab,
    items: Vocab,
    *,
    scale: Sequence[int | float] | None,
    implicit: bool,
    name: str,
    notes: tuple[str, ...],
) -> Ratings:
    """Ratings of distinct pairs, with their scale, and notes on what was done."""
    if implicit:
        return _events(user, item, value, time, users, items, name=name, notes=notes)
    last = _last_of_each(user.astype(np.int64) * len(items) + item, time)
    if last is not None:
        notes += (
            f"Duplicate pairs: {int((~last).sum()):,} of {len(value):,} ratings dropped, the last of each pair "
            f"{'in the table' if time is None else 'by time'} kept.",
        )
        user, item, value, time = (
            user[last],
            item[last],
            value[last],
            None if time is None else time[last],
        )
    if scale is None:
        scale = roles.infer_scale(value)
        notes += (f"Scale {scale[0]:g} to {scale[1]:g}, inferred from the ratings.",)
        if value.min() == value.max():
            notes += (
                f"Every rating is {value[0]:g}; if these are clicks or views, they are not ratings.",
            )
    for note in notes:
        log.info("%s: %s", name, note)
    return Ratings(
        user,
        item,
        value,
        users,
        items,
        time=time,
        scale=roles.stated_scale(scale),
        name=name,
        notes=notes,
    )


def _events(
    user: np.ndarray,
    item: np.ndarray,
    value: np.ndarray,
    time: np.ndarray | None,
    users: Vocab,
    items: Vocab,
    *,
    name: str,
    notes: tuple[str, ...],
) -> Ratings:
    """Events of distinct pairs, each with its count and its newest time."""
    pair = user.astype(np.int64) * len(items) + item
    distinct, first, which = np.unique(pair, return_index=True, return_inverse=True)
    if len(distinct) < len(pair):
        notes += (
            f"Repeated events: {len(pair):,} events are of {len(distinct):,} pairs, whose counts are added up.",
        )
        value = np.bincount(which, value).astype(np.float32)
        user, item = user[first], item[first]
        if time is not None:
            newest = np.full(len(distinct), np.iinfo(np.int64).min)
            np.maximum.at(newest, which, time)
            time = newest
    for note in notes:
        log.info("%s: %s", name, note)
    return Ratings(
        user,
        item,
        value,
        users,
        items,
        time=time,
        scale=(0.0, float(value.max())),
        implicit=True,
        name=name,
        notes=notes,
    )


def _last_of_each(
    pair: Int64[np.ndarray, " ratings"], time: np.ndarray | None
) -> Bool[np.ndarray, " ratings"] | None:
    """Which ratings are the last of their pair, by time and then by order; None if no pair stands twice."""
    ordered = np.sort(pair)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return None
    rows = np.flatnonzero(np.isin(pair, twice))
    rows = rows[np.lexsort((rows, rows if time is None else time[rows], pair[rows]))]
    keep = np.ones(len(pair), dtype=bool)
    keep[rows[:-1][pair[rows[1:]] == pair[rows[:-1]]]] = False
    return keep
