"""Tables in and out: ids from a file, ratings and other tables into one, by the file's ending."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from recollect.data.parsing.columns import USUAL, place_by_usual_name
from recollect.data.ratings import Ratings
from recollect.errors import DataError, SettingError
from recollect.system.atomic_files import replacing

BLOCK = 1 << 22  # ratings written at once: a table takes more memory than the ratings
ENDINGS = (".parquet", ".csv")


def read_ids(path: str | Path, *roles: str, optional: tuple[str, ...] = ()) -> pl.DataFrame:
    """Columns of ids or ratings from a CSV or Parquet file, with canonical names, as text in a CSV.

    Args:
        path: a file whose first line names the columns.
        roles: the columns to read: "user", "item", "rating", "time"; found by their usual names.
        optional: columns to read if the file has them.

    Raises:
        DataError: if there is no such file, it cannot be read, or it lacks a column.
    """
    frame = _read_table(Path(path))
    columns: dict[str, pl.Series] = {}

    for role in (*roles, *optional):
        place = place_by_usual_name(USUAL[role], frame.columns)
        if place is not None:
            column = frame.to_series(place)
            if column.dtype == pl.String:
                column = column.str.strip_chars()

            columns[canonical_name(role)] = column
        elif role in roles:
            raise DataError(
                f"{path} has no column {canonical_name(role)}; it has "
                f"{', '.join(map(repr, frame.columns))}. Its first line must name the columns: "
                f"{','.join(map(canonical_name, roles))}."
            )

    return pl.DataFrame(columns)


def read_item_ratings(path: str | Path) -> dict[str, float]:
    """One user's ratings, item_id → rating, from a CSV or Parquet file.

    Raises:
        DataError: if the file lacks a column, or a rating is not a number.
    """
    frame = read_ids(path, "item", "rating")
    value = frame["rating"].cast(pl.Float64, strict=False)
    if value.null_count():
        row = int(value.is_null().arg_max() or 0)
        raise DataError(
            f"Line {row + 2} of {path}: the rating of item {frame['item_id'][row]!r} is "
            f"{frame['rating'][row]!r}; expected a number."
        )

    return dict(zip(frame["item_id"].cast(pl.String), value, strict=True))


def canonical_name(role: str) -> str:
    """The name of a role's column in tables that Recollect writes."""
    names = {
        "rating": "rating",
        "time": "timestamp",
    }
    return names.get(role, f"{role}_id")


def _read_table(path: Path) -> pl.DataFrame:
    if path.is_dir():
        raise DataError(f"{path} is a folder; a file was expected.")

    if not path.is_file():
        raise DataError(f"There is no file {path}; check the path.")

    with path.open("rb") as stream:
        is_parquet = stream.read(4) == b"PAR1"

    separator = "\t" if path.suffix in (".tsv", ".tab") else ","

    try:
        if is_parquet:
            return pl.read_parquet(path)

        return pl.read_csv(path, infer_schema=False, separator=separator)
    except pl.exceptions.PolarsError as error:
        kind = "Parquet" if is_parquet else "CSV"
        raise DataError(
            f"{path} cannot be read as {kind}: {str(error).splitlines()[0]}."
        ) from error


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
