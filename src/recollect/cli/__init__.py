"""The command line: one function per verb. Ids in, tables out; with --json one object for programs.

Modules here import what is heavy inside the verbs, so that help comes at once.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from recollect.cli import ask, compare, data, doctor, experiments, explain, fit
from recollect.cli.output.screen import Screen
from recollect.cli.verb import verb
from recollect.system import allocator

app = typer.Typer(
    name="recollect",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Autoencoders for collaborative filtering: from a ratings file to a recommender.",
)
data_app = typer.Typer(
    no_args_is_help=True,
    help="Data sets: list, fetch, describe, convert, store, plant.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

verb(app)(fit.models)
app.add_typer(data_app, name="data")
verb(data_app, "list")(data.list_known)
verb(data_app)(data.fetch)
verb(data_app)(data.describe)
verb(data_app)(data.convert)
verb(data_app)(data.store)
verb(data_app)(data.plant)
verb(app)(data.split)
verb(app)(fit.train)
verb(app)(ask.evaluate)
verb(app)(ask.predict)
verb(app)(ask.recommend)
verb(app)(ask.similar)
verb(app)(explain.explain)
verb(app)(compare.compare)
verb(app)(experiments.run)
verb(app)(experiments.report)
verb(app)(experiments.tune)
verb(app)(doctor.doctor)


def _version(asked: bool) -> bool:
    if asked:
        from importlib.metadata import version

        print(f"recollect {version('recollect')}")
        raise typer.Exit
    return asked


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Autoencoders for collaborative filtering: from a ratings file to a recommender."""


def main() -> None:
    """Run the command line."""
    allocator.configure()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    if "--json" not in sys.argv[1:]:
        app()
        return
    usage_error: Any = (
        typer.BadParameter.__base__
    )  # by whatever name: Typer may bring its own Click
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except usage_error as problem:
        Screen(json=True).fail("usage", problem.format_message())
        sys.exit(2)
