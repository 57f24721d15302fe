"""How ranked lists are judged, where more than one verb judges them."""

from __future__ import annotations

from typing import Annotated

import typer

Field = Annotated[
    str | None,
    typer.Option(
        show_default=False,
        help="Field of the items for diversity and miscalibration (default: genres, categories or "
        "tags, whichever there is).",
    ),
]
Negatives = Annotated[
    int | None,
    typer.Option(
        hidden=True,
        help="Refused: all items are ranked, never a sample of them.",
    ),
]
