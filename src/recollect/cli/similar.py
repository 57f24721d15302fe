"""The verb similar: the nearest items or users."""

from __future__ import annotations

from typing import Annotated

import typer

import recollect as rc
from recollect.cli.options.asking import HowMany, NewItems, RunFolder, load_model
from recollect.cli.options.trust import Trust
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import rows_of, table
from recollect.errors import SettingError


def similar(
    screen: Screen,
    run: RunFolder,
    items: Annotated[
        list[str] | None,
        typer.Option(
            "--item",
            metavar="ID",
            show_default=False,
            help="An item to find similar ones to; repeat it for more.",
        ),
    ] = None,
    users: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="ID",
            show_default=False,
            help="A user to find similar ones to; repeat it for more.",
        ),
    ] = None,
    n: HowMany = 10,
    new_items: NewItems = None,
    trust: Trust = None,
) -> Answer:
    """Find the items or users that are most similar to one."""
    if bool(items) == bool(users):
        raise SettingError("State one of: --item ID, --user ID.")

    model = load_model(run, new_items, trust)
    frame = rc.similar(
        model,
        item_ids=items or None,
        user_ids=users or None,
        n=n,
    )
    key = "item_id" if items else "user_id"
    names = [column for column in frame.columns if column != key]
    shown = []

    for (one,), part in frame.group_by(key, maintain_order=True):
        label = _label(model, str(one)) if items else str(one)
        shown.append(table(names, rows_of(part, names), title=f"Like {label}"))

    return Answer({"similar": frame.to_dicts()}, shown)


def _label(model: rc.Model, item_id: str) -> str:
    """The title of an item and its id, or the id alone."""
    title = model.given_.titles([item_id])[0]
    if title is None:
        return item_id

    return f"{title} ({item_id})"
