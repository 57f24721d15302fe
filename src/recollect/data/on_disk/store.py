"""Store ratings in a folder of Parquet, in memory that does not grow with them.

    cells      read a block at a time; number ids as they are first seen; write cells to a file
    sort       divide that file among the row groups, a file each; sort each by user, item and
               time, and keep the last rating of each pair
    writers    draw test and validation ratings; write the others as a row group
    sort       again, by item; writers write these row groups too

Meanwhile the disk holds up to 48 bytes a rating beside the result. The folder is complete or does
not exist.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from recollect.arguments import expect_path
from recollect.data.fingerprint import fingerprint
from recollect.data.on_disk.cells import CellSource, Progress, cells_of, make_cells
from recollect.data.on_disk.files import ABOUT, CATALOGUE, FORMAT, SIDES, VOCABS
from recollect.data.on_disk.sort import sorted_groups
from recollect.data.on_disk.stored_ratings import StoredRatings, open_stored
from recollect.data.on_disk.stored_rows import StoredRows
from recollect.data.on_disk.writers import HeldOutWriter, SideWriter
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError
from recollect.system.atomic_files import checksum, replacing

GROUP = 1 << 20  # cells of a row group, about


def store(
    source: Ratings | str | Path,
    folder: str | Path,
    *,
    valid: int | float = 0.0,
    test: int | float = 0.0,
    seed: int = 0,
    group_size: int = GROUP,
    progress: Progress | None = None,
    **reading: Any,
) -> StoredRatings:
    """Store ratings, or those in a file, in a new folder from which models learn.

    A file is read as by `read`, but a block at a time, and so is a folder of the Netflix Prize's
    files. Of a repeated pair the last is kept, by time and then by order. Times are not stored.
    Test and validation ratings are drawn one by one in the order of users and items, so the same
    ratings and seed give the same draw. If it fails, nothing is left.

    Args:
        source: ratings, a file, or a folder of the Netflix Prize's files.
        folder: to make; it must be empty or not exist.
        valid: share of validation ratings, of those that are not in test.
        test: share of test ratings, of all.
        seed: of the draw.
        group_size: about how many ratings are in a row group, which holds whole rows.
        progress: called with percent done and what is being done; None: not called.
        reading: arguments of `read` for a file (user, item, rating, time, scale, name, header,
            separator); for a folder of the Netflix Prize's files `name` only.

    Raises:
        DataError: as by `read`, or if nothing remains to learn from.
        SettingError: for an impossible share, a folder that is not empty, or events.
    """
    expect_path("folder", folder, such_as="'stored'")
    if not isinstance(source, Ratings):
        expect_path("source", source, such_as="'ratings.csv', or Ratings")

    folder = Path(folder)
    _check_no_events(source, reading)
    _check_settings(
        folder,
        valid=valid,
        test=test,
        group_size=group_size,
    )

    with replacing(folder) as fresh:
        work = _Work(fresh, group_size, progress or _no_report)
        draw = _Draw(
            test=test,
            valid=valid,
            seed=seed,
        )
        _write_files(source, reading, draw, work)

    return open_stored(folder)


def _no_report(percent: int, step: str) -> None:
    pass


def _check_no_events(source: Ratings | str | Path, reading: dict[str, Any]) -> None:
    """Refuse events, in memory or in a file."""
    is_file_of_events = reading.get("implicit") or reading.get("event_weights")
    if is_file_of_events or (isinstance(source, Ratings) and source.implicit):
        raise SettingError(
            "Events cannot be stored yet, ratings can; hold the events in memory (recollect.read)."
        )


def _check_settings(folder: Path, *, valid: float, test: float, group_size: int) -> None:
    for name, share in (("valid", valid), ("test", test)):
        if not 0 <= share < 1:
            raise SettingError(
                f"{name} is a share of 0 or more and below 1, such as 0.05; found {share}."
            )

    if group_size < 1:
        raise SettingError(
            f"group_size is the ratings of a row group, 1 or more; found {group_size}."
        )

    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise SettingError(f"{folder} exists and is not empty; name a new folder.")


@dataclass(frozen=True)
class _Work:
    """Where the files are written, in row groups of which size, and who is told of progress."""

    folder: Path
    group_size: int
    report: Progress

    @property
    def scratch(self) -> Path:
        """A folder for files that are needed meanwhile."""
        return self.folder / "scratch"


@dataclass(frozen=True)
class _Draw:
    """The shares of test and validation ratings, and the seed that they are drawn by."""

    test: float
    valid: float
    seed: int


def _write_files(
    source: Ratings | str | Path, reading: dict[str, Any], draw: _Draw, work: _Work
) -> None:
    """Write every file of the folder.

    Args:
        source: as in `store`.
        reading: arguments of `read`.
        draw: of the held-out ratings.
        work: where they are written.
    """
    folder = work.folder
    work.scratch.mkdir(parents=True)
    cells = cells_of(source, work.scratch, work.report, reading)
    by_user, n_held_out = _write_by_user(cells, draw, work)
    by_item = _write_by_item(by_user, work)
    _write_vocab(folder / VOCABS["user"], cells.users, by_user)
    _write_vocab(folder / VOCABS["item"], cells.items, by_item)
    if cells.catalogue is not None:
        cells.catalogue.write_parquet(folder / CATALOGUE)

    shutil.rmtree(work.scratch)
    _write_about(folder, cells, by_user, draw, n_held_out)


def _write_by_user(
    cells: CellSource, draw: _Draw, work: _Work
) -> tuple[SideWriter, dict[str, int]]:
    """Write by_user.parquet and the held-out ratings.

    Returns: the writer of by_user.parquet, and the number of held-out ratings by part.

    Raises:
        DataError: if nothing remains to learn from.
    """
    n_items = len(cells.items)
    n_cells = int(cells.count.sum())
    groups = sorted_groups(
        cells.blocks,
        cells.count,
        n_columns=n_items,
        size=work.group_size,
        scratch=work.scratch,
    )
    by_user = SideWriter(work.folder / SIDES["user"], n_rows=len(cells.users), n_columns=n_items)
    held_out = HeldOutWriter(
        work.folder,
        users=cells.users,
        items=cells.items,
        test=draw.test,
        valid=draw.valid,
        seed=draw.seed,
    )

    with by_user, held_out:
        for group in groups:
            remaining = held_out.hold_out(group)
            by_user.write(remaining)
            # Reading counts as the first 40 percent.
            percent = 40 + 30 * by_user.n_cells // n_cells
            work.report(percent, "by user")

    _check_some_left(by_user, draw, n_cells)

    return by_user, held_out.n


def _check_some_left(by_user: SideWriter, draw: _Draw, n_cells: int) -> None:
    """Refuse a draw that leaves none of so many ratings to learn from."""
    if not by_user.n_cells:
        raise DataError(
            f"valid={draw.valid} and test={draw.test} leave none of {n_cells} ratings to learn "
            "from; set less aside."
        )


def _write_by_item(by_user: SideWriter, work: _Work) -> SideWriter:
    """Write by_item.parquet from by_user.parquet."""
    n_users = len(by_user.count)
    n_items = len(by_user.column_count)
    groups = sorted_groups(
        _transposed(work.folder / SIDES["user"]),
        by_user.column_count,
        n_columns=n_users,
        size=work.group_size,
        scratch=work.scratch,
    )

    with SideWriter(work.folder / SIDES["item"], n_rows=n_items, n_columns=n_users) as by_item:
        for group in groups:
            by_item.write(group)
            percent = 70 + 30 * by_item.n_cells // by_user.n_cells
            work.report(percent, "by item")

    return by_item


def _transposed(path: Path) -> Iterator[np.ndarray]:
    """The cells of a file with rows as columns, a row group at a time."""
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number)
            row = table.column("row").to_numpy()
            column = table.column("column").to_numpy()
            value = table.column("value").to_numpy()
            yield make_cells(column, row, value)


def _write_vocab(path: Path, vocab: Vocab, side: SideWriter) -> None:
    columns = {
        "id": vocab.ids,
        "count": side.count,
        "total": side.total,
    }
    pl.DataFrame(columns).write_parquet(path)


def _write_about(
    folder: Path, cells: CellSource, by_user: SideWriter, draw: _Draw, n_held_out: dict[str, int]
) -> None:
    """Write about.json, which holds the size of each other file."""
    n_ratings = by_user.n_cells
    mean = by_user.total.sum() / n_ratings
    mean_of_squares = by_user.sum_of_squares / n_ratings
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    about = {
        "format": FORMAT,
        "name": cells.name,
        "n_ratings": n_ratings,
        "n_users": len(cells.users),
        "n_items": len(cells.items),
        "scale": list(cells.scale),
        "variance": mean_of_squares - mean**2,
        "aside": {"shares": (draw.test, draw.valid), "seed": draw.seed, "n": n_held_out},
        "notes": [*cells.notes, *_note_on_duplicates(cells, by_user, n_held_out)],
        "fingerprint": _fingerprint(folder / SIDES["user"], cells, by_user),
        "files": files,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("recollect"),
    }
    record = {**about, "checksum": checksum(about)}
    (folder / ABOUT).write_text(json.dumps(record, indent=1))


def _note_on_duplicates(
    cells: CellSource, by_user: SideWriter, n_held_out: dict[str, int]
) -> list[str]:
    n_cells = int(cells.count.sum())
    n_dropped = n_cells - by_user.n_cells - sum(n_held_out.values())
    if not n_dropped:
        return []

    return [
        f"Duplicate pairs: {n_dropped:,} of {n_cells:,} ratings dropped, the last of each pair "
        "kept."
    ]


def _fingerprint(path: Path, cells: CellSource, by_user: SideWriter) -> str:
    """The fingerprint that the same ratings have in memory, without their times."""
    start = np.append(0, np.cumsum(by_user.count))
    rows = StoredRows(path, start, by_user.total, len(cells.items))
    columns = [
        rows.column("row"),
        rows.column("column"),
        rows.column("value"),
        None,  # times
    ]

    return fingerprint(cells.users, cells.items, cells.scale, columns)
