"""What is wished of lists: conditions, limits, diversity, fresh items, reasons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from recollect.errors import SettingError

WISHES = "What the lists are to be"


@dataclass(frozen=True)
class Wished:
    """The wishes on the command line."""

    where: Annotated[
        str | None,
        typer.Option(
            metavar="QUERY",
            help='Recommend only items that fit, such as "genre:Drama year>=1990 -title:Titanic".',
            rich_help_panel=WISHES,
        ),
    ] = None
    exclude: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Never recommend these items: a CSV with item_id.",
            rich_help_panel=WISHES,
        ),
    ] = None
    at_most: Annotated[
        list[str] | None,
        typer.Option(
            "--at-most",
            metavar="FIELD=N",
            show_default=False,
            help="At most N items of a list may share a value of a field, such as artist=2; repeat "
            "it for more fields.",
            rich_help_panel=WISHES,
        ),
    ] = None
    diversity: Annotated[
        float,
        typer.Option(
            help="How much an item's similarity to those above it counts against it, from 0 to "
            "below 1.",
            rich_help_panel=WISHES,
        ),
    ] = 0.0
    fresh: Annotated[
        float,
        typer.Option(
            help="The least share of fresh items: those that came last or have few events.",
            rich_help_panel=WISHES,
        ),
    ] = 0.0
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Show the items of the user that spoke for each item most.",
            rich_help_panel=WISHES,
        ),
    ] = False

    def arguments(self) -> dict[str, Any]:
        """The arguments of `top_n`, but for those that are read from files.

        Raises:
            SettingError: if a limit is not written as FIELD=N.
        """
        return {
            "where": self.where,
            "at_most": self.limits() or None,
            "diversity": self.diversity,
            "fresh": self.fresh,
        }

    def limits(self) -> dict[str, int]:
        """How many items of a list may share a value, by field.

        Raises:
            SettingError: if one is not written as FIELD=N, or a field has two.
        """
        limits: dict[str, int] = {}

        for text in self.at_most or ():
            name, _, most = text.rpartition("=")
            if not name or not most.strip().isdecimal():
                raise SettingError(
                    f"--at-most {text}: write a field and a whole number, such as artist=2."
                )

            if name in limits:
                raise SettingError(f"--at-most has {name} twice; state one number for it.")

            limits[name] = int(most)

        return limits
