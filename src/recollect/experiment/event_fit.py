"""A fit on the events of a split, and its figures on validation and test.

The validation figure is that of a fit which has not seen the validation events, also where the
model learns from them afterwards (`refit`): the figure chooses among candidates. Test events are
ranked once, at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recollect.data.ratings import Ratings
from recollect.data.splitting import Split
from recollect.evaluation.protocols import Scores, full_ranking
from recollect.experiment.metric import CUTOFFS, cutoff_of
from recollect.experiment.results import UserSums
from recollect.model import Model
from recollect.run import Run

DIGITS = 6  # significant ones of a figure


@dataclass(frozen=True)
class EventParts:
    """The events of a split as a fit uses them."""

    train: Ratings
    valid: Ratings | None
    test: Ratings
    given: Ratings | None  # events of test users who are not in train

    @classmethod
    def of(cls, split: Split) -> EventParts:
        """The parts of a split.

        What is given of validation users who are held out is learned from, so that any model can
        be stopped by their other events; what is given of test users is not.
        """
        if split.given is None:
            return cls(split.train, split.valid, split.test, None)

        is_tested = split.test.count("user")[split.given.user] > 0
        train = split.train
        if split.valid is not None:
            train = train.union(split.given.where(~is_tested))

        return cls(train, split.valid, split.test, split.given.where(is_tested))

    def visible(self) -> Ratings:
        """What lists for test users may be made from: all events but those of test.

        Validation events are among them, also for a model that does not learn from them: they are
        known, and a list has no place for them.
        """
        visible = self.train
        for part in (self.valid, self.given):
            if part is not None:
                visible = visible.union(part)

        return visible


@dataclass(frozen=True)
class EventFits:
    """The fit that validation judges, and the one that is tested; without `refit` they are one."""

    judged: Model
    tested: Model

    @property
    def seconds(self) -> float:
        """Of both fits."""
        return self.judged.seconds_ + (self.tested.seconds_ if self.is_refitted else 0.0)

    @property
    def is_refitted(self) -> bool:
        """Whether the tested fit is another one."""
        return self.tested is not self.judged


def fit_events(model: Model, parts: EventParts, run: Run) -> EventFits:
    """Fit on train; then, if the model says `refit`, on train and validation.

    Args:
        model: unfitted.
        parts: of a split.
        run: of both fits.
    """
    judged = replace(model, refit=False).fit(parts.train, parts.valid, run)
    if not model.refit or parts.valid is None:
        return EventFits(judged, judged)

    # The validation events are training events now: nothing may stop this fit.
    both = parts.train.union(parts.valid)
    tested = judged.second_fit().fit(both, None, run)

    return EventFits(judged, tested)


def measure_events(
    model: Model, split: Split, run: Run, *, sums_of: str | None = None
) -> tuple[dict[str, Any], UserSums | None]:
    """The figures of a record, and values by user of one metric of lists.

    Args:
        model: unfitted.
        split: of events.
        run: of the fit.
        sums_of: the metric whose values by user are returned; None: of none.
    """
    parts = EventParts.of(split)
    fits = fit_events(model, parts, run)
    valid = None if parts.valid is None else rank(fits.judged, parts.valid)
    scores = rank(fits.tested, parts.test, given=parts.visible())
    figures = {
        "test": figures_of(scores),
        "valid": None if valid is None else figures_of(valid),
        "n_users": scores[CUTOFFS[0]].about["n_users"],
        "n_cold": scores[CUTOFFS[0]].about["n_cold"],
        **_about_fit(parts, fits),
    }
    sums = None
    if sums_of is not None:
        people = np.flatnonzero(parts.test.count("user") > 0)
        values = scores[cutoff_of(sums_of)].of(sums_of)
        sums = UserSums.of(people, {sums_of: values.astype(np.float32)})

    return figures, sums


def _about_fit(parts: EventParts, fits: EventFits) -> dict[str, Any]:
    """How many events there were, and how the judged fit went from epoch to epoch."""
    history = fits.judged.history_
    curve = {
        name: [(epoch, _rounded(figure)) for epoch, figure in history.column(name)]
        for name in (history.train_name, history.valid_name)
    }

    return {
        "n_train": len(parts.train),
        "n_valid": 0 if parts.valid is None else len(parts.valid),
        "n_test": len(parts.test),
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "curve": curve,
        "fit_seconds": round(fits.seconds, 3),
    }


def rank(model: Model, events: Ratings, *, given: Ratings | None = None) -> dict[int, Scores]:
    """The scores of lists of each length in CUTOFFS.

    Args:
        model: fitted.
        events: to be found.
        given: what lists may be made from; None: what the model was fitted on.
    """
    return {n: full_ranking(model, events, n=n, given=given) for n in CUTOFFS}


def figures_of(scores: dict[int, Scores]) -> dict[str, float]:
    """Every figure at every length, by name."""
    figures = {}

    for of_length in scores.values():
        for name in (*of_length.names(), *of_length.whole):
            figures[name] = _rounded(of_length[name])

    return figures


def validation_figure(fitted: Model, valid: Ratings, metric: str) -> float:
    """A figure of lists on validation events that the model has not seen."""
    scores = full_ranking(fitted, valid, n=cutoff_of(metric))
    return scores[metric]


def _rounded(figure: float) -> float:
    return float(f"{figure:.{DIGITS}g}")
