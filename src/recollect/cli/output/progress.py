"""Progress on standard error: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from recollect.cli.output.curve import curve

WIDTH = 100  # columns of a curve at most
HEIGHT = 11  # lines of a curve at most
LINE_SECONDS = 10.0  # between two lines, where there is no terminal for a bar
CURVE_SECONDS = 1.0  # between two drawings of a curve
FREE_LINES = 8  # lines of the terminal that a curve leaves free


class EpochProgress:
    """Shows how far a fit is: the epoch and its latest figures, and the curve if there is space."""

    def __init__(self, screen: Any, most: int, *, drawn: bool) -> None:
        self.screen = screen
        self.console: Console = screen.err
        self.most = most
        self.draws_curve = (
            drawn and self.console.is_terminal and self.console.height > 2 * FREE_LINES
        )
        self.latest: dict[str, float] = {}
        self.epochs: list[dict[str, float]] = []
        self.line_at = time.monotonic()
        self.curve_at = -math.inf
        self.bar = _epoch_bar(self.console)
        self.task = self.bar.add_task(
            "epoch",
            total=most,
            figures="",
            start=False,
        )

    def show(self, figures: dict[str, float]) -> None:
        """Show the figures of an epoch."""
        if not self.bar.live.is_started and not self.bar.disable:
            self.bar.start()

        self.bar.start_task(self.task)
        self._remember(figures)
        if self.draws_curve and time.monotonic() - self.curve_at > CURVE_SECONDS:
            self.curve_at = time.monotonic()
            self.bar.above = self._curve()

        epoch = int(figures["epoch"])
        self.bar.update(self.task, completed=epoch, figures=self._text())
        if not self.console.is_terminal and time.monotonic() - self.line_at > LINE_SECONDS:
            self.line_at = time.monotonic()
            self.screen.say(f"epoch {epoch} of {self.most}  {self._text()}")

    def stop(self) -> None:
        """Remove the bar."""
        self.bar.stop()

    def _remember(self, figures: dict[str, float]) -> None:
        if self.epochs and figures["epoch"] <= self.epochs[-1]["epoch"]:
            self.epochs.clear()  # the second fit of `refit` begins

        self.epochs.append(figures)

        for name, value in figures.items():
            if name.startswith(("train_", "valid_")):
                self.latest[name] = value

    def _text(self) -> str:
        parts = []

        for name, figure in self.latest.items():
            short = name.replace("_rmse", "")
            parts.append(f"{short} {figure:.4f}")

        return "  ".join(parts)

    def _curve(self) -> RenderableType:
        return curve(
            self.epochs,
            width=min(self.console.width, WIDTH),
            height=min(HEIGHT, self.console.height - FREE_LINES),
            plain=self.console.options.ascii_only,
        )


class _Bar(Progress):
    """A bar with something above it."""

    above: RenderableType = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.above:
            yield self.above
        yield from super().get_renderables()


def _epoch_bar(console: Console) -> _Bar:
    return _Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TextColumn("at most"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def step_bar(console: Console, what: str) -> Progress:
    """A bar for steps that are counted.

    Args:
        console: where to show it; not at all if it is no terminal.
        what: the name of the steps.
    """
    return Progress(
        TextColumn(what),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
