"""What the verbs of a service share: where its store is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recollect.errors import StoreError

Db = Annotated[
    str,
    typer.Option(
        "--db",
        metavar="FILE|URL",
        envvar="RECOLLECT_DB",
        help="The service's store: the path of a file, or postgresql://….",
    ),
]


def must_exist(db: str) -> None:
    """Refuse the path of a file that is not there, so that a wrong one makes no empty store.

    Raises:
        StoreError: saying what makes a store.
    """
    if "://" not in db and not Path(db).exists():
        raise StoreError(
            f"There is no store at {db}; recollect serve RUN --db {db} or recollect store import "
            f"FILE --db {db} makes one."
        )
