"""Members of a blend: models that are fitted one after the other on the same ratings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import nn

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError
from recollect.model import Model
from recollect.online.change import Change
from recollect.online.networks import sharing
from recollect.online.result import Updatable
from recollect.online.updating import learned
from recollect.run import Run
from recollect.training.snapshot_folder import MEMBERS

Blend = TypeVar("Blend", bound=nn.Module)  # the network of a blend


def expect_members(members: object, example: str) -> None:
    """Refuse members that are no texts, or none at all.

    Args:
        members: the setting of a blend.
        example: members that it could have, for the message.

    Raises:
        SettingError: naming what was found.
    """
    are_texts = isinstance(members, tuple) and all(isinstance(member, str) for member in members)
    if not are_texts or not members:
        raise SettingError(
            f"members is a list of {example} (--members, repeated); found {members!r}."
        )


def unfitted_networks(recipes: Sequence[Model], given: AnyRatings) -> list[nn.Module]:
    """The network of each member before it learns.

    Args:
        recipes: the members, unfitted.
        given: the ratings or events that they will learn from.
    """
    nets = []

    for recipe in recipes:
        recipe.given_ = given
        nets.append(recipe.build(given.n_users, given.n_items))

    return nets


def fit_members(
    recipes: Sequence[Model], train: Ratings, valid: Ratings | None, run: Run
) -> list[Model]:
    """The members, fitted one after the other.

    Args:
        recipes: unfitted.
        train: the ratings to learn from.
        valid: ratings that choose when to stop, and that no member may learn from.
        run: of the blend; each member keeps its snapshots in a folder of its own.
    """
    fitted = []

    for number, recipe in enumerate(recipes, start=1):
        folder = None
        if run.folder is not None:
            folder = Path(run.folder) / MEMBERS / str(number)

        # Memory was checked for all members, and a member that is worse gets no weight.
        member_run = replace(
            run,
            folder=folder,
            watchers=(),
            net_watchers=(),
            memory_check=False,
            warn_if_worse=False,
        )
        member = dataclasses.replace(recipe, refit=False).fit(train, valid, member_run)
        fitted.append(member)
        figures = {"epoch": float(number), "seconds": member.seconds_}

        for watcher in run.watchers:
            watcher(figures)
        for net_watcher in run.net_watchers:
            net_watcher(figures, member.net_)

    return fitted


def again_of(fitted: Sequence[Model]) -> list[Model]:
    """Unfitted members that take as many epochs as were best."""
    return [dataclasses.replace(member, **member.best_epochs()) for member in fitted]


def can_learn_from(part: Ratings) -> bool:
    """Whether two users and two items have ratings, as every model needs."""
    n_users = np.count_nonzero(part.count("user"))
    n_items = np.count_nonzero(part.count("item"))
    return bool(n_users >= 2 and n_items >= 2)


def updatable_members(members: Sequence[Model]) -> Updatable:
    """What an update changes of a blend, whose members learn each by itself.

    Args:
        members: fitted or not.

    Raises:
        NotUpdatableError: if a member learns by a fit only.
    """
    can = {type(member).__name__: member.updatable for member in members}
    waits = [f"{name}: {of_member.waits}" for name, of_member in can.items() if of_member.waits]

    return Updatable(
        learns="; ".join(f"{name}: {of_member.learns}" for name, of_member in can.items()),
        waits="; ".join([*waits, "the weights of the members"]),
    )


def updated_members(fitted: Sequence[Model], change: Change) -> list[Model]:
    """Copies of the members that have learned a change.

    Args:
        fitted: the members, in the unit of the blend.
        change: of the ratings, in that unit.
    """
    return [learned(member, change) for member in fitted]


def updated_blend(net: Blend, fitted: Sequence[Model], change: Change) -> tuple[Blend, list[Model]]:
    """The network of a blend after a change, and its members; the weights stay.

    Args:
        net: whose `members` are the members' networks; it is not written into.
        fitted: the members before the change.
        change: of the ratings.
    """
    members = updated_members(fitted, change)
    after: Any = sharing(net)
    after.members = nn.ModuleList([member.net_ for member in members])

    return after, members
