"""Documents of items: a text for each item id, from a file or a table."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from recollect.data.parsing.columns import pick_text
from recollect.data.parsing.lines import Layout, Lines, TextFile, opened
from recollect.data.vocab import as_text
from recollect.errors import DataError

Column = str | int | None  # its name, its place (from 0), or None: found by its usual name
SEPARATORS = ("\t", ",", ";", "|")
OPENS = re.compile(r'[^\t,;|"{]*?::')  # how a line of the form id::text begins


@dataclass(frozen=True, eq=False)
class Documents:
    """Texts by item: a table of `item_id` and `text`, each id once; and what was done beyond reading, a sentence each."""

    table: pl.DataFrame
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)


def documents_of(
    source: Any, *, item: Column = None, text: Column = None, join: bool = False
) -> Documents:
    """The documents of a file (its path), a mapping of item ids to texts, or a pandas or Polars frame; see `read_documents`.

    Raises: DataError as `read_documents`, and for anything else.
    """
    if isinstance(source, Documents):
        return source
    if isinstance(source, str | Path):
        return read_documents(source, item=item, text=text, join=join)
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, Mapping):
        frame = pl.DataFrame(
            {"item_id": as_text(source), "text": pl.Series(list(source.values()), dtype=pl.String)}
        )
    elif isinstance(source, pl.DataFrame):
        frame = _picked(source, item, text)
    elif type(source).__module__.partition(".")[0] == "pandas":
        places = pick_text([str(column) for column in source.columns], item=item, text=text)
        frame = pl.DataFrame(
            {
                name: as_text(source.iloc[:, place].to_numpy())
                for name, place in zip(("item_id", "text"), places, strict=True)
            }
        )
    else:
        raise DataError(
            f"A {type(source).__name__} holds no documents; pass the path of a file, a mapping of item ids to texts, "
            "or a pandas or Polars frame with the columns item_id and text."
        )
    return _distinct(frame, (), join=join, where=lambda row: f"Document {row}")


def read_documents(
    path: str | Path, *, item: Column = None, text: Column = None, join: bool = False
) -> Documents:
    """The documents in a file: lines of id::text, CSV or TSV with a header, JSON lines, Parquet; packed with gzip or zstd or not.

    Columns are found by their usual names (`columns.USUAL`, `columns.TEXT`). In id::text, bars in the text become blanks, as
    ConvMF's authors have it. Of several documents of an item the last is kept; with `join` they are put together, a line each, in
    their order (reviews). Lines that are not UTF-8 are read as Windows-1252.

    Raises: DataError if the file is missing, empty or damaged, a column cannot be found, or a line has no item; it names the
    line.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"{path} is a folder; expected a file of documents."
            if path.is_dir()
            else f"There is no file {path} (looked in {path.absolute().parent}); check the path."
        )
    with opened(path) as stream:
        content = stream.read()
    if content[:4] == b"PAR1":
        return _distinct(
            _parquet(path, content, item, text),
            (),
            join=join,
            where=lambda row: f"Row {row} of {path}",
        )
    lines, notes = _decoded(content)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise DataError(
            f"{path} is empty; expected a document a line, such as 1::A boy's toys come to life."
        )
    if "\x00" in first:
        raise DataError(
            f"{path} is no text file (it holds zero bytes); save it as UTF-8, or as Parquet."
        )
    if OPENS.match(first) and item is None and text is None:
        frame, where = _with_colons(path, lines)
    elif first.lstrip().startswith("{"):
        frame, where = _json(path, lines, item, text)
    else:
        frame, where = _table(path, lines, item, text)
    return _distinct(frame, notes, join=join, where=where)


def _decoded(content: bytes) -> tuple[list[str], tuple[str, ...]]:
    """The lines as text, each by itself where not all are UTF-8, and a note on those that are not."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return [line.rstrip("\r") for line in content.decode().split("\n")], ()
    except UnicodeDecodeError:
        pass
    lines, others = [], 0
    for line in content.split(b"\n"):
        found = _utf8(line)
        others += found is None
        lines.append((_windows(line) if found is None else found).rstrip("\r"))
    return lines, (
        f"{others:,} of {len(lines) - (not lines[-1]):,} lines are not in UTF-8 and were read as Windows-1252.",
    )


def _utf8(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _windows(line: bytes) -> str:
    """Windows-1252, or Latin-1 for a line with one of the five bytes that it lacks."""
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:
        return line.decode("latin-1")


Found = tuple[pl.DataFrame, Callable[[int], str]]  # the table, and what to call a row of it


def _with_colons(path: Path, lines: list[str]) -> Found:
    rows, numbers = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        item_id, colons, document = line.partition("::")
        if not colons:
            raise DataError(
                f'Line {number} of {path} has no "::": {line[:60]!r}; expected id::text, a document a line.'
            )
        rows.append((item_id, document.replace("|", " ")))
        numbers.append(number)
    frame = pl.DataFrame(rows, schema={"item_id": pl.String, "text": pl.String}, orient="row")
    return frame, lambda row: f"Line {numbers[row]} of {path}"


def _json(path: Path, lines: list[str], item: Column, text: Column) -> Found:
    objects, numbers = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as problem:
            raise DataError(
                f"Line {number} of {path} is not JSON ({problem}); expected one object a line. Correct or remove "
                "it."
            ) from problem
        if not isinstance(found, dict):
            raise DataError(
                f"Line {number} of {path} is {line[:60]!r}; expected one JSON object a line."
            )
        objects.append(found)
        numbers.append(number)
    columns = list(dict.fromkeys(name for found in objects[:100] for name in found))
    item_name, text_name = (columns[place] for place in pick_text(columns, item=item, text=text))
    texts = [_one_text(found.get(text_name)) for found in objects]
    frame = pl.DataFrame(
        {
            "item_id": as_text([found.get(item_name) for found in objects]),
            "text": pl.Series(texts, dtype=pl.String),
        }
    )
    return frame, lambda row: f"Line {numbers[row]} of {path}"


def _one_text(value: Any) -> str | None:
    """A text, or a list of paragraphs as one."""
    if isinstance(value, list):
        return " ".join(str(part) for part in value)
    return None if value is None else str(value)


def _table(path: Path, lines: list[str], item: Column, text: Column) -> Found:
    """CSV or TSV; its first line names the columns."""
    number = next(j for j, line in enumerate(lines) if line.strip())
    headers = {
        separator: next(csv.reader([lines[number]], delimiter=separator))
        for separator in SEPARATORS
    }
    separator = max(SEPARATORS, key=lambda s: len(headers[s]))
    columns = [name.strip() for name in headers[separator]]
    try:
        places = pick_text(columns, item=item, text=text)
    except DataError as problem:
        raise DataError(
            f"{path}: {problem} Expected lines of id::text, or a first line that names the columns."
        ) from problem
    layout = Layout(tuple(columns), separator, header=True)
    rest = Lines(TextFile(path, layout), "\n".join(lines[number + 1 :]).encode(), number + 2)
    try:
        return layout.frame(rest.block, {"item_id": places[0], "text": places[1]}), rest
    except pl.exceptions.PolarsError as problem:
        raise rest.fault(problem) from problem


def _parquet(path: Path, content: bytes, item: Column, text: Column) -> pl.DataFrame:
    try:
        table = pl.read_parquet(io.BytesIO(content))
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as problem:
        raise DataError(
            f"{path} is not a readable Parquet file ({problem}); make or download it again."
        ) from problem
    return _picked(table, item, text)


def _picked(table: pl.DataFrame, item: Column, text: Column) -> pl.DataFrame:
    """The columns item_id and text of a frame; a list of paragraphs is one text."""
    item_place, text_place = pick_text(table.columns, item=item, text=text)
    column = table.to_series(text_place)
    if isinstance(column.dtype, pl.List):
        column = column.list.join(" ", ignore_nulls=True)
    return pl.DataFrame(
        {"item_id": as_text(table.to_series(item_place)), "text": column.cast(pl.String)}
    )


def _distinct(
    frame: pl.DataFrame, notes: tuple[str, ...], *, join: bool, where: Callable[[int], str]
) -> Documents:
    """Each item once: its last document, or all of them together. Ids lose what ids of ratings lose (blanks around, ".0").

    Raises: DataError for a document without an item.
    """
    frame = frame.with_columns(pl.col("item_id").str.strip_chars())
    nobodys = (frame["item_id"].is_null() | (frame["item_id"] == "")).fill_null(True)
    if nobodys.any():
        raise DataError(
            f"{where(int(nobodys.arg_max() or 0))}: the item id is missing; every document needs one. Correct or "
            "remove it."
        )
    if frame["item_id"].str.contains(r"^-?\d+(\.0+)?$").all():
        frame = frame.with_columns(pl.col("item_id").str.replace(r"\.0+$", ""))
    several = int(frame["item_id"].is_duplicated().sum())
    if several and join:
        n = frame["item_id"].n_unique()
        notes += (f"{len(frame):,} texts are joined to {n:,} documents, in their order.",)
        frame = frame.group_by("item_id", maintain_order=True).agg(
            pl.col("text").drop_nulls().str.join("\n")
        )
    elif several:
        last = frame.unique("item_id", keep="last", maintain_order=True)
        notes += (
            f"Repeated documents: {len(frame) - len(last):,} of {len(frame):,} left out, the last of each item kept "
            "(join=True puts them together).",
        )
        frame = last
    return Documents(frame, notes)
