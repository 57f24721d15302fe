"""A file becomes frames with the columns user, item, rating and time, a block at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recollect.data.parsing.columns import Column, find_columns
from recollect.data.parsing.layout import find_layout
from recollect.data.parsing.lines import check_file, opened
from recollect.data.parsing.text_file import TextFile
from recollect.data.parsing.values import Locate
from recollect.errors import DataError

BLOCK = 1 << 20  # rows of a Parquet file read at once
PARQUET = b"PAR1"  # the first bytes of a Parquet file


def frames(
    path: str | Path,
    requested: Mapping[str, Column],
    *,
    header: bool | None = None,
    separator: str | None = None,
    implicit: bool = False,
) -> Iterator[tuple[pl.DataFrame, Locate]]:
    """The columns of a file by role, a block at a time, and what says where a row stands.

    The roles are user, item, rating (of events the count, if there is one) and, if there is one,
    time.

    Args:
        path: of the file: text or Parquet, packed or not.
        requested: the column that the caller names for each role, or None.
        header: whether the first line names the columns; None: found.
        separator: between fields; None: found.
        implicit: the rows are events.

    Raises:
        DataError: if the file is missing, empty or damaged, or a column cannot be found.
    """
    path = Path(path)
    check_file(path, "ratings")

    with opened(path) as stream:
        is_parquet = stream.read(len(PARQUET)) == PARQUET

    if is_parquet:
        yield from _parquet_frames(path, requested, implicit=implicit)
        return

    names = [column for column in requested.values() if isinstance(column, str)]
    layout = find_layout(
        path,
        separator=separator,
        header=header,
        column_names=names,
    )
    places = find_columns(layout.columns, requested, named=layout.named, implicit=implicit)
    yield from TextFile(path, layout).frames(places)


def _parquet_frames(
    path: Path, requested: Mapping[str, Column], *, implicit: bool
) -> Iterator[tuple[pl.DataFrame, Locate]]:
    try:
        with opened(path) as stream:
            # A packed stream cannot seek, which Parquet must.
            source = stream if stream.seekable() else io.BytesIO(stream.read())

            with pq.ParquetFile(source) as file:
                names = file.schema_arrow.names
                places = find_columns(names, requested, named=True, implicit=implicit)
                by_role = {role: names[place] for role, place in places.items()}
                columns = sorted(set(by_role.values()))
                n_before = 0

                for batch in file.iter_batches(BLOCK, columns=columns):
                    block = pl.DataFrame(batch)
                    frame = block.select(**{role: pl.col(name) for role, name in by_role.items()})
                    yield frame, partial(_locate_row, path, n_before)
                    n_before += len(block)
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path} is not a readable Parquet file ({error}); make or download it again."
        ) from error


def _locate_row(path: Path, n_before: int, row: int) -> str:
    return f"Row {n_before + row} of {path}"
