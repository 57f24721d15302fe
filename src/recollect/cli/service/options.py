"""What the verbs of a service share: where its store is."""

from __future__ import annotations

from typing import Annotated

import typer

Db = Annotated[
    str,
    typer.Option(
        "--db",
        metavar="FILE|URL",
        envvar="RECOLLECT_DB",
        help="The service's store: the path of a file, or postgresql://….",
    ),
]
