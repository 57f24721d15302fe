"""Parquet files of ratings."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recollect.data.parsing.columns import Column, find_columns
from recollect.data.parsing.opening import opened
from recollect.data.parsing.values import Locate
from recollect.data.parsing.wide import melt
from recollect.errors import DataError, RecollectError

if TYPE_CHECKING:
    from recollect.data.parsing.files import Format

BLOCK = 1 << 20  # rows read at once


class ParquetTable:
    """A Parquet file of ratings.

    Args:
        path: of the file.
        requested: the column that the caller names for each role, or None.
        form: how the file is read.
        implicit: the rows are events.
        required: the roles that must have a column; None: as in `find_columns`.
    """

    def __init__(
        self,
        path: Path,
        requested: Mapping[str, Column],
        form: Format,
        *,
        implicit: bool,
        required: Sequence[str] | None,
    ) -> None:
        self.path = path
        self.requested = requested
        self.form = form
        self.implicit = implicit
        self.required = required
        self.notes: list[str] = []

    def frames(self) -> Iterator[tuple[pl.DataFrame, Locate]]:
        """The columns by role, a block of rows at a time.

        Raises:
            DataError: if the file is damaged, or a column cannot be found.
        """
        try:
            yield from self._frames()
        except RecollectError:
            raise
        except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            raise damaged(self.path) from error

    def _frames(self) -> Iterator[tuple[pl.DataFrame, Locate]]:
        with opened(self.path) as stream:
            # A packed stream cannot seek, which Parquet must.
            source = stream if stream.seekable() else io.BytesIO(stream.read())

            with pq.ParquetFile(source) as file:
                names = file.schema_arrow.names
                if self.form.wide:
                    batches = (batch.to_pylist() for batch in file.iter_batches(BLOCK))
                    yield from self._wide_frames(names, batches)
                    return

                places = find_columns(
                    names,
                    self.requested,
                    named=True,
                    implicit=self.implicit,
                    required=self.required,
                )
                columns = sorted({names[place] for place in places.values()})
                n_before = 0

                for batch in file.iter_batches(BLOCK, columns=columns):
                    block = frame_of(batch, self.path)
                    roles = {role: pl.col(names[place]) for role, place in places.items()}
                    yield block.select(**roles), partial(_locate_row, self.path, n_before)
                    n_before += len(block)

    def _wide_frames(
        self, names: Sequence[str], batches: Iterator[list[dict[str, object]]]
    ) -> Iterator[tuple[pl.DataFrame, Locate]]:
        n_before = 0

        for rows in batches:
            texts = [
                ["" if row[name] is None else str(row[name]) for name in names] for row in rows
            ]
            locate = partial(_locate_row, self.path, n_before)
            yield melt(
                texts,
                names,
                self.requested,
                self.form.not_rated,
                locate=locate,
                first_user=n_before,
                named=True,
            )
            n_before += len(rows)


def whole_table(path: Path) -> pl.DataFrame:
    """All columns of a Parquet file, packed or not.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        with opened(path) as stream:
            source = stream if stream.seekable() else io.BytesIO(stream.read())
            return frame_of(pq.read_table(source), path)
    except RecollectError:
        raise
    except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise damaged(path) from error


def frame_of(batch: pa.RecordBatch | pa.Table, path: Path) -> pl.DataFrame:
    """A batch or a table as a frame; `path` is that of the file, for messages.

    Raises:
        DataError: if its texts are not UTF-8; Polars would take them as they are.
    """
    for column in batch.columns:
        column.validate(full=True)

    # Without the metadata of columns, in which damage makes Polars panic.
    names = [str(name) for name in batch.schema.names]
    plain = type(batch).from_arrays(batch.columns, names=names)

    try:
        return pl.DataFrame(plain)
    except pl.exceptions.PanicException as error:
        raise damaged(path) from error


def damaged(path: Path) -> DataError:
    """The error for a Parquet file that cannot be read."""
    return DataError(f"{path} is not a readable Parquet file; make or download it again.")


def _locate_row(path: Path, n_before: int, row: int) -> str:
    return f"Row {n_before + row} of {path}"
