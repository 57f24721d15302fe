"""The folder of stored ratings: its files, and the errors for those that cannot be read.

    about.json                     name, scale, variance, fingerprint, notes, format, file sizes
    by_user.parquet                row, column, value: a row per user, sorted by row and column
    by_item.parquet                the same with a row per item
    users.parquet, items.parquet   the vocabularies: id, count and total of the ratings, in order
    catalogue.parquet              titles and genres, if known
    valid.parquet, test.parquet    held-out ratings (user_id, item_id, rating), in neither of these

Each row group of by_user and by_item holds whole rows, about a million cells; it is the unit of
reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recollect.data.ratings import Side
from recollect.errors import DataError

FORMAT = 1  # raised when an older program could not read what a newer one writes
ABOUT = "about.json"
SIDES: dict[Side, str] = {"user": "by_user.parquet", "item": "by_item.parquet"}
VOCABS: dict[Side, str] = {"user": "users.parquet", "item": "items.parquet"}
CATALOGUE = "catalogue.parquet"
NEEDED = (ABOUT, *SIDES.values(), *VOCABS.values(), CATALOGUE)  # to learn and predict from


def read_table(path: Path, columns: dict[str, Any]) -> pl.DataFrame:
    """The columns of a Parquet file, by their types.

    Raises:
        DataError: if it cannot be read or lacks a column.
    """
    try:
        table = pl.read_parquet(path)
        casts = [pl.col(name).cast(dtype) for name, dtype in columns.items()]
        return table.select(casts)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise damaged(path, problem) from problem


def damaged(path: Path, reason: object) -> DataError:
    """The error for a file that cannot be read; it has the first line of the reason."""
    lines = str(reason).splitlines() or ["unreadable"]
    return DataError(
        f"{path} is damaged or cut short ({lines[0]}); copy the folder again, or store anew."
    )
