"""The verb data fetch: download a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import recollect as rc
from recollect.cli.output.screen import Answer, Screen
from recollect.errors import unknown


def fetch(
    screen: Screen,
    name: Annotated[
        str, typer.Argument(help="Such as movielens/1m; `recollect data list` lists all.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option(show_default=False, help="Where to keep it (default: the data folder)."),
    ] = None,
) -> Answer:
    """Download a data set unless it is present, and check it."""
    from recollect.data import sources

    if name not in sources.known():
        raise unknown("data set", name, sources.known())

    ratings = rc.load(name, folder)
    data = {
        "name": name,
        "ratings": len(ratings),
        "users": ratings.n_users,
        "items": ratings.n_items,
        "scale": ratings.scale,
        "fingerprint": ratings.fingerprint,
    }

    ready = (
        f"{name} is ready: {len(ratings):,} ratings of {ratings.n_items:,} items by "
        f"{ratings.n_users:,} users."
    )

    return Answer(data, [ready])
