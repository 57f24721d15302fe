"""The layout of a text file, found from its first lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from recollect.data.parsing import objects
from recollect.data.parsing.header import Preamble, header_note, looks_like_header, preamble_of
from recollect.data.parsing.layout import Layout, fields
from recollect.data.parsing.lines import TextLines
from recollect.errors import DataError, SettingError
from recollect.system.door import words

SEPARATORS = ("::", "\t", ",", ";", "|", " ")  # in order of preference; " " is any run of blanks
SAMPLE_LINES = 50  # from which separator and header are found


def find_layout(
    lines: TextLines,
    *,
    separator: str | None,
    header: bool | None,
    column_names: Sequence[str],
    quotes: bool = True,
    n_least: int = 2,
) -> Layout:
    """The layout of a file, as stated or else as its first lines show it.

    Args:
        lines: of the file.
        separator: between fields; None: found.
        header: whether the first line names the columns; None: found.
        column_names: that the caller requests; a line that has one of them is a header.
        quotes: whether a quote may be a mark around a field.
        n_least: columns at least.

    Raises:
        DataError: if the file is empty, not text, a JSON array, or no separator fits.
        SettingError: for an impossible separator.
    """
    text = lines.head()
    _check_text(text, lines)
    if separator is not None:
        _check_separator(separator)

    start = text.lstrip()
    if separator is None and start.startswith("["):
        raise DataError(
            f"{lines.path} is one JSON array; expected one JSON object a line (JSON lines). Read "
            "it yourself and pass the table to recollect.from_frame."
        )

    if separator is None and start.startswith("{"):
        return _layout_of_objects(text, lines)

    return _layout_of_fields(
        text,
        lines,
        separator=separator,
        header=header,
        column_names=column_names,
        quotes=quotes,
        n_least=n_least,
    )


def _check_text(text: str, lines: TextLines) -> None:
    if "\x00" in text:
        raise DataError(
            f"{lines.path} is not a text file of ratings in UTF-8 or Latin-1 (it holds zero "
            "bytes); save it as CSV in UTF-8, or as Parquet."
        )

    if not text.strip():
        raise DataError(f"{lines.path} is empty; expected a rating a line, such as 42,1193,5.")


def _check_separator(separator: str) -> None:
    is_impossible = any(mark in separator for mark in '"\r\n') or not separator
    if is_impossible or (len(separator) == 1 and not separator.isascii()):
        raise SettingError(
            f"{separator!r} cannot separate fields; expected such as ',', ';', '|', '::', a tab, "
            "or ' ' for blanks."
        )


def _layout_of_objects(text: str, lines: TextLines) -> Layout:
    names = objects.names_of(text)
    if not names:
        raise DataError(
            f"None of the first lines of {lines.path} is a JSON object with entries; the first "
            f"is {text.lstrip()[:60]!r}. Expected one object a line, or fields between separators."
        )

    return Layout(names, separator=None, header=False)


def _layout_of_fields(
    text: str,
    lines: TextLines,
    *,
    separator: str | None,
    header: bool | None,
    column_names: Sequence[str],
    quotes: bool,
    n_least: int,
) -> Layout:
    preamble = preamble_of(text.split("\n")[:SAMPLE_LINES])
    table = text.split("\n")[preamble.n_lines :]
    sample = "\n".join(table[:SAMPLE_LINES])
    separator = separator or preamble.separator
    if separator is None:
        separator = max(SEPARATORS, key=lambda one: _fit(sample, one, quotes=quotes))

    numbered = list(fields(sample, separator, quotes=quotes)) or [(0, [sample])]
    records = [[field.strip() for field in record] for _, record in numbered]
    if len(records[0]) < n_least:
        raise DataError(
            f"No separator was found in {lines.path}, whose first line is {records[0][0][:80]!r}; "
            'expected fields separated by commas, tabs, "::", semicolons, bars or blanks. Or state '
            f"it: {words('separator=…', '--separator …')}."
        )

    if len(records[0]) == 1:
        separator = ","  # any, as there is one column

    layout = Layout(
        tuple(map(str, range(len(records[0])))),
        separator,
        header=False,
        quotes=quotes,
        n_before=preamble.n_lines,
        notes=preamble.notes,
    )

    return _with_header(layout, preamble, numbered[0][0], records, header, column_names)


def _with_header(
    layout: Layout,
    preamble: Preamble,
    first_line: int,
    records: list[list[str]],
    header: bool | None,
    column_names: Sequence[str],
) -> Layout:
    """The layout with the names of the columns, if a line has them.

    Args:
        layout: without a header.
        preamble: what stands before the table.
        first_line: number of the table's first line that is not blank, from 0.
        records: the fields of the table's first lines.
        header: whether the first line names the columns; None: found.
        column_names: that the caller requests.
    """
    first = records[0]
    is_guessed = header is None
    if header is None:
        header = any(name in column_names for name in first) or looks_like_header(records)

    note = header_note(records, header=header) if is_guessed else None
    notes = layout.notes if note is None else (*layout.notes, note)
    if header:
        names, note = _with_row_names(first, records[1:])
        return replace(
            layout,
            columns=names,
            header=True,
            n_before=preamble.n_lines + first_line + 1,
            notes=notes if note is None else (*notes, note),
        )

    return replace(layout, notes=notes)


def _with_row_names(
    names: list[str], others: list[list[str]]
) -> tuple[tuple[str, ...], str | None]:
    """The names of columns; if each line has a field more, as R writes it, the first has none."""
    n = len(names)
    if others and all(len(record) == n + 1 for record in others):
        note = "Each line has a field more than the header; the first was taken as a row name."
        return ("", *names), note

    return tuple(names), None


def _fit(text: str, separator: str, *, quotes: bool) -> tuple[int, int]:
    """How well a separator fits: lines with as many fields as the first, then fields, up to 3.

    (0, 0) if the first line has one field only.
    """
    widths = [len(record) for _, record in fields(text, separator, quotes=quotes)]
    if not widths or widths[0] < 2:
        return 0, 0

    first = widths[0]
    n_alike = widths.count(first)
    # Up to 3, as a separator that also stands in texts makes many fields.
    return n_alike, min(first, 3)
