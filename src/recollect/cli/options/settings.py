"""Settings on the command line: KEY=VALUE, repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from recollect.errors import SettingError
from recollect.settings import parse_value

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        show_default=False,
        help="A setting of the model, such as hidden=500; repeat it for more.",
    ),
]


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

        settings[key] = parse_value(value.strip())

    return settings
