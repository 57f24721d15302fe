"""A file becomes frames with the columns user, item, rating and time, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import polars as pl

from recollect.arguments import expect, expect_number
from recollect.data.parsing.columns import Column, find_columns
from recollect.data.parsing.find_layout import find_layout
from recollect.data.parsing.lines import TextLines
from recollect.data.parsing.opening import PARQUET, check_file, first_bytes, refuse_foreign
from recollect.data.parsing.parquet import ParquetTable
from recollect.data.parsing.text_file import TextFile
from recollect.data.parsing.values import Locate
from recollect.data.parsing.wide import WideTable, check_wide
from recollect.errors import SettingError
from recollect.system.door import words


@dataclass(frozen=True)
class Format:
    """How a file is read, where the file does not show it.

    Args:
        header: whether the first line names the columns; None: found.
        separator: between fields; None: found.
        quotes: whether a quote may be a mark around a field.
        encoding: of the text; None: found.
        wide: whether a line holds all ratings of a user, with a column for each item.
        not_rated: the number that means no rating in a wide table, beside a blank; None: none.
    """

    header: bool | None = None
    separator: str | None = None
    quotes: bool = True
    encoding: str | None = None
    wide: bool = False
    not_rated: int | float | None = None

    def __post_init__(self) -> None:
        if self.separator is not None:
            expect("separator", self.separator, str, "a text, such as ';'")

        if self.encoding is not None:
            expect("encoding", self.encoding, str, "a name, such as 'cp1251'")

        if self.not_rated is not None:
            expect_number("not_rated", self.not_rated, "the number that means not rated, such as 0")

        if self.not_rated is not None and not self.wide:
            raise SettingError(
                f"{words('not_rated', '--not-rated')} {self.not_rated:g} is a mark in a table of "
                f"users × items; state {words('wide=True', '--wide')}, too, or leave it out."
            )


@runtime_checkable
class Table(Protocol):
    """A file of ratings, opened."""

    @property
    def notes(self) -> Sequence[str]:
        """What was guessed or left out, when all frames were read."""
        ...

    def frames(self) -> Iterator[tuple[pl.DataFrame, Locate]]:
        """The columns by role, a block at a time, and what says where a row stands."""
        ...


def open_table(
    path: str | Path,
    requested: Mapping[str, Column],
    form: Format,
    *,
    implicit: bool = False,
    required: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
) -> Table:
    """A file of ratings, with the columns user, item, rating and time as far as it has them.

    Args:
        path: of the file: text or Parquet, packed or not.
        requested: the column that the caller names for each role, or None.
        form: how the file is read.
        implicit: the rows are events.
        required: the roles that must have a column; None: as in `find_columns`.
        order: the roles of columns without names; None: as in `find_columns`.

    Raises:
        DataError: if the file is missing, empty, damaged or of another kind, or a column cannot be
            found.
        SettingError: for an impossible separator or encoding.
    """
    path = Path(path)
    check_file(path, "ratings")
    start = first_bytes(path)
    if form.wide:
        check_wide(requested, implicit=implicit)

    if start.startswith(PARQUET):
        return ParquetTable(
            path,
            requested,
            form,
            implicit=implicit,
            required=required,
        )

    refuse_foreign(path, start)
    lines = TextLines(path, form.encoding)
    names = [column for column in requested.values() if isinstance(column, str)]
    layout = find_layout(
        lines,
        separator=form.separator,
        header=form.header,
        column_names=names,
        quotes=form.quotes,
        n_least=1 if required is not None and len(required) == 1 else 2,
    )
    if form.wide:
        return WideTable(TextFile(lines, layout), requested, form.not_rated)

    places = find_columns(
        layout.columns,
        requested,
        named=layout.named,
        implicit=implicit,
        required=required,
        order=order,
    )

    return TextTable(TextFile(lines, layout.with_roles(places)), places)


@dataclass(frozen=True)
class TextTable:
    """A text file of ratings; `places` are those of the columns, by role."""

    file: TextFile
    places: dict[str, int]

    @property
    def notes(self) -> Sequence[str]:
        """What was guessed or left out, when all frames were read."""
        return (*self.file.text.notes, *self.file.layout.notes)

    def frames(self) -> Iterator[tuple[pl.DataFrame, Locate]]:
        """The columns by role as text, a block of lines at a time."""
        yield from self.file.frames(self.places)
