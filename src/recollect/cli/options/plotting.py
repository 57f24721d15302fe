"""The options by which `train` shows how a fit goes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from recollect.cli.output.screen import Screen
from recollect.errors import SettingError

PANEL = "Training curve"

log = logging.getLogger("recollect")


@dataclass(frozen=True)
class Plotting:
    """How to show a fit."""

    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG",
            help="Draw the training curve as a picture.",
            rich_help_panel=PANEL,
        ),
    ] = None
    curve: Annotated[
        bool | None,
        typer.Option(
            "--curve/--no-curve",
            show_default=False,
            help="Draw the training curve with characters (default: on a terminal only).",
            rich_help_panel=PANEL,
        ),
    ] = None
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write each epoch's figures to this folder, for TensorBoard.",
            rich_help_panel=PANEL,
        ),
    ] = None
    board: Annotated[Path | None, typer.Option(hidden=True)] = None  # the former --tensorboard
    histograms: Annotated[
        bool,
        typer.Option(
            "--histograms",
            help="With --tensorboard: write histograms of weights and gradients, too.",
            rich_help_panel=PANEL,
        ),
    ] = False

    @property
    def tensorboard_folder(self) -> Path | None:
        """The folder for TensorBoard, by today's option or the former one; None without either."""
        return self.board if self.tensorboard is None else self.tensorboard

    def files(self) -> dict[str, Path | None]:
        """What is written, by the keys of the answer."""
        folder = self.tensorboard_folder
        former = {"board": folder}
        return {"plot": self.plot, "tensorboard": folder, **former}

    def writers(self, out: Path, *, resume: bool) -> tuple[Callable[..., None], ...]:
        """What to call after each epoch with its figures and the network.

        Args:
            out: the folder of the model, which may hold nothing else.
            resume: whether the fit goes on, and with it the figures in the folder.

        Raises:
            SettingError: for a picture that could not be drawn, a folder that cannot be used, or
                a missing package.
        """
        from recollect import report

        if self.plot is not None:
            report.check(self.plot)

        if self.board is not None:
            log.info("The option --board is now called --tensorboard.")

        if self.tensorboard_folder is not None:
            return (self._tensorboard_writer(self.tensorboard_folder, out, resume=resume),)

        if self.histograms:
            raise SettingError(
                "--histograms are written for TensorBoard; name a folder with --tensorboard."
            )

        return ()

    def _tensorboard_writer(self, folder: Path, out: Path, *, resume: bool) -> Callable[..., None]:
        from recollect.training.tensorboard import TensorBoardLog, holds_events

        if folder.resolve().is_relative_to(out.resolve()):
            raise SettingError(
                f"--tensorboard {folder} lies in {out}, which is for the model alone; name another "
                "folder."
            )

        if holds_events(folder) and not resume:
            raise SettingError(
                f"{folder} holds the figures of another fit; name another folder, such as "
                f"{folder / 'second'}."
            )

        return TensorBoardLog(folder, histograms=self.histograms)

    def draw(self, screen: Screen, history: Any, *, title: str) -> list[RenderableType]:
        """Draw the picture, and return the curve for the answer if it is to be shown.

        Args:
            screen: decides whether there is a terminal.
            history: of the fit.
            title: of the picture.
        """
        from recollect import report

        if self.plot is not None:
            report.curve(history, self.plot, title=title)

        is_shown = self.curve
        if is_shown is None:
            is_shown = screen.out.is_terminal and len(history) > 0

        if not is_shown:
            return []

        return [screen.curve(history.epochs, kept=history.best_epoch), ""]
