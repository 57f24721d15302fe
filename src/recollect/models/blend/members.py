"""A member of a blend as text: the name of a model, and settings as KEY=VALUE.

"autorec side=user hidden=500,250" is what `registry.make("autorec", side="user", hidden=(500, 250))`
makes. A value is written as on the command line.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from recollect import registry
from recollect.capabilities import Capabilities
from recollect.errors import SettingError
from recollect.model import Model
from recollect.settings import parse_value, value_as_text

BLEND = "blend"
EXAMPLE = "'autorec side=user reg=10'"


def recipe_of(text: str) -> Model:
    """The unfitted model that a text names.

    Nothing from outside the package is imported: a blend in a folder or a file may come from
    somebody else.

    Raises:
        SettingError: if there is no such model or setting, or it cannot be a member.
    """
    words = text.split()
    if not words:
        raise SettingError(f"A member of a blend is empty; name a model, such as {EXAMPLE}.")

    name, *pairs = words
    if ":" in name or name == BLEND:
        raise SettingError(
            f"The members of a blend are the other models of Recollect, found {name!r}; "
            "`recollect models` lists them."
        )

    model = registry.make(name, **_settings(pairs, text))
    if model.output != "ratings":
        raise SettingError(
            f"A blend predicts ratings, and its member {text!r} predicts scores to rank by; leave "
            "it out."
        )

    return model


def _settings(pairs: list[str], text: str) -> dict[str, Any]:
    """The settings of a member.

    Args:
        pairs: each as KEY=VALUE.
        text: of the member, for messages.
    """
    settings: dict[str, Any] = {}

    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise SettingError(
                f"A member of a blend is a model and settings KEY=VALUE, such as {EXAMPLE}; found "
                f"{text!r}."
            )

        if key in settings:
            raise SettingError(f"The member {text!r} has {key} twice; give it once.")

        settings[key] = parse_value(value)

    return settings


def text_of(model: Model) -> str:
    """The text that names a model with its settings; those that are defaults are left out.

    Raises:
        SettingError: for a model that cannot be a member.
    """
    defaults = registry.settings(type(model))
    changed = [
        f"{key}={value_as_text(value)}"
        for key, value in registry.settings(model).items()
        if value != defaults[key]
    ]
    text = " ".join([registry.name_of(model), *changed])
    recipe_of(text)  # refuses what cannot be one

    return text


@cache
def capabilities_of(members: tuple[str, ...]) -> Capabilities:
    """What a blend of these members can do."""
    each = [recipe_of(member).capabilities for member in members]
    needs: frozenset[str] = frozenset().union(*(member.needs for member in each))
    similarity = any(member.similarity for member in each)
    return Capabilities(needs=needs, similarity=similarity)
