"""The option by which the user trusts the code of a model from outside the package."""

from __future__ import annotations

from typing import Annotated

import typer

Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="PACKAGE.MODULE:CLASS",
        show_default=False,
        help="Run this class of an installed package if the folder or file names it; repeat it for "
        "more. No other code from outside Recollect is run.",
    ),
]
