"""The options by which `train` shows how a fit goes, and what they do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from recollect.cli.output.screen import Screen
from recollect.errors import SettingError

PANEL = "Watching"


@dataclass(frozen=True)
class Watching:
    """How to show a fit."""

    plot: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw the training curve.", rich_help_panel=PANEL),
    ] = None
    curve: Annotated[
        bool | None,
        typer.Option(
            "--curve/--no-curve",
            show_default=False,
            rich_help_panel=PANEL,
            help="Draw it with characters; if not stated, on a terminal only.",
        ),
    ] = None
    board: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write each epoch's figures here, for TensorBoard.",
            rich_help_panel=PANEL,
        ),
    ] = None
    histograms: Annotated[
        bool,
        typer.Option(
            "--histograms",
            help="With --board: of weights and gradients, too.",
            rich_help_panel=PANEL,
        ),
    ] = False

    def boards(self, out: Path, *, resume: bool) -> tuple[Any, ...]:
        """What is to be called after each epoch of a fit whose folder is `out`, with its figures and the network.

        Raises: SettingError for a picture that could not be drawn, a folder that will not do for a board, or a missing package.
        """
        from recollect import report
        from recollect.training.tensorboard import Board, holds_events

        if self.plot is not None:
            report.check(self.plot)
        if self.board is None:
            if self.histograms:
                raise SettingError(
                    "--histograms are written to a board; name its folder with --board."
                )
            return ()
        if self.board.resolve().is_relative_to(out.resolve()):
            raise SettingError(
                f"--board {self.board} lies in {out}, which is for the model alone; name another folder."
            )
        if holds_events(self.board) and not resume:
            raise SettingError(
                f"{self.board} holds the figures of another fit; name another folder, such as "
                f"{self.board / 'second'}."
            )
        return (Board(self.board, histograms=self.histograms),)

    def drawn(self, screen: Screen, history: Any, *, title: str) -> list[RenderableType]:
        """Draw the picture asked for; the curve, if it is to be seen."""
        from recollect import report

        if self.plot is not None:
            report.curve(history, self.plot, title=title)
        on_terminal = screen.out.is_terminal and len(history) > 0
        if not (on_terminal if self.curve is None else self.curve):
            return []
        return [screen.curve(history.epochs, kept=history.best_epoch), ""]
