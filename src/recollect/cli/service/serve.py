"""The verb serve: answer over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import recollect as rc
from recollect.cli.options.trust import Trust
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.service.options import Db, must_exist

VERSIONS_SUFFIX = ".versions"


def serve(
    screen: Screen,
    db: Db,
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN",
            show_default=False,
            help="The folder of a saved model; left out: the version that the store has.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="The address to listen at; any but the loopback needs a key."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0: any free one.")] = 8000,
    workers: Annotated[int, typer.Option(help="How many processes answer.")] = 1,
    versions: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where later versions of the model are written (default: FILE.versions beside the "
            "store, or ./recollect.versions).",
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option(help="Requests a second that each key may send; 0: any.")
    ] = 1000.0,
    refit_events: Annotated[
        int, typer.Option(help="Newer ratings after which the model is fitted again, or 1%.")
    ] = 1000,
    refit_hours: Annotated[
        float, typer.Option(help="Hours after which any newer rating is enough.")
    ] = 24.0,
    no_refit: Annotated[
        bool, typer.Option("--no-refit", help="Fit again only when asked to.")
    ] = False,
    no_page: Annotated[bool, typer.Option("--no-page", help="Serve no page at /.")] = False,
    trust: Trust = None,
) -> Answer:
    """Answer over HTTP: recommendations that know every rating, from a model and a store."""
    from recollect.serve import server
    from recollect.serve.settings import RefitPolicy, ServeSettings
    from recollect.serve.starting import prepare
    from recollect.serve.store.store import open_store

    settings = ServeSettings(
        db=db,
        versions=versions or versions_beside(db),
        host=host,
        port=port,
        workers=workers,
        rate=rate,
        refit=RefitPolicy(enabled=not no_refit, least_events=refit_events, most_hours=refit_hours),
        trusted=tuple(trust or ()),
        page=not no_page,
    )
    if run is None:
        must_exist(db)
    elif not run.is_dir():
        # In its own words, before a store is made.
        rc.load_model(run)

    server.check_host(settings)
    with open_store(db) as store:
        started = prepare(store, run, settings.trusted)

    if started.imported is not None:
        screen.say(f"The store is new and got the {started.imported.n_ratings:,} ratings of {run}.")

    server.run(settings, lambda address: screen.say(f"Version {started.version} at {address}"))

    return Answer({"stopped": True}, ["Stopped."])


def versions_beside(db: str) -> Path:
    """Where versions are written: beside the file of the store, or in the current folder."""
    if "://" in db:
        return Path(f"recollect{VERSIONS_SUFFIX}")

    return Path(db + VERSIONS_SUFFIX)
