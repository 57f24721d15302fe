"""The verbs on a store: import, export, move, check, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from recollect.cli.options.source import Columns, Source, ratings_from
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import rows_of, table
from recollect.cli.service.options import Db, must_exist
from recollect.errors import SettingError


def import_(
    screen: Screen,
    source: Source,
    columns: Columns,
    db: Db,
    items: Annotated[
        Path | None,
        typer.Option(
            "--catalogue",
            metavar="FILE",
            help="A table of the items: item_id, title, text and any other fields.",
        ),
    ] = None,
) -> Answer:
    """Write ratings to a store, replacing those of the same user and item."""
    from recollect.data.item_table import item_table
    from recollect.data.ratings import Ratings
    from recollect.serve.store.items import put_items
    from recollect.serve.store.store import open_store
    from recollect.serve.store.tables import import_ratings, items_of_table

    ratings = ratings_from(source, columns)
    if not isinstance(ratings, Ratings):
        raise SettingError(f"{source} is a stored folder; name the file that it was made from.")

    facts = [] if items is None else list(items_of_table(item_table(items)))
    with open_store(db) as store, store.database.transaction() as session:
        put_items(session, facts)
        done = import_ratings(session, ratings)

    shown = [
        f"{done.n_ratings:,} ratings written; {done.n_users:,} users and {done.n_items:,} items "
        "are new."
    ]
    if done.n_forgotten:
        shown.append(f"{done.n_forgotten:,} ratings of forgotten users were left out.")

    return Answer(vars(done), shown)


def export(
    screen: Screen,
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the tables are written.")],
    db: Db,
    since: Annotated[int, typer.Option(help="Ratings and events after this place in the log.")] = 0,
) -> Answer:
    """Write the ratings, the items and the log of a store as Parquet."""
    from recollect.data.tables import write_table
    from recollect.serve.store.store import open_store
    from recollect.serve.store.tables import events_table, items_table, ratings_table

    must_exist(db)
    with open_store(db) as store, store.database.snapshot() as session:
        tables = {
            "ratings": ratings_table(session, since=since),
            "items": items_table(session),
            "events": events_table(session, since=since),
        }

    for name, frame in tables.items():
        write_table(frame, out / f"{name}.parquet")

    counts = {name: len(frame) for name, frame in tables.items()}
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items())

    return Answer({"out": out, **counts}, [f"{listed} written to {out}."])


def move(
    screen: Screen,
    source: Annotated[str, typer.Argument(metavar="FROM", help="The store: a file or a URL.")],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="A new file, or the URL of an empty database.")
    ],
) -> Answer:
    """Copy a whole store, and compare every row afterwards. Stop its service first."""
    from recollect.serve.store.moving import move as move_store

    must_exist(source)
    moved = move_store(source, target, progress=lambda name: screen.say(f"{name} …"))
    total = sum(moved.counts.values())

    return Answer(
        {"rows": moved.counts},
        [f"{total:,} rows of {len(moved.counts)} tables copied and compared. FROM is unchanged."],
    )


def check(screen: Screen, db: Db) -> Answer:
    """Look whether a store is whole and agrees with itself."""
    from recollect.serve.store.moving import check as check_store

    must_exist(db)
    faults = check_store(db)

    return Answer({"faults": faults}, faults or ["Nothing is wrong."], failed=bool(faults))


def report(screen: Screen, db: Db) -> Answer:
    """How often lists led to an event, by version and arm of an experiment."""
    import polars as pl

    from recollect.serve.report import hit_rates
    from recollect.serve.store.store import open_store

    must_exist(db)
    with open_store(db) as store:
        figures: list[dict[str, Any]] = [vars(one) for one in hit_rates(store.reader())]

    if not figures:
        return Answer({"arms": []}, ["No list was answered yet."])

    frame = pl.DataFrame(figures, infer_schema_length=None)

    return Answer({"arms": figures}, [table(frame.columns, rows_of(frame, frame.columns))])
