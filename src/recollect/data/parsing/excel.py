"""The first sheet of an Excel workbook as CSV, so that it is read as any text is."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from pathlib import Path
from typing import Any

from recollect.errors import DataError, SettingError


def as_csv(path: Path) -> bytes:
    """The one sheet of a workbook that is not empty, as CSV in UTF-8.

    Raises:
        SettingError: if the package openpyxl is not installed.
        DataError: if the workbook is damaged, or several of its sheets have rows.
    """
    try:
        import openpyxl
    except ImportError as missing:
        raise SettingError(
            f"{path} is an Excel workbook, and reading it needs a package: pip install "
            "'recollect[excel]'. Or save the sheet as CSV."
        ) from missing

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = {sheet.title: _rows(sheet) for sheet in book.worksheets}
    except Exception as problem:  # XML, zip and number formats: many kinds of damage
        raise DataError(
            f"{path} is a damaged Excel workbook ({type(problem).__name__}); save it again, or "
            "save the sheet as CSV."
        ) from problem

    filled = {title: rows for title, rows in sheets.items() if rows}
    if len(filled) > 1:
        raise DataError(
            f"{path} has {len(filled)} sheets with rows ({', '.join(filled)}); save the one of "
            "ratings as CSV."
        )

    text = io.StringIO()
    for rows in filled.values():
        csv.writer(text, lineterminator="\n").writerows(rows)

    return text.getvalue().encode()


def _rows(sheet: Any) -> list[list[str]]:
    """The rows of a sheet up to the last that is not blank, without blank columns at their end."""
    rows = [[_text(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    while rows and not any(rows[-1]):
        rows.pop()

    width = 0
    for row in rows:
        filled = [place for place, cell in enumerate(row, start=1) if cell]
        width = max([width, *filled])

    return [row[:width] for row in rows]


def _text(cell: object) -> str:
    """A cell as text, on one line: whole floats as whole numbers, moments in ISO form."""
    if cell is None:
        return ""

    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))

    if isinstance(cell, datetime | date):
        return cell.isoformat()

    return " ".join(str(cell).splitlines())
