"""The verb data store: ratings on disk, to learn from batch by batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import recollect as rc
from recollect.cli.options.fitting import Seed
from recollect.cli.options.source import Columns, Source, netflix_folder, ratings_from
from recollect.cli.output.screen import Answer, Screen


def store(
    screen: Screen,
    source: Source,
    columns: Columns,
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    valid: Annotated[
        float,
        typer.Option(
            help="Validation share of the ratings that are not in test; written to valid.parquet."
        ),
    ] = 0.0,
    test: Annotated[
        float, typer.Option(help="Share of the ratings to test on; written to test.parquet.")
    ] = 0.0,
    seed: Seed = 0,
) -> Answer:
    """Store ratings that memory cannot hold, so that models learn from them batch by batch."""
    whole, arguments = _what_to_store(source, columns)

    with screen.steps("store", 100) as step:
        stored = rc.store(
            whole,
            out,
            valid=valid,
            test=test,
            seed=seed,
            progress=step,
            **arguments,
        )

    by_name = {"valid": stored.valid, "test": stored.test}
    sizes = {name: len(part) for name, part in by_name.items() if part is not None}
    data = {
        "out": out,
        "ratings": len(stored),
        **sizes,
        "users": stored.n_users,
        "items": stored.n_items,
        "scale": stored.scale,
        "fingerprint": stored.fingerprint,
        "notes": stored.notes,
    }

    return Answer(data, _shown(stored, sizes, out))


def _shown(stored: rc.StoredRatings, sizes: dict[str, int], out: Path) -> list[str]:
    """What was stored, and the command to learn from it.

    Args:
        stored: the ratings to learn from.
        sizes: how many ratings were set aside, by the name of the part.
        out: the folder.
    """
    set_aside = "".join(f", {name} {size:,}" for name, size in sizes.items())
    return [
        f"{len(stored):,} ratings of {stored.n_items:,} items by {stored.n_users:,} users stored "
        f"in {out}{set_aside}.",
        *stored.notes,
        "",
        f"Next: recollect train {out} --out RUN --set optimizer=adam --set batch_size=512",
    ]


def _what_to_store(source: str, columns: Columns) -> tuple[Any, dict[str, Any]]:
    """What `recollect.store` reads, and with which arguments: a folder, a file, or ratings.

    A file and a folder of Netflix' files are read block by block, ratings are in memory.

    Args:
        source: as on the command line.
        columns: how to read a file.
    """
    from recollect.data.open_data import kind_of

    kind = kind_of(source)
    folder = None if columns.are_stated else netflix_folder(source)
    if folder is not None:
        return folder, {"name": source} if kind == "name" else {}

    if kind == "file" and columns.events_from is None:
        return source, columns.arguments()

    return ratings_from(source, columns), {}
