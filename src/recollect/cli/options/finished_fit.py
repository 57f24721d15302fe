"""Whether a finished model is that of the command that would resume it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import recollect as rc
from recollect.errors import SettingError

if TYPE_CHECKING:
    from recollect.cli.train import Parts


def refuse_another_fit(out: Path, recipe: rc.Model | None, parts: Parts, *, seed: int) -> None:
    """Refuse to take a finished model for that of other settings, data or another seed.

    Args:
        out: the folder of the model.
        recipe: the model that was asked for; None: whichever is chosen.
        parts: the ratings that it was to learn from.
        seed: of the fit.

    Raises:
        CheckpointError: if the folder is damaged.
        SettingError: with what differs.
    """
    from recollect import registry
    from recollect.checkpoint import describe

    about = describe(out)
    before = {"seed": about["seed"]}
    now: dict[str, Any] = {"seed": seed}
    if recipe is not None:
        before |= {"model": about["model"]}
        now |= {"model": registry.name_of(recipe)}
        former = _recipe_of(about, recipe)
        if former is not None:
            before |= registry.settings(former)
            now |= registry.settings(recipe)

    before["data"] = about["fingerprint"]
    now["data"] = _learned_from(recipe, parts).fingerprint
    differences = [
        f"{name} was {before[name]!r} and is {now[name]!r}"
        for name in now
        if before[name] != now[name]
    ]

    if differences:
        raise SettingError(
            f"{out} holds the finished model of another fit: {', '.join(differences)}. Use the "
            "settings and data it was made with, or name another folder."
        )


def _recipe_of(about: dict[str, Any], recipe: rc.Model) -> rc.Model | None:
    """The unfitted model in the folder; None if it is another one."""
    from recollect import registry

    if about["model"] != registry.name_of(recipe):
        return None

    return registry.make_of(type(recipe), about["settings"])


def _learned_from(recipe: rc.Model | None, parts: Parts) -> Any:
    """The ratings that the fitted model has: with `refit`, also those of validation."""
    fits_again = recipe is None or recipe.refit
    if fits_again and parts.valid is not None and parts.train.in_memory:
        return parts.train.union(parts.valid)

    return parts.train
