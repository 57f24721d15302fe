"""What a verb shows: tables for people on standard output, or with --json one object; all else on standard error."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich import box
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from recollect.cli.output import curve
from recollect.errors import SettingError

WIDTH = 100  # columns, where there is no terminal to ask
LINE_SECONDS = 10.0  # between two lines of progress, where there is no terminal for a bar
CURVE_SECONDS = 1.0  # between two drawings of a curve
LEAST_ROWS = 8  # of the terminal that a curve leaves free
EVERYWHERE = "Everywhere"


@dataclass(frozen=True)
class Raw:
    """Text that goes out as it is, whatever the width of the screen."""

    text: str


@dataclass(frozen=True)
class Answer:
    """What a verb found out: `data` for --json, `shown` for people."""

    data: dict[str, Any]
    shown: Sequence[RenderableType | Raw] = ()
    failed: bool = False  # a part of what was asked for could not be done: exit code 1


@dataclass
class Screen:
    """Where a verb writes; its fields are the options that every verb has."""

    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON object on standard output.", rich_help_panel=EVERYWHERE
        ),
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="No progress and no notes on standard error.",
            rich_help_panel=EVERYWHERE,
        ),
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="More notes on standard error.", rich_help_panel=EVERYWHERE
        ),
    ] = False
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            envvar="RECOLLECT_DEBUG",
            help="Show where in the code an error arose.",
            rich_help_panel=EVERYWHERE,
        ),
    ] = False

    def __post_init__(self) -> None:
        self.out, self.err = _console(sys.stdout), _console(sys.stderr)

    def answer(self, answer: Answer) -> None:
        """Print the answer: the only thing that goes to standard output."""
        if self.json:
            print(as_json(answer.data))
            return
        for part in answer.shown:
            if isinstance(part, Raw):
                sys.stdout.write(part.text)
            elif isinstance(part, str):
                self.out.print(Text(part), soft_wrap=not self.out.is_terminal)
            else:
                self.out.print(part)

    def fail(self, kind: str, message: str) -> None:
        """Print an error."""
        if self.json:
            print(as_json({"error": {"kind": kind, "message": message}}))
        else:
            self.err.print(
                Text(message if kind == "stopped" else f"Error: {message}", style="red"),
                soft_wrap=True,
            )

    def say(self, *lines: RenderableType) -> None:
        """Tell what is going on, on standard error."""
        if not self.quiet:
            for line in lines:
                self.err.print(
                    Text(line, style="dim") if isinstance(line, str) else line, soft_wrap=True
                )

    @contextmanager
    def notes(self) -> Iterator[None]:
        """Show what the library logs (scale inferred, duplicates dropped) on standard error."""
        log, handler = logging.getLogger("recollect"), _Notes(self)
        before = log.level
        log.addHandler(handler)
        log.setLevel(
            logging.DEBUG if self.verbose else logging.WARNING if self.quiet else logging.INFO
        )
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(before)

    def curve(self, epochs: Sequence[dict[str, float]], *, kept: int) -> Text:
        """The figures of these epochs as a curve, for the answer."""
        return curve.curve(
            epochs, kept=kept, width=min(self.out.width, WIDTH), plain=self.out.options.ascii_only
        )

    def _has_room(self) -> bool:
        """Whether progress may take many lines."""
        return self.err.is_terminal and not self.json and self.err.height > 2 * LEAST_ROWS

    @contextmanager
    def epochs(
        self, most: int, *, drawn: bool = False
    ) -> Iterator[Callable[[dict[str, float]], None]]:
        """A function to call after each epoch with its figures; shows a bar, or a line now and then without a terminal. If
        `drawn`, the curve so far stands above the bar, where there is room for it."""
        if self.quiet:
            yield lambda figures: None
            return
        bar = _Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TextColumn("at most"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.err,
            transient=True,
            disable=not self.err.is_terminal,
        )
        task, seen, said = (
            bar.add_task("epoch", total=most, figures="", start=False),
            {},
            time.monotonic(),
        )
        epochs: list[dict[str, float]] = []
        drawn_at = -math.inf

        def watch(figures: dict[str, float]) -> None:
            nonlocal said, drawn_at
            if not bar.live.is_started and not bar.disable:
                bar.start()
            bar.start_task(task)
            seen.update(
                {
                    key: value
                    for key, value in figures.items()
                    if key.startswith(("train_", "valid_"))
                }
            )
            text = "  ".join(
                f"{key.replace('_rmse', '')} {value:.4f}" for key, value in seen.items()
            )
            if epochs and figures["epoch"] <= epochs[-1]["epoch"]:
                epochs.clear()  # a second fit
            epochs.append(figures)
            if drawn and self._has_room() and time.monotonic() - drawn_at > CURVE_SECONDS:
                drawn_at = time.monotonic()
                bar.above = curve.curve(
                    epochs,
                    width=min(self.err.width, WIDTH),
                    height=min(11, self.err.height - LEAST_ROWS),
                    plain=self.err.options.ascii_only,
                )
            bar.update(task, completed=int(figures["epoch"]), figures=text)
            if not self.err.is_terminal and time.monotonic() - said > LINE_SECONDS:
                said = time.monotonic()
                self.say(f"epoch {int(figures['epoch'])} of {most}  {text}")

        try:
            yield watch
        finally:
            bar.stop()

    @contextmanager
    def steps(self, what: str, total: int) -> Iterator[Callable[[int, str], None]]:
        """A function to call with how much is done and what comes next."""
        if self.quiet:
            yield lambda done, now: None
            return
        with Progress(
            TextColumn(what),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self.err,
            transient=True,
            disable=not self.err.is_terminal,
        ) as bar:
            task = bar.add_task("", total=total)
            yield lambda done, now: bar.update(task, completed=done, description=now)


class _Bar(Progress):
    """A bar, and what stands above it."""

    above: RenderableType = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.above:
            yield self.above
        yield from super().get_renderables()


class _Notes(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.screen.say(text if record.levelno < logging.WARNING else Text(text, style="yellow"))


def _console(file: IO[str]) -> Console:
    return Console(
        file=file,
        highlight=False,
        width=None if file.isatty() or "COLUMNS" in os.environ else WIDTH,
    )


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None
) -> Table:
    """A table; a column of numbers stands at the right."""
    shown = Table(
        title=None if title is None else Text(title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for j, column in enumerate(columns):
        numbers = all(
            isinstance(row[j], int | float | type(None)) or _is_figure(row[j]) for row in rows
        )
        shown.add_column(column, justify="right" if numbers and rows else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(_cell(value)) for value in row))
    return shown


def facts(pairs: dict[str, Any], *, title: str | None = None) -> Table:
    """Names and values under each other."""
    shown = Table(
        title=None if title is None else Text(title),
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
        shown.add_row(Text(name), Text(_cell(value)))
    return shown


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_figure(value: Any) -> bool:
    return isinstance(value, str) and value[:1] in "0123456789[–"


def memory(megabytes: float) -> str:
    """A size for people."""
    return f"{megabytes:,.0f} MB" if megabytes < 10_000 else f"{megabytes / 1024:,.1f} GB"


def seconds(duration: float) -> str:
    """A duration for people."""
    if duration < 60:
        return f"{duration:.1f} s" if duration >= 0.1 else f"{duration:.2f} s"
    minutes = int(duration // 60)
    return (
        f"{minutes} min {duration % 60:.0f} s"
        if minutes < 60
        else f"{minutes // 60} h {minutes % 60} min"
    )


def as_json(data: Any) -> str:
    """One line of strict JSON: what is not a finite number is null."""
    return json.dumps(_plain(data), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(x) for key, x in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(x) for x in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, Path):
        return str(value)
    return _plain(value.tolist())  # NumPy's numbers and arrays


def settings_of(pairs: Sequence[str], *, option: str = "--set") -> dict[str, Any]:
    """The settings written as key=value: JSON if it is JSON, 500,250 as a tuple, else text.

    Raises: SettingError if one has no "=" or stands twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise SettingError(f"{option} takes KEY=VALUE, such as hidden=500; found {pair!r}.")
        if key.strip() in found:
            raise SettingError(f"{option} {key.strip()} stands twice; give it once.")
        found[key.strip()] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    words = {"True": True, "False": False, "None": None}
    try:
        return words[text] if text in words else json.loads(text)
    except ValueError:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) < 2:
            return text
        return tuple(_value(part) for part in parts if part)
