"""Settings on the command line: KEY=VALUE, repeated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from recollect.errors import SettingError

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        show_default=False,
        help="A setting of the model, such as hidden=500; repeat it for more.",
    ),
]

PYTHON_WORDS = {"True": True, "False": False, "None": None}


def settings_of(pairs: Sequence[str] | None, *, option: str = "--set") -> dict[str, Any]:
    """The settings written as KEY=VALUE; a value is JSON, a list such as 500,250, or text.

    Args:
        pairs: the values of the option; None: none.
        option: the name of the option, for messages.

    Raises:
        SettingError: if a pair has no "=", or a key is given twice.
    """
    settings: dict[str, Any] = {}

    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise SettingError(f"{option} takes KEY=VALUE, such as hidden=500; found {pair!r}.")

        if key in settings:
            raise SettingError(f"{option} {key} is given twice; give it once.")

        settings[key] = _value(value.strip())

    return settings


def _value(text: str) -> Any:
    if text in PYTHON_WORDS:
        return PYTHON_WORDS[text]

    try:
        return json.loads(text)
    except ValueError:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) < 2:
            return text

        return tuple(_value(part) for part in parts if part)
