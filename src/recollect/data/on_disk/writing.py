"""Store ratings in a folder of Parquet (see `stored`), in memory that does not grow with them.

    read      a block at a time; ids are numbered as they are first seen, and the numbers go to a
    file scatter   that file, a block at a time, into one bucket per row group: users that are
    neighbors together sort      each bucket by user, item and time; of each pair the last stays;
    shares are set aside; write a row group turn      scatter and sort the row groups by item

Meanwhile the disk holds up to 48 bytes a rating beside the result. All or nothing is left.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64

from recollect.data.on_disk import stored_ratings
from recollect.data.parsing import columns as roles
from recollect.data.parsing.block import BlockParser, Ids, join_ids
from recollect.data.parsing.files import frames
from recollect.data.parsing.times import unit_of
from recollect.data.parsing.values import infer_scale
from recollect.data.ratings import Ratings, fingerprint
from recollect.data.read import name_of
from recollect.data.sources.netflix import prize_files
from recollect.data.sparse_rows import Rows, pieces
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError
from recollect.system.atomic_files import checksum, replacing

GROUP = 1 << 20  # cells of a row group, about
BLOCK = 1 << 21  # ratings scattered at once
CELL = np.dtype([("row", "<i4"), ("column", "<i4"), ("value", "<f4"), ("time", "<i8")], align=True)
PARQUET = {
    "compression": "lz4",
    "use_dictionary": ["value"],
    "write_page_checksum": True,
    "column_encoding": {"row": "DELTA_BINARY_PACKED", "column": "DELTA_BINARY_PACKED"},
}
SCHEMA = pa.schema({"row": pa.int32(), "column": pa.int32(), "value": pa.float32()})
ASIDE = pa.schema({"user_id": pa.string(), "item_id": pa.string(), "rating": pa.float32()})
DISTINCT = 64  # values that tell the scale

Progress = Callable[[int, str], None]  # percent done, and what is being done


def store(
    source: Ratings | str | Path,
    folder: str | Path,
    *,
    valid: int | float = 0.0,
    test: int | float = 0.0,
    seed: int = 0,
    group_size: int = GROUP,
    progress: Progress | None = None,
    **how: Any,
) -> stored_ratings.StoredRatings:
    """Store ratings, or those in a file, in a new folder from which models learn without holding them in memory.

    A file is read as `read` reads it (`how`: user, item, rating, time, scale, name, header,
    separator), but a block at a time; so is a folder of the Netflix Prize's files (`how`: name). Of
    a pair that stands twice the last stays, by time and then by order. Times are not stored. `test`
    is a share of all ratings and `valid` of those that remain: each rating is drawn by itself, in
    the order of users and items, so the same ratings and seed set aside the same. A row group holds
    whole rows, about `group_size` ratings. `progress` is called with percent done and what comes
    next. If it fails, nothing is left.

    Raises: DataError as `read`, or if nothing remains to learn from; SettingError for an impossible
        share, a folder that
    is not empty, or events.
    """
    folder = Path(folder)
    if how.get("implicit") or (isinstance(source, Ratings) and source.implicit):
        raise SettingError(
            "Events cannot be stored yet, ratings can; hold the events in memory (recollect.read)."
        )
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
    report = progress or (lambda done, now: None)
    with replacing(folder) as fresh:
        fresh.mkdir()
        room = fresh / "room"
        room.mkdir()
        found = (
            _held(source)
            if isinstance(source, Ratings)
            else _films(Path(source), files, room, report, **how)
            if (files := prize_files.find(Path(source))) is not None
            else _spilled(Path(source), room, report, how)
        )
        _write(found, fresh, room, group_size, shares=(test, valid), seed=seed, report=report)
        shutil.rmtree(room)
    return stored_ratings.open_stored(folder)


@dataclass(frozen=True)
class _Found:
    """All ratings, as cells with a row per user, a block at a time; and what is known of them."""

    users: Vocab
    items: Vocab
    count: Int64[np.ndarray, " n_users"]  # of ratings, pairs that stand twice counted twice
    blocks: Iterable[np.ndarray]
    name: str
    scale: tuple[float, float]
    notes: tuple[str, ...]
    catalogue: pl.DataFrame | None = None


def _held(r: Ratings) -> _Found:
    def blocks() -> Iterator[np.ndarray]:
        for first in range(0, len(r), BLOCK):
            part = slice(first, first + BLOCK)
            yield _cells(r.user[part], r.item[part], r.value[part])

    if not len(r):
        raise DataError(f"There are no ratings in {r!r}; expected at least one.")
    return _Found(
        r.users, r.items, r.count("user"), blocks(), r.name, r.scale, r.notes, r.catalogue
    )


def _cells(
    row: np.ndarray, column: np.ndarray, value: np.ndarray, time: np.ndarray | None = None
) -> np.ndarray:
    cells = np.zeros(len(row), CELL)
    cells["row"], cells["column"], cells["value"] = row, column, value
    if time is not None:
        cells["time"] = time
    return cells


def _spilled(path: Path, room: Path, report: Progress, how: dict[str, Any]) -> _Found:
    """Read a file into another of cells, whose rows and columns are numbers of ids in the order first seen."""
    asked = {role: how.pop(role, None) for role in roles.ROLES}
    intake, name = (
        BlockParser(how.pop("scale", None), time_is_required=asked["time"] is not None),
        how.pop("name", None) or name_of(path),
    )
    number: dict[str, dict[str, int]] = {"user": {}, "item": {}}
    values, times, n = (
        np.empty(0, np.float32),
        np.empty(0, np.int64),
        0,
    )  # a few of each, to tell scale and unit
    with (room / "read").open("wb") as out:
        for frame, where in frames(path, asked, **how):
            if len(frame):
                block = intake.parse(frame, where)
                value, time = block.value, block.time
                user, item = (
                    _numbered(number[role], ids.vocab, ids.row)
                    for role, ids in (("user", block.user), ("item", block.item))
                )
                _cells(user, item, value, time).tofile(out)
                values, n = _telling(np.concatenate([values, value])), n + len(value)
                times = (
                    np.empty(0, np.int64)
                    if time is None
                    else np.append(times, time[:: 1 + len(time) // 100])
                )
                report(0, f"read {n:,} ratings")
    if not n:
        raise DataError(f"There are no ratings in {path}; expected at least one.")
    notes = list(intake.notes)
    joined_users, joined_items = (
        join_ids([Ids(Vocab(list(known)), np.arange(len(known), dtype=np.int32))])
        for known in number.values()
    )
    users, user, items, item = (
        joined_users.vocab,
        joined_users.row,
        joined_items.vocab,
        joined_items.row,
    )
    divisor, _ = unit_of(times)
    scale = intake.scale or infer_scale(values)
    if intake.scale is None:
        notes.append(f"Scale {scale[0]:g} to {scale[1]:g}, inferred from the ratings.")

    def blocks() -> Iterator[np.ndarray]:
        for part in _read_back(room):
            time = part["time"] // divisor if len(times) else None
            yield _cells(user[part["row"]], item[part["column"]], part["value"], time)

    count = np.zeros(len(users), np.int64)
    for part in blocks():
        count += np.bincount(part["row"], minlength=len(users))
    return _Found(users, items, count, blocks(), name, scale, tuple(notes))


def _read_back(room: Path) -> Iterator[np.ndarray]:
    """The cells of the file that was read into, a block at a time."""
    with (room / "read").open("rb") as cells:
        while len(part := np.fromfile(cells, CELL, BLOCK)):
            yield part


def _films(
    folder: Path, files: prize_files.Files, room: Path, report: Progress, name: str | None = None
) -> _Found:
    """The same for a folder of the Netflix Prize's files, whose ids are numbers."""
    of_user, of_film = (
        np.zeros(prize_files.N_USERS + 1, np.int64),
        np.zeros(prize_files.N_FILMS + 1, np.int64),
    )
    with (room / "read").open("wb") as out:
        for block in prize_files.blocks(files.ratings):
            film = np.repeat(block.film, block.count)
            _cells(block.user, film, block.value, block.day).tofile(out)
            of_user += np.bincount(block.user, minlength=len(of_user))
            of_film += np.bincount(film, minlength=len(of_film))
            report(0, f"read {int(of_film.sum()):,} ratings")
    users, items = np.flatnonzero(of_user), np.flatnonzero(of_film)
    if not len(users):
        raise DataError(f"There are no ratings in {folder}; expected at least one.")
    user, item = (np.cumsum(count > 0) - 1 for count in (of_user, of_film))
    cells = (
        _cells(user[part["row"]], item[part["column"]], part["value"], part["time"])
        for part in _read_back(room)
    )
    return _Found(
        Vocab(pl.Series(users)),
        Vocab(pl.Series(items)),
        of_user[users],
        cells,
        name or folder.resolve().name,
        (1.0, 5.0),
        (),
        None if files.titles is None else prize_files.titles(files.titles),
    )


def _numbered(known: dict[str, int], vocab: Vocab, code: np.ndarray) -> np.ndarray:
    """The numbers of a block's ids; ids that are new get the next ones."""
    number = np.fromiter(
        (known.setdefault(each, len(known)) for each in vocab.ids.to_list()), np.int32, len(vocab)
    )
    return number[code]


def _telling(value: np.ndarray) -> np.ndarray:
    """A few of the values, from which `infer_scale` sees what it would see from all."""
    value = np.unique(value)
    if len(value) <= DISTINCT:
        return value
    steps = [value[value * step != np.rint(value * step)][:1] for step in (1, 2)]
    return np.unique(np.concatenate([value[[0, -1]], *steps]))


def _write(
    found: _Found,
    folder: Path,
    room: Path,
    size: int,
    *,
    shares: tuple[float, float],
    seed: int,
    report: Progress,
) -> None:
    n_users, n_items, notes = len(found.users), len(found.items), list(found.notes)
    n, kept, square, of_item = int(found.count.sum()), 0, 0.0, np.zeros(n_items, np.int64)
    with (
        _Side(folder / stored_ratings.SIDES["user"], n_users) as by_user,
        _Aside(folder, found, shares, seed) as aside,
    ):
        for cells in _groups(found.blocks, found.count, n_items, room, size):
            kept += len(cells)
            cells = aside.without(cells)
            by_user.write(cells)
            of_item += np.bincount(cells["column"], minlength=n_items)
            square += float(np.square(cells["value"], dtype=np.float64).sum())
            report(40 + 30 * int(by_user.count.sum()) // n, "by user")
    if not by_user.count.any():
        raise DataError(
            f"valid={shares[1]} and test={shares[0]} leave none of {n} ratings to learn from; set "
            f"less aside."
        )
    if kept < n:
        notes.append(
            f"Duplicate pairs: {n - kept:,} of {n:,} ratings dropped, the last of each pair kept."
        )
    with _Side(folder / stored_ratings.SIDES["item"], n_items) as by_item:
        for cells in _groups(
            _turned(folder / stored_ratings.SIDES["user"]), of_item, n_users, room, size
        ):
            by_item.write(cells)
            report(70 + 30 * int(by_item.count.sum()) // n, "by item")
    for side, vocab, written in (("user", found.users, by_user), ("item", found.items, by_item)):
        pl.DataFrame(
            {"id": vocab.ids, "count": written.count, "total": written.total}
        ).write_parquet(folder / stored_ratings.VOCABS[side])  # type: ignore[index]
    if found.catalogue is not None:
        found.catalogue.write_parquet(folder / stored_ratings.CATALOGUE)
    _write_about(
        folder, found, notes, by_user, square, {"shares": shares, "seed": seed, "n": aside.n}
    )


def _groups(
    blocks: Iterable[np.ndarray], counts: np.ndarray, n_columns: int, room: Path, size: int
) -> Iterator[np.ndarray]:
    """The cells of some rows after the other, about `size` at a time: sorted by row and column, the last of each pair.

    Cells go to a file per group first; `counts` says how many each row has.
    """
    parts = list(pieces(counts, rows=len(counts), cells=size))
    ends = np.array([part.stop for part in parts])
    for cells in blocks:
        group = np.searchsorted(ends, cells["row"], side="right").astype(
            np.min_scalar_type(len(ends))
        )
        order = np.argsort(group, kind="stable")  # by counting, for small numbers
        cut = np.searchsorted(group[order], np.arange(len(ends) + 1))
        for g in map(int, np.flatnonzero(np.diff(cut))):
            with (room / str(g)).open("ab") as out:
                cells.take(order[cut[g] : cut[g + 1]]).tofile(out)
    for g, part in enumerate(parts):
        if (path := room / str(g)).exists():
            cells = np.fromfile(path, CELL)
            path.unlink()
            cells = (
                cells.take(np.argsort(cells["time"], kind="stable"))
                if cells["time"].any()
                else cells
            )
            _, order = Rows.group(
                cells["row"] - part.start,
                cells["column"],
                n_rows=part.stop - part.start,
                n_columns=n_columns,
            )
            cells = cells.take(order)
            changes = (np.diff(cells["row"]) != 0) | (np.diff(cells["column"]) != 0)
            yield cells[np.append(changes, True)]


def _turned(path: Path) -> Iterator[np.ndarray]:
    """The cells of a file, rows as columns, a row group at a time."""
    with pq.ParquetFile(path) as file:
        for g in range(file.num_row_groups):
            table = file.read_row_group(g)
            yield _cells(*(table.column(name).to_numpy() for name in ("column", "row", "value")))


class _Side:
    """One of the two files of cells while it is written, and what it holds of each row."""

    def __init__(self, path: Path, n_rows: int) -> None:
        self.count, self.total = np.zeros(n_rows, np.int64), np.zeros(n_rows)
        self._out = pq.ParquetWriter(path, SCHEMA, **PARQUET)

    def __enter__(self) -> _Side:
        self._out.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self._out.__exit__(*problem)

    def write(self, cells: np.ndarray) -> None:
        """Write a row group of whole rows that come after those written."""
        if not len(cells):
            return
        rows = slice(int(cells["row"][0]), int(cells["row"][-1]) + 1)
        within = cells["row"] - rows.start
        self.count[rows] += np.bincount(within)
        self.total[rows] += np.bincount(within, weights=cells["value"])
        table = pa.table(
            [np.ascontiguousarray(cells[name]) for name in SCHEMA.names], schema=SCHEMA
        )
        self._out.write_table(table, row_group_size=len(cells))


class _Aside:
    """What is set aside, drawn rating by rating: a share for test, and of the rest a share for validation."""

    def __init__(self, folder: Path, found: _Found, shares: tuple[float, float], seed: int) -> None:
        self.random, self.users, self.items = np.random.default_rng(seed), found.users, found.items
        test, valid = shares
        self.until = {"test": test, "valid": test + (1 - test) * valid}
        self.n = {name: 0 for name, share in zip(self.until, shares, strict=True) if share}
        self._stack = ExitStack()
        self._out = {
            name: pq.ParquetWriter(folder / f"{name}.parquet", ASIDE, compression="zstd")
            for name in self.n
        }

    def __enter__(self) -> _Aside:
        for out in self._out.values():
            self._stack.enter_context(out)
        return self

    def __exit__(self, *problem: Any) -> None:
        self._stack.__exit__(*problem)

    def without(self, cells: np.ndarray) -> np.ndarray:
        """The cells that are not drawn; the others are written."""
        if not self._out:
            return cells
        drawn, above = self.random.random(len(cells)), 0.0
        for name, until in self.until.items():
            if name in self._out:
                part = cells[(drawn >= above) & (drawn < until)]
                ids = (self.users.at(part["row"]), self.items.at(part["column"]))
                self._out[name].write_table(
                    pa.table(
                        [
                            *(x.to_arrow().cast(pa.string()) for x in ids),
                            np.ascontiguousarray(part["value"]),
                        ],
                        schema=ASIDE,
                    )
                )
                self.n[name] += len(part)
            above = until
        return cells[drawn >= above]


def _write_about(
    folder: Path,
    found: _Found,
    notes: list[str],
    by_user: _Side,
    square: float,
    aside: dict[str, Any],
) -> None:
    n, start = int(by_user.count.sum()), np.append(0, np.cumsum(by_user.count))
    rows = stored_ratings.StoredRows(
        folder / stored_ratings.SIDES["user"], start, by_user.total, len(found.items)
    )
    columns = [rows.column(name) for name in ("row", "column", "value")]
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    about = {
        "format": stored_ratings.FORMAT,
        "name": found.name,
        "n_ratings": n,
        "n_users": len(found.users),
        "n_items": len(found.items),
        "scale": list(found.scale),
        "variance": square / n - (by_user.total.sum() / n) ** 2,
        "aside": aside,
        "notes": notes,
        "fingerprint": fingerprint(found.users, found.items, found.scale, [*columns, None]),
        "files": files,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("recollect"),
    }
    (folder / "about.json").write_text(json.dumps({**about, "checksum": checksum(about)}, indent=1))
