"""A table of items: ids, titles and further fields, from a file, a mapping or a data frame."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, cast

import polars as pl

from recollect.data.from_objects import is_table
from recollect.data.parsing.columns import Column
from recollect.data.parsing.find_layout import find_layout
from recollect.data.parsing.lines import TextLines
from recollect.data.parsing.names import USUAL, place_by_usual_name
from recollect.data.parsing.opening import PARQUET, check_file, first_bytes, refuse_foreign
from recollect.data.parsing.parquet import whole_table
from recollect.data.parsing.text_file import TextFile
from recollect.data.vocab import as_text
from recollect.errors import DataError

USUAL_TITLES = ("title", "name", "itemname", "itemtitle", "movietitle", "booktitle", "productname")


def item_table(source: Any, *, item: Column = None, title: Column = None) -> pl.DataFrame:
    """The columns item_id and, if there is one, title, and the others under their own names.

    Args:
        source: path of a file with a header, a mapping of item ids to titles, or a data frame.
        item: the column of item ids: its name, its place from 0, or None: found by its usual name.
        title: the column of titles, like `item`.

    Raises:
        DataError: if the source is of another type, cannot be read, or lacks a column.
    """
    table = _table_of(source)
    names = table.columns
    item_place = _place(names, item, USUAL["item"], role="item")
    if item_place is None:
        raise DataError(
            f"No column of the items looks like their ids; the columns are {_listed(names)}. "
            'Name it: item="sku".'
        )

    title_place = _place(names, title, USUAL_TITLES, role="title")
    if title_place == item_place:
        title_place = None

    columns = {"item_id": as_text(table.to_series(item_place)).str.strip_chars()}
    if title_place is not None:
        titles = as_text(table.to_series(title_place)).str.strip_chars()
        # A blank title is none: the id is shown in its place.
        columns["title"] = titles.replace("", None)

    further = [name for place, name in enumerate(names) if place not in (item_place, title_place)]
    _check_free(further, taken=columns)

    return pl.DataFrame(columns | {name: table[name] for name in further})


def _check_free(names: list[str], *, taken: Container[str]) -> None:
    """Refuse a further column whose name is taken."""
    for name in names:
        if name in taken:
            raise DataError(
                f"The items have a column {name!r} beside the one that is taken as such; rename it."
            )


def _table_of(source: Any) -> pl.DataFrame:
    """A file, mapping or data frame as a Polars frame.

    Raises:
        DataError: for anything else.
    """
    if isinstance(source, str | Path):
        return _read(Path(source))

    if isinstance(source, Mapping):
        titles = as_text(list(source.values()))
        return pl.DataFrame({"item_id": as_text(list(source)), "title": titles})

    if isinstance(source, pl.LazyFrame):
        return source.collect()

    if type(source).__module__.partition(".")[0] == "pandas" and is_table(source):
        # Each by itself, as a column may hold numbers and text.
        columns = {
            str(name): _from_pandas(source.iloc[:, place])
            for place, name in enumerate(source.columns)
        }
        return pl.DataFrame(columns)

    if is_table(source):
        return pl.DataFrame(source)

    raise DataError(
        f"A {type(source).__name__} is no table of items; pass the path of a file, a mapping of "
        "item ids to titles, or a pandas, Polars or Arrow table."
    )


def _from_pandas(column: Any) -> pl.Series:
    if column.dtype == object:
        return as_text(column.to_numpy())
    return cast(pl.Series, pl.from_pandas(column))


def _read(path: Path) -> pl.DataFrame:
    """All columns of a file with a header; those of a text file as text.

    Raises:
        DataError: if it cannot be read.
    """
    check_file(path, "items")
    start = first_bytes(path)
    if start.startswith(PARQUET):
        return whole_table(path)

    refuse_foreign(path, start)
    lines = TextLines(path)
    layout = find_layout(lines, separator=None, header=True, column_names=[])
    # A title or a description may run over several lines.
    layout = layout.with_roles({}, keeps_lines=True)
    names = [str(name).strip() for name in layout.columns]
    _check_distinct(names, path)
    places = {name: place for place, name in enumerate(names)}
    frames = [frame for frame, _ in TextFile(lines, layout).frames(places)]

    return pl.concat(frames)


def _check_distinct(names: list[str], path: Path) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(f"{path} has several columns called {_listed(sorted(twice))}; rename them.")


def _place(names: list[str], stated: Column, usual: tuple[str, ...], *, role: str) -> int | None:
    """The place of a column; None if none is stated and none has a usual name.

    Args:
        names: of all columns.
        stated: its name, its place from 0, or None.
        usual: its usual names.
        role: what is in it, for messages.

    Raises:
        DataError: if the stated column is not there.
    """
    if stated is None:
        return place_by_usual_name(usual, names)

    if isinstance(stated, int) and 0 <= stated < len(names):
        return stated

    if isinstance(stated, str) and stated in names:
        return names.index(stated)

    raise DataError(
        f"The items have no column {stated!r}, which was named for {role}; they have "
        f"{_listed(names)}."
    )


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))
