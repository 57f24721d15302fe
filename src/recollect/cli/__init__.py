"""The command line: ids in, tables out; with --json one object for programs.

A module for each verb; `options` and `output` hold what they share. These modules import what is
heavy (torch, NumPy, Polars) inside functions, so that --help is quick.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from recollect.cli import (
    compare,
    doctor,
    evaluate,
    explain,
    models,
    predict,
    prequential,
    recommend,
    report,
    run,
    similar,
    split,
    train,
    tune,
    update,
)
from recollect.cli.data import convert, describe, fetch, plant, store
from recollect.cli.data import list as data_list
from recollect.cli.output import streams
from recollect.cli.output.screen import Screen
from recollect.cli.playlists import answer, questions, score
from recollect.cli.service import keys, serve
from recollect.cli.service import store as service_store
from recollect.cli.verb import verb
from recollect.system import allocator

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="recollect",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=HELP_OPTIONS,
    help="Autoencoders for collaborative filtering: from a ratings file to a recommender.",
)
data_app = typer.Typer(
    no_args_is_help=True,
    context_settings=HELP_OPTIONS,
    help="Data sets: list, fetch, describe, convert, store, plant.",
)
playlists_app = typer.Typer(
    no_args_is_help=True,
    context_settings=HELP_OPTIONS,
    help="Completing playlists: questions, answer, score.",
)

store_app = typer.Typer(
    no_args_is_help=True,
    context_settings=HELP_OPTIONS,
    help="The store of a service: import, export, move, check, report.",
)
keys_app = typer.Typer(
    no_args_is_help=True,
    context_settings=HELP_OPTIONS,
    help="The keys of a service: add, list, revoke.",
)

verb(app)(models.models)
app.add_typer(data_app, name="data")
verb(data_app, "list")(data_list.list_known)
verb(data_app)(fetch.fetch)
verb(data_app)(describe.describe)
verb(data_app)(convert.convert)
verb(data_app)(store.store)
verb(data_app)(plant.plant)
verb(app)(split.split)
verb(app)(train.train)
verb(app)(update.update)
verb(app)(evaluate.evaluate)
verb(app)(predict.predict)
verb(app)(recommend.recommend)
verb(app)(similar.similar)
verb(app)(explain.explain)
verb(app)(compare.compare)
verb(app)(prequential.prequential)
verb(app)(run.run)
verb(app)(report.report)
verb(app)(tune.tune)
verb(app)(serve.serve)
app.add_typer(store_app, name="store")
verb(store_app, "import")(service_store.import_)
verb(store_app)(service_store.export)
verb(store_app)(service_store.move)
verb(store_app)(service_store.check)
verb(store_app)(service_store.report)
app.add_typer(keys_app, name="keys")
verb(keys_app)(keys.add)
verb(keys_app, "list")(keys.list_)
verb(keys_app)(keys.revoke)
verb(app)(doctor.doctor)
app.add_typer(playlists_app, name="playlists")
verb(playlists_app)(questions.questions)
verb(playlists_app)(answer.answer)
verb(playlists_app)(score.score)


def _print_version(is_stated: bool) -> bool:
    if is_stated:
        from importlib.metadata import version

        print(f"recollect {version('recollect')}")
        raise typer.Exit

    return is_stated


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Autoencoders for collaborative filtering: from a ratings file to a recommender."""


def main() -> None:
    """Run the command line."""
    allocator.configure()

    streams.prepare()
    if "--json" not in sys.argv[1:]:
        app()
        return

    # Typer may bring its own Click; this is the usage error of the one that it uses.
    usage_error: Any = typer.BadParameter.__base__

    try:
        sys.exit(app(standalone_mode=False) or 0)
    except usage_error as problem:
        Screen(json=True).fail("usage", problem.format_message())
        sys.exit(2)
