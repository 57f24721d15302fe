"""Members of a blend: models that are fitted one after the other on the same ratings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from recollect.data.ratings import Ratings
from recollect.model import Model
from recollect.run import Run
from recollect.training.snapshot_folder import MEMBERS


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
