"""The verb models: what models there are, and the settings of one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from recollect import model_descriptions
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import facts, table
from recollect.model_descriptions import Description


def models(
    screen: Screen,
    name: Annotated[
        str | None, typer.Argument(show_default=False, help="A model, to list its settings.")
    ] = None,
) -> Answer:
    """List the models; with a name, list the settings of one."""
    if name is None:
        described = [model_descriptions.describe(name) for name in model_descriptions.model_names()]
        rows = [(model.name, model.summary, model.source) for model in described]
        return Answer(
            {"models": [_head(model) for model in described]},
            [table(("name", "what it is", "source"), rows)],
        )

    model = model_descriptions.describe(name)
    settings = _settings(model)
    cells = [
        (row["name"], row["type"], json.dumps(row["default"]), row["range"], row["meaning"])
        for row in settings
    ]
    shown = table(("setting", "type", "default", "range", "meaning"), cells)
    head = {"name": model.name, "what it is": model.summary, "source": model.source}
    for preset, values in model.presets.items():
        stated = [f"{name}={json.dumps(value)}" for name, value in values.items()]
        head[f"--like {preset}"] = ", ".join(stated)

    answer = {
        **_head(model),
        "paper": model.paper,
        "presets": model.presets,
        "settings": settings,
    }

    return Answer(answer, [facts(head), "", shown])


def _head(model: Description) -> dict[str, str]:
    return {
        "name": model.name,
        "summary": model.summary,
        "what it is": model.summary,  # the former key
        "source": model.source,
    }


def _settings(model: Description) -> list[dict[str, Any]]:
    return [
        {
            "name": setting.name,
            "type": setting.type,
            "default": setting.default,
            "range": str(setting.range),
            "meaning": setting.meaning,
        }
        for setting in model.settings
    ]
