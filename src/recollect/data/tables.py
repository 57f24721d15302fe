"""Tables in and out: ids from a file, ratings and other tables into one, by the file's ending."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from recollect.data.parsing.columns import Column
from recollect.data.parsing.files import Format, open_table
from recollect.data.parsing.ids import id_column
from recollect.data.parsing.names import ROLES
from recollect.data.parsing.values import Locate, exact_ratings_in
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.vocab import as_text
from recollect.errors import DataError, SettingError
from recollect.system.atomic_files import replacing

BLOCK = 1 << 22  # ratings written at once: a table takes more memory than the ratings
ENDINGS = (".parquet", ".csv")


def read_ids(
    path: str | Path,
    *roles: str,
    optional: tuple[str, ...] = (),
    like: AnyRatings | None = None,
    columns: Mapping[str, Column] | None = None,
    form: Format | None = None,
) -> pl.DataFrame:
    """Columns of ids or ratings from a file of any kind that `read` reads, with canonical names.

    Ids are text, ratings numbers. Blank lines are left out. A file of one column is read
    if one role is wanted; a first line with its usual name is then a header.

    Args:
        path: of the file.
        roles: the columns to read: "user", "item", "rating", "time".
        optional: columns to read if the file has them.
        like: ratings that the ids belong to; ids are written as these have them. None: as the file
            has them.
        columns: the column of each role by its name or its place; None: found by their usual names,
            or in the order of `roles`.
        form: how the file is read; None: found.

    Raises:
        DataError: if there is no such file, it cannot be read, it lacks a column, or an id is
            missing, or a rating no number.
        SettingError: for an impossible separator or encoding.
    """
    requested = dict.fromkeys(ROLES) | dict(columns or {})
    table = open_table(
        path,
        requested,
        form or Format(),
        required=roles,
        order=(*roles, *(role for role in optional if role == "time")),
    )
    wanted = (*roles, *optional)
    frames = []

    for frame, locate in table.frames():
        part = {role: _stripped(frame[role]) for role in wanted if role in frame.columns}
        _check_ids(part, locate)
        if "rating" in part:
            part["rating"] = exact_ratings_in(part["rating"], locate)

        frames.append(pl.DataFrame(part))

    if not frames:
        raise DataError(f"There are no rows in {path}; expected at least one.")

    return _canonical(pl.concat(frames, how="diagonal_relaxed"), like)


def _stripped(column: pl.Series) -> pl.Series:
    return column.str.strip_chars() if column.dtype == pl.String else column


def _check_ids(columns: Mapping[str, pl.Series], locate: Locate) -> None:
    """Refuse a missing id."""
    for role in ("user", "item"):
        if role not in columns:
            continue

        is_missing = as_text(id_column(columns[role], role, locate)).fill_null("") == ""
        if is_missing.any():
            row = int(is_missing.arg_max() or 0)
            raise DataError(f"{locate(row)}: the {role} id is missing. Correct or remove the line.")


def _canonical(table: pl.DataFrame, like: AnyRatings | None) -> pl.DataFrame:
    """The table with canonical names, and ids as `like` has them."""
    columns = {}

    for role in table.columns:
        column = table[role]
        if role in ("user", "item"):
            column = as_text(column)
            if like is not None:
                vocab = like.users if role == "user" else like.items
                column = vocab.canonical(column)

        columns[canonical_name(role)] = column

    return pl.DataFrame(columns)


def read_item_ratings(
    path: str | Path,
    *,
    like: AnyRatings | None = None,
    columns: Mapping[str, Column] | None = None,
    form: Format | None = None,
) -> dict[str, float]:
    """One user's ratings, item_id → rating, from a file of any kind that `read` reads.

    Args:
        path: of the file.
        like: ratings that the ids belong to; ids are written as these have them. None: as the file
            has them.
        columns: as for `read_ids`.
        form: as for `read_ids`.

    Raises:
        DataError: if the file lacks a column, a rating is not a number, an item stands twice, or
            the ratings are of several users.
    """
    frame = read_ids(
        path,
        "item",
        "rating",
        optional=("user",),
        like=like,
        columns=columns,
        form=form,
    )
    if "user_id" in frame.columns and frame["user_id"].n_unique() > 1:
        users = frame["user_id"].unique(maintain_order=True).head(3).to_list()
        raise DataError(
            f"{path} holds ratings of {frame['user_id'].n_unique():,} users ({users}); expected "
            "those of one person. Make a file for each."
        )

    item_ids = frame["item_id"]
    twice = item_ids.filter(item_ids.is_duplicated())
    if len(twice):
        raise DataError(
            f"{path} rates item {twice[0]!r} more than once; expected each item once. Remove the "
            "other lines."
        )

    return dict(zip(item_ids.to_list(), frame["rating"].to_list(), strict=True))


def canonical_name(role: str) -> str:
    """The name of a role's column in tables that Recollect writes."""
    names = {
        "rating": "rating",
        "time": "timestamp",
    }
    return names.get(role, f"{role}_id")


def check_ending(path: Path) -> None:
    """Refuse a path to write to that is a folder or ends in neither .parquet nor .csv.

    Raises:
        SettingError: saying which.
    """
    if path.suffix not in ENDINGS:
        raise SettingError(
            f"{path} must end in .parquet or .csv, so that it is clear what to write."
        )

    if path.is_dir():
        raise SettingError(f"{path} is a folder; name a file.")


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a table as Parquet or CSV, by the path's ending; all or nothing.

    Raises:
        SettingError: for another ending.
    """
    check_ending(path)

    with replacing(path) as fresh:
        if path.suffix == ".parquet":
            frame.write_parquet(fresh)
        else:
            frame.write_csv(fresh)


def write_ratings(ratings: Ratings, path: Path) -> list[str]:
    """Write ratings as the canonical table, by the path's ending; all or nothing.

    Returns: the names of the columns.

    Raises:
        SettingError: for another ending.
    """
    check_ending(path)
    schema = ratings.where(np.arange(0)).frame().to_arrow().schema

    with replacing(path) as fresh:
        if path.suffix == ".parquet":
            with pq.ParquetWriter(fresh, schema, compression="zstd") as parquet:
                for frame in _in_blocks(ratings):
                    parquet.write_table(frame.to_arrow())
        else:
            with fresh.open("wb") as lines:
                for number, frame in enumerate(_in_blocks(ratings)):
                    frame.write_csv(lines, include_header=number == 0)

    return list(schema.names)


def _in_blocks(ratings: Ratings) -> Iterator[pl.DataFrame]:
    """The canonical table in pieces; of no ratings, one piece with its columns."""
    at_least_one = max(1, len(ratings))

    for first in range(0, at_least_one, BLOCK):
        last = min(first + BLOCK, len(ratings))
        part = ratings.where(np.arange(first, last))
        yield part.frame()
