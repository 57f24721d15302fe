"""Ratings on disk: a folder of Parquet from which models learn without ever holding all of it. `store` makes one.

    about.json                     name, scale, variance, fingerprint, notes, format, the size of each file
    by_user.parquet                row, column, value: a row per user, sorted by row and column; each row group holds
    by_item.parquet                whole rows, about a million cells; the same with a row per item
    users.parquet, items.parquet   the vocabularies: id, count and total of the ratings, in row order
    catalogue.parquet              titles and genres, if known
    valid.parquet, test.parquet    ratings set aside when storing, as user_id, item_id, rating; in neither of the above

A row group is the unit of reading. Held at once are a few of them: those that the rows asked for lie in, and while
training a window whose rows are mixed, with the next one, which a thread reads meanwhile.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Float64, Int, Int64

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import AnyRows, Rows, pieces
from recollect.data.vocab import Vocab
from recollect.errors import DataError
from recollect.system.atomic_files import checksum

FORMAT = 1  # raised when an older program could not read what a newer one writes
SIDES: dict[Side, str] = {"user": "by_user.parquet", "item": "by_item.parquet"}
VOCABS: dict[Side, str] = {"user": "users.parquet", "item": "items.parquet"}
CATALOGUE = "catalogue.parquet"
NEEDED = ("about.json", *SIDES.values(), *VOCABS.values(), CATALOGUE)  # to learn and predict from
WINDOW = 4  # row groups whose rows are mixed while training
KEPT = 4  # row groups kept for the next look
AT_ONCE = 1 << 20  # cells compared at once


@dataclass(frozen=True, eq=False)
class StoredRows(AnyRows):
    """Sparse rows on disk, read a row group at a time. `start` says where each row's cells begin, as in Rows."""

    path: Path
    start: Int64[np.ndarray, " rows_and_one"]
    total: Float64[np.ndarray, " rows"]
    n_columns: int
    middle: Float32[np.ndarray, " rows"] | None = None  # is taken off the values of each row
    in_memory: ClassVar[bool] = False

    @property
    def totals(self) -> Float64[np.ndarray, " rows"]:
        """The sum of each row's values, as they are on disk."""
        return self.total

    def minus(self, middle: Float32[np.ndarray, " rows"]) -> StoredRows:
        """The same rows, a number per row taken off its values as they are read."""
        return replace(self, middle=middle) if middle.any() else self

    def take(self, rows: Int[np.ndarray, " some"]) -> Rows:
        """See AnyRows. Reads the row groups that these rows lie in; the last few are kept.

        Raises: DataError if the file is damaged.
        """
        return self._gather(rows, self._kept_group)

    def batches(self, size: int, order: Int64[np.ndarray, " rows"]) -> Iterator[Rows]:
        """See AnyRows: in the order of `streamed`. The next window is read by a thread meanwhile, which ends with its consumer.

        Raises: DataError if the file is damaged.
        """
        held = Rows.stack([], n_columns=self.n_columns)
        for window in _ahead(lambda rows: self._gather(rows, self._group), self._windows(order)):
            held, first = Rows.stack([held, window], n_columns=self.n_columns), 0
            while len(held) - first >= size:
                yield held.take(np.arange(first, first + size))
                first += size
            held = held.take(np.arange(first, len(held)))
        if len(held):
            yield held

    def streamed(self, order: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows_with_cells"]:
        """The order in which `batches` brings the rows: row groups in random order, a few at a time; their rows mixed."""
        return np.concatenate([np.empty(0, np.int64), *self._windows(order)])

    def _windows(self, order: Int64[np.ndarray, " rows"]) -> Iterator[Int64[np.ndarray, " some"]]:
        place = np.empty(len(self), np.int64)
        place[order] = np.arange(len(self))
        groups = np.argsort(place[self._first_row[:-1]])
        for begin in range(0, len(groups), WINDOW):
            rows = np.concatenate(
                [np.arange(*self._first_row[g : g + 2]) for g in groups[begin : begin + WINDOW]]
            )
            rows = rows[self.counts[rows] > 0]
            yield rows[np.argsort(place[rows])]

    def values(self) -> Iterator[Float32[np.ndarray, " some"]]:
        """All values as they are on disk, a row group at a time."""
        return self.column("value")

    def column(self, name: Literal["row", "column", "value"]) -> Iterator[np.ndarray]:
        """One column as it is on disk, a row group at a time."""
        for g in range(len(self._first_row) - 1):
            yield self._read(g, [name])[0]

    # --- row groups -----------------------------------------------------------------------------------------------

    @cached_property
    def _file(self) -> pq.FileMetaData:
        try:
            return pq.read_metadata(self.path)
        except (OSError, pa.ArrowException) as problem:
            raise _damaged(self.path, problem) from problem

    @cached_property
    def _first_row(self) -> Int64[np.ndarray, " groups_and_one"]:
        """The row that each row group begins with; the rows before its next one that have no cell are its own."""
        sizes = [self._file.row_group(g).num_rows for g in range(self._file.num_row_groups)]
        begin = np.cumsum([0, *sizes])
        first = np.searchsorted(self.start, begin[:-1], side="right") - 1
        if begin[-1] != self.n_cells or (self.start[first] != begin[:-1]).any():
            raise _damaged(
                self.path,
                f"its row groups hold {begin[-1]:,} cells and must hold whole rows of {self.n_cells:,}",
            )
        first[:1] = 0
        return np.append(first, len(self))

    def _read(self, group: int, columns: list[str]) -> list[np.ndarray]:
        """Columns of a row group; a file of its own each time, since two threads must not share one."""
        try:
            with pq.ParquetFile(
                self.path, metadata=self._file, page_checksum_verification=True
            ) as file:
                table = file.read_row_group(group, columns=columns, use_threads=False)
            return [table.column(name).to_numpy() for name in columns]
        except (OSError, KeyError, pa.ArrowException) as problem:
            raise _damaged(self.path, problem) from problem

    def _group(self, group: int) -> Rows:
        start = self.start[self._first_row[group] : self._first_row[group + 1] + 1]
        column, value = self._read(group, ["column", "value"])
        return Rows(start - start[0], column, value, self.n_columns)

    @cached_property
    def _kept_group(self) -> Callable[[int], Rows]:
        return lru_cache(maxsize=KEPT)(self._group)

    def _gather(self, rows: Int[np.ndarray, " some"], group_of: Callable[[int], Rows]) -> Rows:
        """The rows in this order, from the row groups that they lie in, one after the other."""
        rows = np.asarray(rows, np.int64)
        found = np.flatnonzero((rows >= 0) & (np.diff(self.start)[rows] > 0))
        group = np.searchsorted(self._first_row, rows[found], side="right") - 1
        sort = np.argsort(group, kind="stable")
        place = np.full(len(rows), -1)
        place[found[sort]] = np.arange(len(found))
        parts = [
            group_of(int(g)).take(rows[found[group == g]] - self._first_row[g])
            for g in np.unique(group)
        ]
        taken = Rows.stack(parts, n_columns=self.n_columns).take(place)
        return (
            taken
            if self.middle is None
            else taken.minus(np.where(rows >= 0, self.middle[rows], np.float32(0)))
        )


def _ahead(make: Callable[[Any], Rows], wanted: Iterable[Any]) -> Iterator[Rows]:
    """make(x) for each x in turn; a thread makes the next one while the caller works on this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="recollect-read") as thread:
        coming: deque[Future[Rows]] = deque()
        for x in wanted:
            coming.append(thread.submit(make, x))
            if len(coming) == 2:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


@dataclass(frozen=True, eq=False, repr=False)
class StoredRatings(AnyRatings):
    """Ratings on disk: what models need of Ratings, with a number or two per user and item in memory. No times."""

    folder: Path
    users: Vocab
    items: Vocab
    sides: dict[Side, StoredRows]
    about: dict[str, Any]  # what about.json says
    catalogue: pl.DataFrame | None = None
    time: None = None
    in_memory: ClassVar[bool] = False

    def __len__(self) -> int:
        return self.rows("user").n_cells

    @property
    def name(self) -> str:  # type: ignore[override]
        """What the ratings are called."""
        return str(self.about["name"])

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What storing did beyond storing, a sentence each."""
        return tuple(self.about["notes"])

    @property
    def scale(self) -> tuple[float, float]:  # type: ignore[override]
        """The lowest and the highest rating that can be given."""
        return self.about["scale"][0], self.about["scale"][1]

    @property
    def mean(self) -> float:
        """Mean rating."""
        return float(self.total("item").sum()) / len(self)

    @property
    def variance(self) -> float:
        """Variance of the ratings."""
        return float(self.about["variance"])

    @property
    def fingerprint(self) -> str:
        """That of the same ratings in memory, without their times."""
        return str(self.about["fingerprint"])

    def rows(self, side: Side) -> StoredRows:
        """See AnyRatings."""
        return self.sides[side]

    def count(self, side: Side) -> Int64[np.ndarray, " rows"]:
        """See AnyRatings."""
        return self.rows(side).counts

    def total(self, side: Side) -> Float64[np.ndarray, " rows"]:
        """See AnyRatings."""
        return self.rows(side).totals

    def values(self) -> Iterator[Float32[np.ndarray, " some"]]:
        """See AnyRatings."""
        return self.rows("user").values()

    def shared(self, other: Ratings) -> int:
        """See AnyRatings. Only the rows of users who stand in the other are read."""
        users, n = np.flatnonzero(other.count("user")), 0
        for part in pieces(self.count("user")[users], rows=len(users), cells=AT_ONCE):
            mine, others = (
                rows.take(users[part]) for rows in (self.rows("user"), other.rows("user"))
            )
            here, there = (
                rows.row * np.int64(self.n_items) + rows.column for rows in (mine, others)
            )
            n += len(np.intersect1d(here, there, assume_unique=True))
        return n

    def union(self, other: Ratings) -> Ratings:
        """Not to be had.

        Raises: DataError always: these are not in memory.
        """
        raise DataError(
            f"{self!r} is on disk and cannot be joined with other ratings in memory; read the ratings "
            "(recollect.read) and fit on them, or leave out what was to be joined."
        )

    @property
    def valid(self) -> Ratings | None:
        """The ratings set aside to choose by, with the same vocabularies; None if there are none."""
        return self._aside("valid")

    @property
    def test(self) -> Ratings | None:
        """The ratings set aside to be judged on, with the same vocabularies; None if there are none."""
        return self._aside("test")

    def _aside(self, part: str) -> Ratings | None:
        path = self.folder / f"{part}.parquet"
        if not path.is_file():
            return None
        found = _table(path, {"user_id": pl.String, "item_id": pl.String, "rating": pl.Float32})
        return Ratings(
            self.users.rows(found["user_id"]),
            self.items.rows(found["item_id"]),
            found["rating"].to_numpy(),
            self.users,
            self.items,
            scale=self.scale,
            name=f"{self.name} {part}",
            catalogue=self.catalogue,
        )

    def link_into(self, folder: Path) -> None:
        """Make the folder, with what is needed to learn and predict: links to the same files, copies on another disk."""
        folder.mkdir()
        for name in NEEDED:
            if (self.folder / name).exists():
                try:
                    os.link(self.folder / name, folder / name)
                except OSError:
                    shutil.copyfile(self.folder / name, folder / name)


def is_stored(folder: str | Path) -> bool:
    """Whether the folder holds stored ratings."""
    return (Path(folder) / "about.json").is_file()


def open_stored(folder: str | Path) -> StoredRatings:
    """The ratings stored in a folder. Vocabularies and counts are read, the ratings only when they are needed.

    Raises: DataError if there are none, a newer version wrote them, or a file is missing, damaged or cut short.
    """
    folder = Path(folder)
    if not (folder / "about.json").is_file():
        raise DataError(
            f"There are no stored ratings in {folder}; recollect.store(ratings, folder) or `recollect data store` "
            "makes such a folder."
        )
    try:
        about = json.loads((folder / "about.json").read_bytes())
        if about["format"] > FORMAT:
            raise DataError(
                f"{folder} was written by a newer Recollect (format {about['format']}, this one reads up to "
                f"{FORMAT}); upgrade it."
            )
        if about.pop("checksum", None) != checksum(about):
            raise _damaged(folder / "about.json", "its checksum is not that of its content")
        for name, size in about["files"].items():
            _check_size(folder / name, size, may_lack=name not in NEEDED)
        vocab = {
            side: _table(folder / name, {"id": pl.String, "count": pl.Int64, "total": pl.Float64})
            for side, name in VOCABS.items()
        }
        rows = {
            side: _rows(
                folder / name,
                vocab[side],
                n_columns=len(vocab["item" if side == "user" else "user"]),
            )
            for side, name in SIDES.items()
        }
        return StoredRatings(
            folder,
            Vocab(vocab["user"]["id"]),
            Vocab(vocab["item"]["id"]),
            rows,
            about,
            catalogue=pl.read_parquet(folder / CATALOGUE) if CATALOGUE in about["files"] else None,
        )
    except (KeyError, TypeError, ValueError, OSError, pl.exceptions.PolarsError) as problem:
        if isinstance(problem, DataError):
            raise
        raise _damaged(folder, f"{type(problem).__name__} {problem}") from problem


def _rows(path: Path, vocab: pl.DataFrame, *, n_columns: int) -> StoredRows:
    start = np.concatenate([[0], np.cumsum(vocab["count"].to_numpy())]).astype(np.int64)
    rows = StoredRows(path, start, vocab["total"].to_numpy(), n_columns)
    assert len(rows._first_row)  # the file's own table fits
    return rows


def _check_size(path: Path, size: int, *, may_lack: bool) -> None:
    if not path.is_file():
        if not may_lack:
            raise DataError(
                f"{path.parent} lacks {path.name}; it was copied in part: copy it again, or store anew."
            )
    elif path.stat().st_size != size:
        raise _damaged(path, f"it has {path.stat().st_size:,} bytes, expected {size:,}")


def _table(path: Path, columns: dict[str, Any]) -> pl.DataFrame:
    try:
        found = pl.read_parquet(path)
        return found.select(pl.col(name).cast(kind) for name, kind in columns.items())
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise _damaged(path, problem) from problem


def _damaged(path: Path, why: object) -> DataError:
    return DataError(
        f"{path} is damaged or cut short ({str(why).splitlines()[0] if str(why) else 'unreadable'}); copy the "
        "folder again, or store anew."
    )
