"""Documents of items: a text for each item id, from a file or a table."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recollect.data.parsing import objects
from recollect.data.parsing.columns import find_text_columns
from recollect.data.parsing.layout import Layout
from recollect.data.parsing.lines import TextLines, check_file, opened
from recollect.data.parsing.parquet import damaged, frame_of
from recollect.data.parsing.quotes import split
from recollect.data.parsing.text_file import Lines, TextFile
from recollect.data.vocab import as_text
from recollect.errors import DataError

Column = str | int | None  # a name, an index (from 0), or None: found by its usual name
RowName = Callable[[int], str]  # what an error message calls a row of a table
SEPARATORS = ("\t", ",", ";", "|")
ID_AND_COLONS = re.compile(r'[^\t,;|"{]*?::')  # how a line of the form id::text begins
PARQUET_MAGIC = b"PAR1"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WHOLE_NUMBER = r"^-?\d+(\.0+)?$"
HEADER_OBJECTS = 100  # JSON objects whose keys are taken as the columns


@dataclass(frozen=True, eq=False)
class Documents:
    """A table of `item_id` and `text` with distinct ids.

    Args:
        table: the columns item_id and text.
        notes: what was changed or left out, a sentence each.
    """

    table: pl.DataFrame
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)


def documents_of(
    source: Any, *, item: Column = None, text: Column = None, join: bool = False
) -> Documents:
    """The documents of a file, a mapping or a data frame.

    Args:
        source: path of a file, mapping of item ids to texts, pandas or Polars frame, or Documents.
        item: the column of item ids; None: found by its usual name.
        text: the column of texts; None: found by its usual name.
        join: whether several texts of an item are joined; otherwise the last one is kept.

    Raises:
        DataError: if the source is of another type, or cannot be read.
    """
    if isinstance(source, Documents):
        return source

    if isinstance(source, str | Path):
        return read_documents(
            source,
            item=item,
            text=text,
            join=join,
        )

    table = _table_of(source, item, text)

    return _distinct(table, (), join=join, row_name=lambda row: f"Document {row}")


def _table_of(source: Any, item: Column, text: Column) -> pl.DataFrame:
    """The columns item_id and text of a mapping or a data frame.

    Raises:
        DataError: for anything else.
    """
    if isinstance(source, Mapping):
        others = [text for text in source.values() if not isinstance(text, str | None)]
        if others:
            raise DataError(f"A document is a text; found {others[0]!r}.")

        texts = pl.Series(list(source.values()), dtype=pl.String)
        return pl.DataFrame({"item_id": as_text(source), "text": texts})

    if isinstance(source, pl.LazyFrame):
        source = source.collect()

    if isinstance(source, pl.DataFrame):
        return _two_columns(source, item, text)

    is_pandas = type(source).__module__.partition(".")[0] == "pandas"
    if is_pandas and hasattr(source, "columns"):
        names = [str(column) for column in source.columns]
        item_index, text_index = find_text_columns(names, item=item, text=text)
        item_ids = as_text(source.iloc[:, item_index].to_numpy())
        texts = as_text(source.iloc[:, text_index].to_numpy())

        return pl.DataFrame({"item_id": item_ids, "text": texts})

    raise DataError(
        f"A {type(source).__name__} holds no documents; pass the path of a file, a mapping of item "
        "ids to texts, or a pandas or Polars frame with the columns item_id and text."
    )


def read_documents(
    path: str | Path, *, item: Column = None, text: Column = None, join: bool = False
) -> Documents:
    """The documents in a file: lines of id::text, CSV or TSV with a header, JSON lines, or Parquet.

    The file may be compressed with gzip or zstd. In lines of id::text, bars in the text become
    blanks, as ConvMF's authors have it. Lines that are not UTF-8 are read as Windows-1252.

    Args:
        path: of the file.
        item: the column of item ids; None: found by its usual name (`names.USUAL`).
        text: the column of texts; None: found by its usual name (`names.TEXT`).
        join: whether several texts of an item (reviews) become one, a line each, in their order;
            otherwise the last one is kept.

    Raises:
        DataError: if the file is missing, empty or damaged, if a column cannot be found, or if a
            line has no item, with the line's number.
    """
    path = Path(path)
    check_file(path, "documents")

    with opened(path) as stream:
        content = stream.read()

    if content.startswith(PARQUET_MAGIC):
        table = _parquet_table(path, content, item, text)
        return _distinct(table, (), join=join, row_name=lambda row: f"Row {row} of {path}")

    lines, notes = _decode(content)
    first_line = next((line for line in lines if line.strip()), "")
    _check_first_line(path, first_line)
    names_columns = item is not None or text is not None
    if ID_AND_COLONS.match(first_line) and not names_columns:
        table, row_name = _colon_table(path, lines)
    elif first_line.lstrip().startswith("{"):
        table, row_name = _json_table(path, lines, item, text)
    else:
        table, row_name = _csv_table(path, lines, item, text)

    return _distinct(table, notes, join=join, row_name=row_name)


def _check_first_line(path: Path, line: str) -> None:
    """Refuse an empty file, and one that is not text."""
    if not line:
        raise DataError(
            f"{path} is empty; expected a document a line, such as 1::A boy's toys come to life."
        )

    if "\x00" in line:
        raise DataError(
            f"{path} is no text file (it holds zero bytes); save it as UTF-8, or as Parquet."
        )


def _decode(content: bytes) -> tuple[list[str], tuple[str, ...]]:
    """The lines as text, and a note on those that are not UTF-8."""
    content = content.removeprefix(BYTE_ORDER_MARK)

    try:
        return [line.rstrip("\r") for line in content.decode().split("\n")], ()
    except UnicodeDecodeError:
        pass

    lines: list[str] = []
    n_windows = 0

    for encoded in content.split(b"\n"):
        line = _decode_utf8(encoded)
        if line is None:
            n_windows += 1
            line = _decode_windows(encoded)

        lines.append(line.rstrip("\r"))

    n_lines = len(lines) if lines[-1] else len(lines) - 1
    note = f"{n_windows:,} of {n_lines:,} lines are not in UTF-8 and were read as Windows-1252."

    return lines, (note,)


def _decode_utf8(line: bytes) -> str | None:
    """The line as text; None if it is not UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _decode_windows(line: bytes) -> str:
    """Windows-1252, or Latin-1 for a line with one of the five bytes that it lacks."""
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _colon_table(path: Path, lines: list[str]) -> tuple[pl.DataFrame, RowName]:
    """Lines of id::text.

    Raises:
        DataError: for a line without "::".
    """
    rows: list[tuple[str, str]] = []
    numbers: list[int] = []

    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue

        item_id, colons, document = line.partition("::")
        if not colons:
            raise DataError(
                f'Line {number} of {path} has no "::": {line[:60]!r}; expected id::text, a '
                "document a line."
            )

        rows.append((item_id, document.replace("|", " ")))
        numbers.append(number)

    table = pl.DataFrame(rows, schema={"item_id": pl.String, "text": pl.String}, orient="row")

    return table, lambda row: f"Line {numbers[row]} of {path}"


def _json_table(
    path: Path, lines: list[str], item: Column, text: Column
) -> tuple[pl.DataFrame, RowName]:
    """JSON objects, one a line.

    Raises:
        DataError: for a line that is no JSON object.
    """
    objects: list[dict[str, Any]] = []
    numbers: list[int] = []

    for number, line in enumerate(lines, start=1):
        if line.strip():
            objects.append(_json_object(path, number, line))
            numbers.append(number)

    columns = _keys(objects[:HEADER_OBJECTS])
    item_index, text_index = find_text_columns(columns, item=item, text=text)
    item_key = columns[item_index]
    text_key = columns[text_index]
    item_ids = as_text([fields.get(item_key) for fields in objects])
    texts = [_one_text(fields.get(text_key)) for fields in objects]
    text_column = pl.Series(texts, dtype=pl.String)
    table = pl.DataFrame({"item_id": item_ids, "text": text_column})

    return table, lambda row: f"Line {numbers[row]} of {path}"


def _keys(objects: list[dict[str, Any]]) -> list[str]:
    """The distinct keys of the objects, in the order in which they come."""
    keys: dict[str, None] = {}
    for fields in objects:
        keys.update(dict.fromkeys(fields))
    return list(keys)


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        DataError: if the line is no JSON, or no object.
    """
    try:
        return objects.parse(line)
    except ValueError as problem:
        raise DataError(
            f"Line {number} of {path} is not JSON as expected ({problem}): {line[:60]!r}; "
            "expected one JSON object a line. Correct or remove it."
        ) from problem


def _one_text(value: Any) -> str | None:
    """A text; a list of paragraphs is joined."""
    if value is None:
        return None
    if isinstance(value, list):
        return " ".join(str(paragraph) for paragraph in value)
    return str(value)


def _csv_table(
    path: Path, lines: list[str], item: Column, text: Column
) -> tuple[pl.DataFrame, RowName]:
    """CSV or TSV, whose first line names the columns.

    Raises:
        DataError: if a column cannot be found, or a line has another number of fields.
    """
    header = next(index for index, line in enumerate(lines) if line.strip())
    columns, separator = _header_columns(lines[header])

    try:
        item_index, text_index = find_text_columns(columns, item=item, text=text)
    except DataError as problem:
        raise DataError(
            f"{path}: {problem} Expected lines of id::text, or a first line that names the columns."
        ) from problem

    layout = Layout(tuple(columns), separator, header=True)
    layout = layout.with_roles({"item": item_index, "text": text_index}, keeps_lines=True)
    block = "\n".join(lines[header + 1 :]).encode()
    tidied, _ = layout.whole_records(block, is_last=True)
    body = Lines(TextFile(TextLines(path), layout), block, header + 2, tidied)

    return body.frame({"item_id": item_index, "text": text_index}), body


def _header_columns(line: str) -> tuple[list[str], str]:
    """The columns that a header names, and the separator: the one that makes the most columns."""
    columns: list[str] = []
    best = SEPARATORS[0]

    for separator in SEPARATORS:
        names, _ = split(line, separator)
        if len(names) > len(columns):
            columns = names
            best = separator

    return [name.strip() for name in columns], best


def _parquet_table(path: Path, content: bytes, item: Column, text: Column) -> pl.DataFrame:
    """The columns item_id and text of a Parquet file.

    Raises:
        DataError: if the file is damaged.
    """
    try:
        table = frame_of(pq.read_table(io.BytesIO(content)), path)
    except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as problem:
        if isinstance(problem, DataError):
            raise

        raise damaged(path) from problem

    return _two_columns(table, item, text)


def _two_columns(table: pl.DataFrame, item: Column, text: Column) -> pl.DataFrame:
    """The columns item_id and text of a frame; lists of paragraphs are joined."""
    item_index, text_index = find_text_columns(table.columns, item=item, text=text)
    texts = table.to_series(text_index)
    if isinstance(texts.dtype, pl.List):
        texts = texts.list.join(" ", ignore_nulls=True)

    item_ids = as_text(table.to_series(item_index))

    return pl.DataFrame({"item_id": item_ids, "text": texts.cast(pl.String)})


def _distinct(
    table: pl.DataFrame, notes: tuple[str, ...], *, join: bool, row_name: RowName
) -> Documents:
    """One document for each item: its last, or all of its texts joined.

    Ids are normalized as those of ratings are: blanks around them and a final ".0" are removed.

    Raises:
        DataError: for a document without an item.
    """
    table = _with_normal_ids(table, row_name)
    if not table["item_id"].is_duplicated().any():
        return Documents(table, notes)

    if join:
        joined_text = pl.col("text").drop_nulls().str.join("\n")
        joined = table.group_by("item_id", maintain_order=True).agg(joined_text)
        note = f"{len(table):,} texts are joined to {len(joined):,} documents, in their order."

        return Documents(joined, (*notes, note))

    last = table.unique("item_id", keep="last", maintain_order=True)
    note = (
        f"Repeated documents: {len(table) - len(last):,} of {len(table):,} left out, the last of "
        "each item kept (join=True joins them)."
    )

    return Documents(last, (*notes, note))


def _with_normal_ids(table: pl.DataFrame, row_name: RowName) -> pl.DataFrame:
    """The table with ids without blanks around them and, if all are whole numbers, without ".0".

    Raises:
        DataError: for a document without an item.
    """
    item_id = pl.col("item_id")
    table = table.with_columns(item_id.str.strip_chars())
    is_empty = table["item_id"] == ""
    is_missing = is_empty.fill_null(True)
    if is_missing.any():
        first_missing = int(is_missing.arg_max() or 0)
        raise DataError(
            f"{row_name(first_missing)}: the item id is missing; every document needs one. Correct "
            "or remove it."
        )

    if table["item_id"].str.contains(WHOLE_NUMBER).all():
        table = table.with_columns(item_id.str.replace(r"\.0+$", ""))

    return table
