"""The verb data convert: ratings as a canonical table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recollect.cli.options.source import Columns, Source, ratings_from
from recollect.cli.output.screen import Answer, Screen


def convert(
    screen: Screen,
    source: Source,
    columns: Columns,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A file that ends in .parquet or .csv.")
    ],
) -> Answer:
    """Write ratings as a table with the columns user_id, item_id, rating, timestamp."""
    from recollect.data.tables import check_ending, write_ratings

    check_ending(out)
    ratings = ratings_from(source, columns)
    names = write_ratings(ratings, out)

    return Answer(
        {"out": out, "ratings": len(ratings), "columns": names},
        [f"{len(ratings):,} ratings written to {out} ({', '.join(names)})."],
    )
