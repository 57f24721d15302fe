"""The members of a blend: each a text that names a model and its settings."""

from __future__ import annotations

from functools import cache

from recollect import registry
from recollect.capabilities import Capabilities
from recollect.errors import SettingError
from recollect.model import Model

BLEND = "blend"


def recipe_of(text: str) -> Model:
    """The unfitted model that a text names, as `registry.from_text`.

    Nothing from outside the package is imported: a blend in a folder or a file may come from
    somebody else.

    Raises:
        SettingError: if there is no such model or setting, or it cannot be a member.
    """
    name = text.partition(" ")[0]
    if ":" in name or name == BLEND:
        raise SettingError(
            f"The members of a blend are the other models of Recollect, found {name!r}; "
            "`recollect models` lists them."
        )

    model = registry.from_text(text)
    if model.output != "ratings":
        raise SettingError(
            f"A blend predicts ratings, and its member {text!r} predicts scores to rank by; leave "
            "it out."
        )

    return model


def text_of(model: Model) -> str:
    """The text that names a model with its settings.

    Raises:
        SettingError: for a model that cannot be a member.
    """
    text = registry.text_of(model)
    recipe_of(text)  # refuses what cannot be one

    return text


@cache
def capabilities_of(members: tuple[str, ...]) -> Capabilities:
    """What a blend of these members can do."""
    each = [recipe_of(member).capabilities for member in members]
    needs: frozenset[str] = frozenset().union(*(member.needs for member in each))
    similarity = any(member.similarity for member in each)
    return Capabilities(needs=needs, similarity=similarity)
