"""`auto`: a model for ratings of which nothing is known, chosen within a time budget.

Ratings: a few strong models are fitted and blended. Events: the model with the highest NDCG on
validation. Everything is chosen by validation ratings; at last the chosen models are fitted on all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recollect import registry
from recollect.arguments import expect_number, expect_ratings, expect_whole
from recollect.choice.candidates import (
    Candidate,
    candidates_for,
    default_seconds,
    default_valid_share,
)
from recollect.choice.timed_fit import final_of, fit_within, trial_of
from recollect.data.ratings import Ratings
from recollect.data.splitting.validation import hold_out_validation
from recollect.errors import RecollectError, SettingError
from recollect.model import Model
from recollect.ranking import mean_ndcg
from recollect.run import Run

log = logging.getLogger("recollect")

N = 10  # length of the lists by whose NDCG a model of events is chosen


@dataclass
class Tried:
    """A candidate, and what came of it."""

    model: str  # its name and settings
    seconds: float = 0.0  # of the fit by which it was judged
    figure: float | None = None  # validation RMSE; of events NDCG@10; None if it was left out
    weight: float = 0.0  # in the blend; of events 1 for the one that was chosen
    note: str = ""  # why it was left out, or what was changed


@dataclass(frozen=True)
class Choice:
    """The chosen model, and how it was chosen."""

    model: Model
    tried: list[Tried]
    figure_name: str  # "rmse" or "ndcg@10"
    figure: float  # of the chosen model, on the validation ratings
    n_valid: int
    budget: float  # seconds
    seconds: float  # the choice took, with the last fit


Watch = Callable[[Tried], None]


def ignore(tried: Tried) -> None:
    """Nobody watches."""


def auto(
    ratings: Ratings,
    valid: Ratings | None = None,
    *,
    minutes: int | float | None = None,
    seed: int = 0,
    threads: int | None = None,
    watch: Watch = ignore,
) -> Model:
    """A model for these ratings, chosen within a time budget and fitted on all of them.

    Of ratings it is a `blend` of a few strong models, of events the best of a few. By the
    validation ratings it is never worse than `bias` (of events, `popularity`), which is always
    among them. Its `members` and `history_` say what it is made of.

    Args:
        ratings: to learn from.
        valid: to choose by; None: a part of `ratings` (a twentieth, of few ratings up to a fifth).
        minutes: time budget; None: two minutes for each million ratings, at least 20 seconds.
        seed: of the validation part, and of every fit.
        threads: of a fit; None: every core.
        watch: called with each candidate (`Tried`) when it has been fitted or left out.

    Raises:
        DataError: for fewer ratings than any model can learn from.
        LeakError: if ratings and valid share pairs.
    """
    run = Run(seed=_whole(seed), threads=threads)
    return choose(ratings, valid, minutes=minutes, run=run, watch=watch).model


def _whole(seed: int) -> int:
    expect_whole("seed", seed, at_least=0, what="where the random draws start")
    return seed


def choose(
    ratings: Ratings,
    valid: Ratings | None = None,
    *,
    minutes: int | float | None = None,
    run: Run | None = None,
    watch: Watch = ignore,
) -> Choice:
    """As `auto`, with what was tried.

    Args:
        ratings: to learn from.
        valid: to choose by; None: a part of `ratings`.
        minutes: time budget; None: as `auto`.
        run: seed, device and threads of every fit.
        watch: called with each candidate when it has been fitted or left out.
    """
    expect_ratings("ratings", ratings, Ratings)
    begun = time.monotonic()
    budget = budget_for(ratings, minutes)
    run = run or Run()
    train, chosen_by = ratings, valid
    if chosen_by is None:
        share = default_valid_share(len(ratings))
        train, chosen_by = hold_out_validation(ratings, valid=share, seed=run.seed)

    assert chosen_by is not None  # the share is above 0
    expect_ratings("valid", chosen_by, Ratings)
    trial = _Trial(train, chosen_by, run, budget, watch)
    for candidate in candidates_for(train):
        trial.fit(candidate)

    model, figure = trial.best_of_events() if train.implicit else trial.blended()
    figure_name = f"ndcg@{N}" if train.implicit else "rmse"
    again = model.best_epochs()
    model.fit_again(train.union(chosen_by), run)
    for name, value in again.items():
        setattr(model, name, value)  # its networks are those of these settings

    model.net_.eval()
    seconds = time.monotonic() - begun
    model.seconds_ = seconds

    return Choice(model, trial.tried, figure_name, figure, len(chosen_by), budget, seconds)


def budget_for(ratings: Ratings, minutes: int | float | None = None) -> float:
    """The seconds that a choice may take.

    Args:
        ratings: to learn from.
        minutes: as stated; None: the default.
    """
    if minutes is None:
        return default_seconds(ratings)

    expect_number("minutes", minutes, what="a time budget")
    if not minutes > 0:  # nor is NaN
        raise SettingError(f"minutes must be above 0, found {minutes:g}.")

    return 60.0 * minutes


def _times_again(candidate: Candidate, *, is_whole: bool) -> int:
    """How much longer than its trial the last fit of a candidate takes, on all ratings.

    Args:
        candidate: which may not be fitted again.
        is_whole: whether the trial has all epochs; if not, it has half of them.
    """
    if not candidate.again:
        return 0

    return 1 if is_whole else 2


@dataclass
class _Trial:
    """Candidates that are fitted one after the other while there is time."""

    train: Ratings
    valid: Ratings
    run: Run
    budget: float
    watch: Watch
    tried: list[Tried] = field(default_factory=list)
    fitted: list[Model] = field(default_factory=list)
    # Of each, what to fit on all ratings; None: it stays as it is
    again: list[str | None] = field(default_factory=list)
    left: float = 0.0  # seconds

    def __post_init__(self) -> None:
        self.left = self.budget

    def fit(self, candidate: Candidate) -> None:
        """Fit a candidate in its share of the time; what fails is noted and left out."""
        tried = Tried(candidate.text)

        try:
            self._fit(candidate, tried)
        except RecollectError as problem:
            if not self.fitted:  # not even the simplest model can learn from these ratings
                raise

            tried.note = f"left out: {problem}"

        self.tried.append(tried)
        self.watch(tried)

    def _fit(self, candidate: Candidate, tried: Tried) -> None:
        share = candidate.share * self.left
        least = candidate.seconds_per_million * len(self.train) / 1e6
        if share < least:
            tried.note = f"left out: takes about {least:,.0f} s"
            return

        recipe = registry.from_text(candidate.text)
        trial = trial_of(recipe) if candidate.again else recipe
        again = _times_again(candidate, is_whole=trial is recipe)
        outcome = fit_within(
            trial,
            self.train,
            self.valid,
            self.run,
            seconds=share / (1 + again),
            least_epochs=candidate.least_epochs,
        )
        tried.seconds = outcome.seconds
        tried.note = outcome.note
        self.left -= outcome.seconds
        if outcome.model is None:
            return

        self.left -= again * outcome.seconds
        self.fitted.append(outcome.model)
        final = registry.text_of(final_of(outcome.model, recipe))
        self.again.append(final if candidate.again else None)
        tried.figure = self.measure(outcome.model)

    def measure(self, model: Model) -> float:
        """The validation RMSE of a fitted model; of events, its NDCG."""
        if self.train.implicit:
            return mean_ndcg(model, self.valid, self.train, n=N)

        valid = self.valid
        error = model.predict(valid.user, valid.item, times=valid.time) - valid.value

        return float(np.sqrt(np.mean(error.astype(np.float64) ** 2)))

    def blended(self) -> tuple[Model, float]:
        """The blend of the fitted models that have a weight in it, and its validation RMSE."""
        kind: Any = registry.find("blend")
        of_all = kind.of(self.fitted, self.valid, again=self.again)
        weights = of_all.net_.weights.weight
        counting = [tried for tried in self.tried if tried.figure is not None]
        for tried, weight in zip(counting, weights, strict=True):
            tried.weight = float(weight)

        # Without the others, so that they are neither fitted again nor saved.
        used = np.flatnonzero(weights)
        if len(used) in (0, len(self.fitted)):
            return of_all, of_all.history_.best_valid

        models = [self.fitted[member] for member in used]
        again = [self.again[member] for member in used]

        model = kind.of(models, self.valid, again=again)

        return model, model.history_.best_valid

    def best_of_events(self) -> tuple[Model, float]:
        """The model with the highest NDCG, the simplest of equals; and its NDCG."""
        counting = [tried for tried in self.tried if tried.figure is not None]
        figures = [tried.figure or 0.0 for tried in counting]
        best = int(np.argmax(figures))
        counting[best].weight = 1.0

        return self.fitted[best], figures[best]
