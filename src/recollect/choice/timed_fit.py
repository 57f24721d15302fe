"""A fit within a time: with fewer epochs, or not at all, if it would take too long."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, replace
from typing import Any

from recollect.data.ratings import Ratings
from recollect.errors import SettingError
from recollect.model import Model
from recollect.run import Run

TIMED_EPOCHS = 3  # the first one, which may compile, does not count


class TooSlowError(Exception):
    """The fit would take too long; nobody outside `fit_within` sees this."""

    def __init__(self, seconds_per_epoch: float) -> None:
        super().__init__(seconds_per_epoch)
        self.seconds_per_epoch = seconds_per_epoch


@dataclass
class Clock:
    """A watcher that ends a fit whose epochs are too slow, or that is late all the same.

    Args:
        epochs: that the fit may take.
        seconds: that it may take.
    """

    epochs: int
    seconds: int | float

    def __post_init__(self) -> None:
        self.begun = time.monotonic()
        self.first_ended = self.begun

    def __call__(self, figures: dict[str, float]) -> None:
        """Note the time after an epoch."""
        now = time.monotonic()
        epoch = int(figures["epoch"])
        if epoch == 1:
            self.first_ended = now

        if epoch != TIMED_EPOCHS or epoch >= self.epochs:
            return

        per_epoch = (now - self.first_ended) / (epoch - 1)
        left = (self.epochs - epoch) * per_epoch
        if now - self.begun + left > self.seconds:
            raise TooSlowError(per_epoch)


@dataclass(frozen=True)
class TimedFit:
    """What became of a fit: the fitted model, or why there is none; and a note for people."""

    model: Model | None
    seconds: float
    note: str = ""


def fit_within(
    recipe: Model,
    train: Ratings,
    valid: Ratings,
    run: Run,
    *,
    seconds: int | float,
    least_epochs: float,
) -> TimedFit:
    """Fit a model in about so many seconds.

    After a few epochs it is known how long all of them would take. If that is too long, the fit
    begins anew with as many as there is time for; a model that would have too few is left out.

    Args:
        recipe: unfitted.
        train: the ratings to learn from.
        valid: ratings that choose when to stop.
        run: without watchers.
        seconds: that the fit may take.
        least_epochs: the share of its epochs without which it is left out.
    """
    begun = time.monotonic()
    # After a refit there would be no ratings left to choose by.
    recipe = dataclasses.replace(recipe, refit=False)
    epochs = getattr(recipe, "epochs", 1)
    clock = Clock(epochs, seconds)
    run = replace(run, warn_if_worse=False)  # it is one of several, each judged by the same ratings

    try:
        model = recipe.fit(train, valid, replace(run, watchers=(clock,)))
        return TimedFit(model, time.monotonic() - begun)
    except TooSlowError as slow:
        per_epoch = slow.seconds_per_epoch

    left = seconds - (time.monotonic() - begun)
    possible = int(left / per_epoch)
    shorter = _with_epochs(recipe, possible) if possible >= least_epochs * epochs else None
    if shorter is None:
        spent = time.monotonic() - begun
        return TimedFit(None, spent, f"left out: would take about {epochs * per_epoch:,.0f} s")

    model = shorter.fit(train, valid, run)
    note = f"{possible} epochs instead of {epochs}, for want of time"

    return TimedFit(model, time.monotonic() - begun, note)


def trial_of(recipe: Model) -> Model:
    """The model by which a recipe is judged: one that never stops early, with half of its epochs.

    The weights of a blend and the order of models hardly depend on the other half, and the time is
    better spent on the last fit.
    """
    epochs = getattr(recipe, "epochs", 1)
    if recipe.capabilities.stops_early or epochs < 2:
        return recipe

    return _with_epochs(recipe, epochs // 2) or recipe


def final_of(fitted: Model, recipe: Model) -> Model:
    """The unfitted model that learns from all ratings.

    Args:
        fitted: on a part of them.
        recipe: of which `trial_of` made the fitted one.
    """
    epochs = getattr(recipe, "epochs", None)
    if epochs is None:  # such as one in closed form
        return recipe

    if recipe.capabilities.stops_early:
        return dataclasses.replace(fitted, **fitted.best_epochs())

    of_trial = getattr(fitted, "epochs", 1)

    return _with_epochs(recipe, min(epochs, 2 * of_trial)) or recipe


def _with_epochs(recipe: Model, epochs: int) -> Model | None:
    """The model with so many epochs; None if its other settings do not allow it."""
    try:
        changes: dict[str, Any] = {"epochs": epochs}
        return dataclasses.replace(recipe, **changes)
    except SettingError:
        return None
