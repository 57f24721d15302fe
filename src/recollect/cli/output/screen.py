"""Where a verb writes.

The answer goes to standard output: text and tables, or with --json one object. All else, such as
progress, notes and errors, goes to standard error.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from recollect.cli.output.curve import curve
from recollect.cli.output.streams import discard
from recollect.cli.output.visible import visible
from recollect.errors import RecollectWarning
from recollect.system.strict_json import to_json

WIDTH = 100  # columns, where there is no terminal whose width is known
LEAST_WIDTH = 20  # below it nothing can be read
EVERYWHERE = "Everywhere"

EpochWatcher = Callable[[dict[str, float]], None]
StepWatcher = Callable[[int, str], None]


@dataclass(frozen=True)
class Raw:
    """Text to write without wrapping it to the width of the screen."""

    text: str


@dataclass(frozen=True)
class Answer:
    """The answer of a verb: `data` for --json, `shown` for people."""

    data: dict[str, Any]
    shown: Sequence[RenderableType | Raw] = ()
    failed: bool = False  # a part of the task failed: exit code 1


@dataclass
class Screen:
    """The two streams; the fields are the options that every verb has."""

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
            help="Show where in the code an error occurred.",
            rich_help_panel=EVERYWHERE,
        ),
    ] = False

    def __post_init__(self) -> None:
        self._has_output = True  # whether standard output can be written
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr)
        self.warnings: list[str] = []

    def answer(self, answer: Answer) -> None:
        """Print the answer; nothing else goes to standard output.

        Raises:
            OSError: if it cannot be written, now and not when Python ends.
        """
        try:
            self._print(answer)
            sys.stdout.flush()
        except OSError:
            self._has_output = False
            discard(sys.stdout)
            raise

    def _print(self, answer: Answer) -> None:
        if self.json:
            data = answer.data
            if self.warnings:
                data = {**data, "notes": [*data.get("notes", []), *self.warnings]}

            print(to_json(data))
            return

        for part in answer.shown:
            if isinstance(part, Raw):
                sys.stdout.write(visible(part.text) if self.out.is_terminal else part.text)
            elif isinstance(part, str):
                self.out.print(Text(visible(part)), soft_wrap=not self.out.is_terminal)
            else:
                self.out.print(part)

    def fail(self, kind: str, message: str) -> None:
        """Print an error; of kind "stopped", that the user stopped the command."""
        if self.json and self._has_output:
            print(to_json({"error": {"kind": kind, "message": message}}))
            return

        text = message if kind == "stopped" else f"Error: {message}"
        self.err.print(Text(visible(text), style="red"), soft_wrap=True)

    def say(self, *lines: RenderableType) -> None:
        """Print what is going on, on standard error."""
        if self.quiet:
            return
        for line in lines:
            text = Text(visible(line), style="dim") if isinstance(line, str) else line
            self.err.print(text, soft_wrap=True)

    @contextmanager
    def notes(self) -> Iterator[None]:
        """Within this block, show what the library logs or warns of on standard error."""
        log = logging.getLogger("recollect")
        handler = _Notes(self)
        level_before = log.level
        log.addHandler(handler)
        log.setLevel(self._log_level())

        try:
            with warnings.catch_warnings():
                # Each time, not only the first.
                warnings.simplefilter("always", RecollectWarning)
                show = warnings.showwarning
                warnings.showwarning = partial(self._warned, show)
                yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level_before)

    def _warned(
        self, show: Callable[..., None], message: Any, category: type[Warning], *where: Any
    ) -> None:
        """Show a warning of the library as a note, and keep it for --json; others as `show`."""
        if not issubclass(category, RecollectWarning):
            show(message, category, *where)
            return

        self.warnings.append(str(message))
        self.say(Text(str(message), style="yellow"))

    def _log_level(self) -> int:
        if self.verbose:
            return logging.DEBUG
        return logging.WARNING if self.quiet else logging.INFO

    def curve(self, epochs: Sequence[dict[str, float]], *, kept: int) -> Text:
        """The figures of these epochs as a curve, for the answer.

        Args:
            epochs: the figures of each epoch.
            kept: the epoch whose weights were kept; 0: none.
        """
        width = min(self.out.width, WIDTH)
        return curve(
            epochs,
            kept=kept,
            width=width,
            plain=self.out.options.ascii_only,
        )

    @contextmanager
    def epochs(self, most: int, *, drawn: bool = False) -> Iterator[EpochWatcher]:
        """A function to call after each epoch with its figures.

        On a terminal it shows a bar, elsewhere a line now and then.

        Args:
            most: the number of epochs at most.
            drawn: whether to show the curve above the bar, where there are enough lines.
        """
        if self.quiet:
            yield lambda figures: None
            return

        from recollect.cli.output.progress import EpochProgress

        progress = EpochProgress(self, most, drawn=drawn and not self.json)

        try:
            yield progress.show
        finally:
            progress.stop()

    @contextmanager
    def steps(self, what: str, total: int) -> Iterator[StepWatcher]:
        """A function to call with the number of steps that are done, and the next step.

        Args:
            what: the name of the steps, such as "fits".
            total: how many there are.
        """
        if self.quiet:
            yield lambda done, next_step: None
            return

        from recollect.cli.output.progress import step_bar

        with step_bar(self.err, what) as bar:
            task = bar.add_task("", total=total)
            yield lambda done, next_step: bar.update(task, completed=done, description=next_step)


class _Notes(logging.Handler):
    """Shows log records on a screen."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        is_warning = record.levelno >= logging.WARNING
        self.screen.say(Text(visible(message), style="yellow") if is_warning else message)


def _console(file: Any) -> Console:
    stated = os.environ.get("COLUMNS", "")
    width: int | None
    if stated.isdecimal():
        width = max(LEAST_WIDTH, int(stated)) if int(stated) else WIDTH
    else:
        width = None if file.isatty() else WIDTH

    return Console(
        file=file,
        highlight=False,
        width=width,
    )
