"""Tables, and how numbers, sizes and durations are written in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from recollect.cli.output.visible import visible

NONE = "–"
DIGITS = "0123456789"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None
) -> Table:
    """A table with a head line; columns of numbers are aligned right.

    Args:
        columns: their names.
        rows: a value for each column.
        title: above the table; None: none.
    """
    shown = Table(
        title=None if title is None else Text(visible(title)),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )

    for number, column in enumerate(columns):
        is_numeric = bool(rows) and all(_is_number(row[number]) for row in rows)
        shown.add_column(column, justify="right" if is_numeric else "left", overflow="fold")

    for row in rows:
        shown.add_row(*(Text(cell(value)) for value in row))

    return shown


def rows_of(frame: Any, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows of a list as a table shows them: fields of items as they are, a year as 1994.

    Args:
        frame: a list; but for rank, numbers that are whole are fields of items.
        columns: to show.
    """
    import polars as pl
    import polars.selectors as cs

    fields = cs.integer() - cs.by_name("rank", require_all=False)
    shown: list[tuple[Any, ...]] = frame.with_columns(fields.cast(pl.String)).select(columns).rows()

    return shown


def facts(pairs: dict[str, Any], *, title: str | None = None) -> Table:
    """Names and values, one below the other."""
    shown = Table(
        title=None if title is None else Text(visible(title)),
        title_justify="left",
        title_style="bold",
        box=None,
        show_header=False,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")

    for name, value in pairs.items():
        shown.add_row(Text(name), Text(cell(value)))

    return shown


def cell(value: Any) -> str:
    """A value as a table shows it: four decimals, yes or no, a dash for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NONE

    if isinstance(value, bool):
        return "yes" if value else "no"

    if isinstance(value, float):
        return f"{value:.4f}"

    return f"{value:,}" if isinstance(value, int) else visible(str(value))


def _is_number(value: Any) -> bool:
    """Whether a value is a number, or a text that begins like one: 0.91, [0.90, 0.92], –."""
    if isinstance(value, str):
        return value[:1] in f"{DIGITS}[{NONE}"
    return value is None or isinstance(value, int | float)


def interval(low: float, high: float) -> str:
    """The limits of an interval."""
    return f"[{low:.4f}, {high:.4f}]"


def memory(megabytes: float) -> str:
    """A size in megabytes; from 10,000 on in gigabytes."""
    if megabytes < 10_000:
        return f"{megabytes:,.0f} MB"
    return f"{megabytes / 1024:,.1f} GB"


def seconds(duration: float) -> str:
    """A duration in seconds, minutes or hours."""
    if duration < 0.1:
        return f"{duration:.2f} s"

    if duration < 60:
        return f"{duration:.1f} s"

    minutes = int(duration // 60)
    if minutes < 60:
        return f"{minutes} min {duration % 60:.0f} s"

    return f"{minutes // 60} h {minutes % 60} min"
