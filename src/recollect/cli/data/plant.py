"""The verb data plant: made-up ratings in the files of a public data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recollect.cli.data.plant_melon import plant_melon
from recollect.cli.options.fitting import Seed
from recollect.cli.output.screen import Answer, Screen
from recollect.errors import unknown


def plant(
    screen: Screen,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    like: Annotated[
        str, typer.Option(help="The data set whose file format is used: netflix or melon.")
    ] = "netflix",
    share: Annotated[
        float,
        typer.Option(
            help="Share of that set's size. Of netflix: of its ratings; users and items shrink by "
            "its square root, so that the density stays."
        ),
    ] = 0.01,
    form: Annotated[
        str,
        typer.Option(
            help="Of netflix: training_set (a file per film) or combined_data (many films a file)."
        ),
    ] = "training_set",
    seed: Seed = 0,
) -> Answer:
    """Write made-up ratings as the files of a public data set, to try its reader without them."""
    from recollect.data.sources.netflix.synthetic import sizes, write_netflix

    if like == "melon":
        return plant_melon(screen, folder, share=share, seed=seed)

    if like != "netflix":
        raise unknown("format of files to plant", like, ["melon", "netflix"])

    n_users, n_items, n_ratings = sizes(share)

    with screen.steps("plant", n_ratings) as step:
        write_netflix(
            folder,
            n_users=n_users,
            n_items=n_items,
            n_ratings=n_ratings,
            form=form,
            seed=seed,
            report=lambda done: step(done, "ratings"),
        )

    written = (
        f"{n_ratings:,} made-up ratings of {n_items:,} films by up to {n_users:,} users written "
        f"to {folder}."
    )

    return Answer(
        {"folder": folder, "users": n_users, "items": n_items, "ratings": n_ratings},
        [written, "", f"Next: recollect data describe {folder}"],
    )
