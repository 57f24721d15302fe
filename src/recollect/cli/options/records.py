"""Where the records of experiments are kept, for the verbs that write or read them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ResultsFolder = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="FOLDER",
        show_default=False,
        help="Where records are kept; the folder that the file names, or "
        "runs/results, if not stated.",
    ),
]
