"""Cells: ratings as records of row, column, value and time; from memory or files, in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32, Int64

from recollect.data.parsing.block import Block, BlockParser
from recollect.data.parsing.files import Format, open_table
from recollect.data.parsing.ids import Ids, notes_on_ids
from recollect.data.parsing.names import ROLES
from recollect.data.parsing.values import infer_scale
from recollect.data.ratings import Ratings
from recollect.data.read import name_of
from recollect.data.sources.netflix import prize_files
from recollect.data.sources.netflix.fields import N_USERS
from recollect.data.sources.netflix.pieces import N_FILMS
from recollect.data.vocab import Vocab
from recollect.errors import DataError

CELL = np.dtype([("row", "<i4"), ("column", "<i4"), ("value", "<f4"), ("time", "<f8")], align=True)
BLOCK = 1 << 21  # cells in memory at once
DISTINCT = 64  # values from which the scale is inferred

Progress = Callable[[int, str], None]  # percent done, and what is being done


@dataclass(frozen=True)
class CellSource:
    """All ratings as cells, with a row per user, a block at a time; and what is known of them.

    Args:
        users: the ids of users, in row order.
        items: the ids of items, in column order.
        count: cells per user; repeated pairs count each time.
        blocks: of cells, in any order; to be iterated once.
        name: of the ratings.
        scale: the lowest and the highest possible rating.
        notes: on what was done beyond reading.
        catalogue: titles and genres of the items, or None.
    """

    users: Vocab
    items: Vocab
    count: Int64[np.ndarray, " n_users"]
    blocks: Iterable[np.ndarray]
    name: str
    scale: tuple[float, float]
    notes: tuple[str, ...] = ()
    catalogue: pl.DataFrame | None = None


def make_cells(
    row: np.ndarray, column: np.ndarray, value: np.ndarray, time: np.ndarray | None = None
) -> np.ndarray:
    """Cells of these columns.

    Args:
        row: row numbers.
        column: column numbers.
        value: ratings.
        time: in any unit; None: 0.
    """
    cells = np.zeros(len(row), CELL)
    cells["row"] = row
    cells["column"] = column
    cells["value"] = value
    if time is not None:
        cells["time"] = time

    return cells


def cells_of(
    source: Ratings | str | Path, scratch: Path, report: Progress, reading: dict[str, Any]
) -> CellSource:
    """The cells of ratings in memory, of a file, or of a folder of the Netflix Prize's files.

    Args:
        source: the ratings or the path.
        scratch: a folder for a file of cells.
        report: called with percent done and what is being done.
        reading: how a file is read, as in `recollect.read`.

    Raises:
        DataError: if there are no ratings, or an entry cannot be used.
    """
    if isinstance(source, Ratings):
        return _cells_of_ratings(source)

    path = Path(source)
    files = prize_files.find(path)
    if files is not None:
        return _cells_of_netflix(path, files, scratch / "cells", report, **reading)

    return _cells_of_file(path, scratch / "cells", report, **reading)


def _no_ratings(source: object) -> DataError:
    return DataError(f"There are no ratings in {source}; expected at least one.")


def _cells_of_ratings(ratings: Ratings) -> CellSource:
    def blocks() -> Iterator[np.ndarray]:
        for first in range(0, len(ratings), BLOCK):
            part = slice(first, first + BLOCK)
            user = ratings.user[part]
            item = ratings.item[part]
            value = ratings.value[part]
            yield make_cells(user, item, value)

    if not len(ratings):
        raise _no_ratings(repr(ratings))

    return CellSource(
        users=ratings.users,
        items=ratings.items,
        count=ratings.count("user"),
        blocks=blocks(),
        name=ratings.name,
        scale=ratings.scale,
        notes=ratings.notes,
        catalogue=ratings.catalogue,
    )


def _read_cells(path: Path) -> Iterator[np.ndarray]:
    """The cells in a file, a block at a time."""
    with path.open("rb") as file:
        while len(cells := np.fromfile(file, CELL, BLOCK)):
            yield cells


@dataclass
class _FileReader:
    """Turns blocks of a file into cells of first-seen numbers; keeps sample values."""

    values: Float32[np.ndarray, " some"] = field(default_factory=lambda: np.empty(0, np.float32))
    n_ratings: int = 0

    def cells(self, block: Block) -> np.ndarray:
        """The cells of a block, with times in the unit of the file."""
        self.n_ratings += len(block.value)
        self.values = _values_for_scale(np.concatenate([self.values, block.value]))

        return make_cells(block.user, block.item, block.value, block.time)


def _values_for_scale(value: Float32[np.ndarray, " some"]) -> Float32[np.ndarray, " few"]:
    """A few of the values, from which `infer_scale` infers the same as from all."""
    value = np.unique(value)
    if len(value) <= DISTINCT:
        return value

    extremes = value[[0, -1]]
    is_whole = value == np.rint(value)
    not_whole = value[~is_whole][:1]
    doubled = value * 2
    is_half = doubled == np.rint(doubled)
    not_half = value[~is_half][:1]

    return np.unique(np.concatenate([extremes, not_whole, not_half]))


def _cells_of_file(
    path: Path,
    spool: Path,
    report: Progress,
    *,
    scale: Any = None,
    name: str | None = None,
    **reading: Any,
) -> CellSource:
    """The cells of a file; they go to `spool` first, as row numbers depend on all ids."""
    requested = {role: reading.pop(role, None) for role in ROLES}
    parser = BlockParser(scale, time_is_required=requested["time"] is not None)
    reader = _FileReader()
    table = open_table(path, requested, Format(**reading))

    with spool.open("wb") as out:
        for frame, locate in table.frames():
            if len(frame):
                reader.cells(parser.parse(frame, locate)).tofile(out)
                report(0, f"read {reader.n_ratings:,} ratings")

    if not reader.n_ratings:
        raise _no_ratings(path)

    users = parser.users.ids()
    items = parser.items.ids()
    seconds_of = parser.seconds_of if parser.has_times() else None
    scale, note = _scale_and_note(parser, reader)

    return CellSource(
        users=users.vocab,
        items=items.vocab,
        count=_count_rows(spool, users),
        blocks=_renumbered(spool, users.row, items.row, seconds_of),
        name=name or name_of(path),
        scale=scale,
        notes=(
            *table.notes,
            *parser.notes,
            *notes_on_ids(users, "user"),
            *notes_on_ids(items, "item"),
            *note,
        ),
    )


def _scale_and_note(
    parser: BlockParser, reader: _FileReader
) -> tuple[tuple[float, float], tuple[str, ...]]:
    """The scale, inferred from the ratings if it was not given, and then a note."""
    if parser.scale is not None:
        return parser.scale, ()

    scale = infer_scale(reader.values)

    return scale, (f"Scale {scale[0]:g} to {scale[1]:g}, inferred from the ratings.",)


def _count_rows(spool: Path, users: Ids) -> Int64[np.ndarray, " n_users"]:
    """The cells of each user in a file of cells."""
    count = np.zeros(len(users.vocab), np.int64)

    for cells in _read_cells(spool):
        row = users.row[cells["row"]]
        count += np.bincount(row, minlength=len(count))

    return count


def _renumbered(
    spool: Path,
    rows: np.ndarray,
    columns: np.ndarray,
    seconds_of: Callable[[np.ndarray], np.ndarray] | None,
) -> Iterator[np.ndarray]:
    """The cells of a file under other numbers, with times in seconds.

    Args:
        spool: the file.
        rows: the row of each number.
        columns: the column of each number.
        seconds_of: turns times of the file into seconds; None: the cells have no times.
    """
    for cells in _read_cells(spool):
        row = rows[cells["row"]]
        column = columns[cells["column"]]
        time = None if seconds_of is None else seconds_of(cells["time"])
        yield make_cells(row, column, cells["value"], time)


def _cells_of_netflix(
    folder: Path,
    files: prize_files.Files,
    spool: Path,
    report: Progress,
    *,
    name: str | None = None,
) -> CellSource:
    """The cells of the Netflix Prize's files, whose ids are numbers."""
    count_of_user = np.zeros(N_USERS + 1, np.int64)
    count_of_film = np.zeros(N_FILMS + 1, np.int64)

    with spool.open("wb") as out:
        for block in prize_files.blocks(files.ratings):
            film = np.repeat(block.film, block.count)
            make_cells(block.user, film, block.value, block.day).tofile(out)
            count_of_user += np.bincount(block.user, minlength=len(count_of_user))
            count_of_film += np.bincount(film, minlength=len(count_of_film))
            report(0, f"read {int(count_of_film.sum()):,} ratings")

    user_ids = np.flatnonzero(count_of_user)
    film_ids = np.flatnonzero(count_of_film)
    if not len(user_ids):
        raise _no_ratings(folder)

    row_of_user = np.cumsum(count_of_user > 0) - 1
    row_of_film = np.cumsum(count_of_film > 0) - 1

    return CellSource(
        users=Vocab(pl.Series(user_ids)),
        items=Vocab(pl.Series(film_ids)),
        count=count_of_user[user_ids],
        blocks=_renumbered(spool, row_of_user, row_of_film, np.asarray),  # days order, too
        name=name or folder.resolve().name,
        scale=(1.0, 5.0),
        catalogue=None if files.titles is None else prize_files.titles(files.titles),
    )
