"""How a model is fitted, where more than one verb fits."""

from __future__ import annotations

from typing import Annotated

import typer

Seed = Annotated[
    int,
    typer.Option(
        help="Seed of the random numbers; the same seed and number of threads give the same result."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        show_default=False,
        help="Processor cores to use (default: all); results differ by rounding.",
    ),
]
Device = Annotated[str, typer.Option(help="Where to fit: cpu, cuda, cuda:1.")]
