"""A list that is to be completed: its songs, tags and title."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

LIST = "A list of items of several kinds, to be completed"


@dataclass(frozen=True)
class ListSoFar:
    """What the command line says of a list."""

    song: Annotated[
        list[str] | None,
        typer.Option(
            "--song",
            metavar="ID",
            show_default=False,
            help="A song of the list; repeat it for more.",
            rich_help_panel=LIST,
        ),
    ] = None
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="TAG",
            show_default=False,
            help="A tag of the list; repeat it for more.",
            rich_help_panel=LIST,
        ),
    ] = None
    title: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The title of the list.",
            rich_help_panel=LIST,
        ),
    ] = None
    known: Annotated[
        list[str] | None,
        typer.Option(
            "--known",
            metavar="KIND=ID",
            show_default=False,
            help="An item of another kind, such as artists=52; repeat it for more.",
            rich_help_panel=LIST,
        ),
    ] = None
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            show_default=False,
            help="List -n items of this kind; repeat it for more kinds (default: all).",
            rich_help_panel=LIST,
        ),
    ] = None

    def chosen(self) -> dict[str, Any]:
        """What is known of the list by kind, as `top_n` takes it.

        Raises:
            SettingError: if an item is not written as KIND=ID.
        """
        from recollect.errors import SettingError

        by_kind: dict[str, Any] = {}
        for kind, ids in (("songs", self.song), ("tags", self.tag)):
            if ids:
                by_kind[kind] = list(ids)

        for text in self.known or ():
            kind, _, own_id = text.partition("=")
            if not kind or not own_id:
                raise SettingError(f"--known {text}: write a kind and an id, such as artists=52.")

            by_kind.setdefault(kind, []).append(own_id)

        if self.title is not None:
            by_kind["title"] = self.title

        return by_kind
