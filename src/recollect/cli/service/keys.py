"""The verbs on the keys of a service: add, list, revoke."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from recollect.cli.output.screen import Answer, Raw, Screen
from recollect.cli.output.tables import table
from recollect.cli.service.options import Db, must_exist

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name to know the key by.")]


def add(
    screen: Screen,
    name: Name,
    db: Db,
    scope: Annotated[
        str,
        typer.Option(
            metavar="read|write|admin",
            help="What it opens: lists; ratings and items, too; versions and forgetting, too.",
        ),
    ] = "write",
) -> Answer:
    """Make a key, and show it this once. With the first one, every request needs one."""
    from recollect.serve.store import keys
    from recollect.serve.store.store import open_store

    with open_store(db) as store:
        key = store.write(lambda session: keys.add(session, name, scope))

    screen.say("The store has only its hash: keep it, it is not shown again.")

    return Answer({"name": name, "scope": scope, "key": key}, [Raw(key)])


def list_(screen: Screen, db: Db) -> Answer:
    """List the keys by their names."""
    from recollect.serve.store import keys
    from recollect.serve.store.store import open_store

    must_exist(db)
    with open_store(db) as store:
        known = keys.every(store.reader())

    data = [
        {"name": key.name, "scope": key.scope, "made": key.made, "revoked": key.revoked}
        for key in known
    ]
    if not known:
        return Answer({"keys": []}, ["There are no keys: the service answers on its own machine."])

    rows = [
        [key.name, key.scope, _day(key.made), _day(key.revoked) if key.revoked else ""]
        for key in known
    ]

    return Answer({"keys": data}, [table(["name", "scope", "made", "revoked"], rows)])


def revoke(screen: Screen, name: Name, db: Db) -> Answer:
    """Make a key invalid; a running service knows within a second."""
    from recollect.serve.store import keys
    from recollect.serve.store.store import open_store

    must_exist(db)
    with open_store(db) as store:
        store.write(lambda session: keys.revoke(session, name))

    return Answer({"name": name, "revoked": True}, [f"The key {name!r} is no longer valid."])


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
