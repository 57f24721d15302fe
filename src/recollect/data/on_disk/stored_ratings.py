"""StoredRatings: ratings on disk, from which models learn without holding all of them in memory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int64
from typing_extensions import override

from recollect.data.on_disk.files import (
    ABOUT,
    CATALOGUE,
    FORMAT,
    NEEDED,
    SIDES,
    VOCABS,
    damaged,
    read_table,
)
from recollect.data.on_disk.stored_rows import StoredRows
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows, pieces
from recollect.data.vocab import Vocab
from recollect.errors import DataError
from recollect.system.atomic_files import checksum

COMPARED = 1 << 20  # cells compared at once


@dataclass(
    frozen=True,
    eq=False,
    repr=False,
)
class StoredRatings(AnyRatings):
    """Ratings on disk, without times; one or two numbers per user and item are in memory.

    Args:
        folder: of the files.
        users: the ids of users.
        items: the ids of items.
        sides: the rows of users and those of items.
        about: the content of about.json.
        catalogue: titles and genres of the items, or None.
        time: None.
    """

    folder: Path
    users: Vocab
    items: Vocab
    sides: dict[Side, StoredRows]
    about: dict[str, Any]
    catalogue: pl.DataFrame | None = None
    time: None = None
    in_memory: ClassVar[bool] = False

    def __len__(self) -> int:
        return self.rows("user").n_cells

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the ratings."""
        return str(self.about["name"])

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What was done beyond storing, a sentence each."""
        return tuple(self.about["notes"])

    @property
    def scale(self) -> tuple[float, float]:  # type: ignore[override]
        """The lowest and the highest possible rating."""
        low, high = self.about["scale"]
        return low, high

    @property
    @override
    def mean(self) -> float:
        total = float(self.total("item").sum())
        return total / len(self)

    @property
    @override
    def variance(self) -> float:
        return float(self.about["variance"])

    @property
    @override
    def fingerprint(self) -> str:
        return str(self.about["fingerprint"])

    @override
    def rows(self, side: Side) -> StoredRows:
        return self.sides[side]

    @override
    def count(self, side: Side) -> Int64[np.ndarray, " rows"]:
        return self.rows(side).counts

    @override
    def total(self, side: Side) -> Float64[np.ndarray, " rows"]:
        return self.rows(side).totals

    @override
    def values(self) -> Iterator[Float32[np.ndarray, " some"]]:
        return self.rows("user").values()

    @override
    def shared(self, other: Ratings) -> int:
        """How many (user, item) pairs both contain; the vocabularies must be the same.

        Only the rows of users with ratings in the other are read.
        """
        users = np.flatnonzero(other.count("user"))
        n_shared = 0

        for part in pieces(self.count("user")[users], rows=len(users), cells=COMPARED):
            rows = self.rows("user").take(users[part])
            other_rows = other.rows("user").take(users[part])
            shared = np.intersect1d(_pairs(rows), _pairs(other_rows), assume_unique=True)
            n_shared += len(shared)

        return n_shared

    @override
    def union(self, other: Ratings) -> Ratings:
        """Not available.

        Raises:
            DataError: always, as these ratings are not in memory.
        """
        raise DataError(
            f"{self!r} is on disk and cannot be joined with other ratings in memory; read the "
            "ratings (recollect.read) and fit on them, or leave out what was to be joined."
        )

    @property
    def valid(self) -> Ratings | None:
        """The validation ratings, with the same vocabularies; None if there are none."""
        return self._held_out("valid")

    @property
    def test(self) -> Ratings | None:
        """The test ratings, with the same vocabularies; None if there are none."""
        return self._held_out("test")

    def _held_out(self, part: str) -> Ratings | None:
        path = self.folder / f"{part}.parquet"
        if not path.is_file():
            return None

        columns = {"user_id": pl.String, "item_id": pl.String, "rating": pl.Float32}
        table = read_table(path, columns)

        return Ratings(
            self.users.rows(table["user_id"]),
            self.items.rows(table["item_id"]),
            table["rating"].to_numpy(),
            self.users,
            self.items,
            scale=self.scale,
            name=f"{self.name} {part}",
            catalogue=self.catalogue,
        )

    def link_into(self, folder: Path) -> None:
        """Make a folder with the files to learn and predict from, as links or else as copies."""
        folder.mkdir()

        for name in NEEDED:
            if not (self.folder / name).exists():
                continue

            try:
                os.link(self.folder / name, folder / name)
            except OSError:
                shutil.copyfile(self.folder / name, folder / name)

        for rows in self.sides.values():
            rows.check_same_file()


def _pairs(rows: Rows) -> Int64[np.ndarray, " cells"]:
    """One number per cell that stands for its row and column."""
    # In 64 bits, as users × items of large data is above 2³¹.
    n_columns = np.int64(rows.n_columns)
    return rows.row * n_columns + rows.column


def is_stored(folder: str | Path) -> bool:
    """Whether the folder holds stored ratings."""
    return (Path(folder) / ABOUT).is_file()


def open_stored(folder: str | Path) -> StoredRatings:
    """The ratings stored in a folder; they are read when they are needed, their counts now.

    Raises:
        DataError: if there are none, a newer version wrote them, or a file is missing, damaged or
            cut short.
    """
    folder = Path(folder)
    if not is_stored(folder):
        raise DataError(
            f"There are no stored ratings in {folder}; recollect.store(ratings, folder) or "
            "`recollect data store` makes such a folder."
        )

    try:
        return _open(folder)
    except (KeyError, TypeError, ValueError, OSError, pl.exceptions.PolarsError) as problem:
        if isinstance(problem, DataError):
            raise

        raise damaged(folder, f"{type(problem).__name__} {problem}") from problem


def _open(folder: Path) -> StoredRatings:
    about = _read_about(folder / ABOUT)

    for name, size in about["files"].items():
        _check_size(folder / name, size)

    columns = {"id": pl.String, "count": pl.Int64, "total": pl.Float64}
    users = read_table(folder / VOCABS["user"], columns)
    items = read_table(folder / VOCABS["item"], columns)
    sides: dict[Side, StoredRows] = {
        "user": _open_rows(folder / SIDES["user"], users, n_columns=len(items)),
        "item": _open_rows(folder / SIDES["item"], items, n_columns=len(users)),
    }
    catalogue = None
    if CATALOGUE in about["files"]:
        catalogue = pl.read_parquet(folder / CATALOGUE)

    return StoredRatings(
        folder,
        Vocab(users["id"]),
        Vocab(items["id"]),
        sides,
        about,
        catalogue=catalogue,
    )


def _read_about(path: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(path.read_bytes())
    if about["format"] > FORMAT:
        raise DataError(
            f"{path.parent} was written by a newer Recollect (format {about['format']}, this one "
            f"reads up to {FORMAT}); upgrade it."
        )

    if about.pop("checksum", None) != checksum(about):
        raise damaged(path, "its checksum is not that of its content")

    return about


def _check_size(path: Path, size: int) -> None:
    if not path.is_file():
        # Held-out ratings may be gone: they are not needed to learn or predict.
        if path.name in NEEDED:
            raise DataError(
                f"{path.parent} lacks {path.name}; it was copied in part: copy it again, or store "
                "anew."
            )
    elif path.stat().st_size != size:
        raise damaged(path, f"it has {path.stat().st_size:,} bytes, expected {size:,}")


def _open_rows(path: Path, vocab: pl.DataFrame, *, n_columns: int) -> StoredRows:
    """The rows of one side, whose counts and totals are those of its vocabulary."""
    count = vocab["count"].to_numpy()
    start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    total = vocab["total"].to_numpy()
    rows = StoredRows(path, start, total, n_columns)
    rows.check()

    return rows
