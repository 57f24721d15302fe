"""OwnUnit: a model learns and computes in a unit of its own, and answers in rating points.

What a model's file writes (`learn`, `fold_in`, `predict_known`, …) sees ratings in the model's unit
(`data/rating_unit.py`), whatever scale they came on. Whoever calls it gives and gets ratings as
they are: each of the methods in `ANSWERS` converts what goes in and what comes out. This is done
here once, for every model, those from outside the package included.
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from recollect.data.in_unit import in_unit, rows_in_unit
from recollect.data.rating_unit import IDENTITY, RatingUnit
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.run import Run
from recollect.training.baseline import add_baseline
from recollect.training.history import History, history_in_points, history_in_unit, scaled_figures
from recollect.training.offsets import RidgeOffsets

log = logging.getLogger("recollect")

LEAST_STD = 0.02  # of ratings on a scale of 1 to 5; below, a few outliers have made the scale


def _spread(unit: RatingUnit, std: np.ndarray) -> np.ndarray:
    return std * np.float32(unit.size)


def _interval(unit: RatingUnit, bounds: tuple[np.ndarray, np.ndarray]) -> Any:
    low, high = bounds
    return unit.points(low), unit.points(high)


def _offsets(unit: RatingUnit, offsets: RidgeOffsets) -> RidgeOffsets:
    return replace(
        offsets,
        mu=(offsets.mu - 1) * unit.size + unit.low,
        b_user=offsets.b_user * unit.size,
        b_item=offsets.b_item * unit.size,
    )


def _as_it_is(unit: RatingUnit, answer: Any) -> Any:
    return answer


# How the answer of a method becomes one in rating points.
ANSWERS: dict[str, Callable[[RatingUnit, Any], Any]] = {
    "predict_known": RatingUnit.points,
    "score_known": RatingUnit.points,
    "fold_in": RatingUnit.points,
    "influences": _spread,
    "predict_std": _spread,
    "predict_interval": _interval,
    "cold_offsets": _offsets,
    "vectors": _as_it_is,
    "best_epochs": _as_it_is,
}


class OwnUnit:
    """The part of a model that knows about units.

    `unit_` is that of the fitted ratings; `inner` is the model as its own methods see it, which has
    the same network and `given_` in that unit. On a scale of 1 to 5 it is the model itself.
    """

    # What `fit` learns, but for the settings, which are the fields of a model.
    net_: Any
    given_: AnyRatings
    history_: History
    unit_: RatingUnit = IDENTITY

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)

        for name, convert in ANSWERS.items():
            if name in vars(cls):
                setattr(cls, name, _in_points(vars(cls)[name], convert))

    @property
    def inner(self) -> Any:
        """The model in its own unit; made when it is first asked for."""
        if self.unit_.is_identity:
            return self

        model: Any = self
        net = getattr(model, "net_", None)  # a model that is being loaded has none yet
        given, of_net, inner = vars(self).get("_inner", (None, None, None))
        if inner is None or given is not model.given_ or of_net is not net:
            inner = _inner_of(model)
            # In one assignment, as several threads may ask.
            self._inner = (model.given_, net, inner)

        return inner

    def learn_in_own_unit(self, train: AnyRatings, valid: Ratings | None, run: Run) -> None:
        """Build the network, learn it, and compare the fit with the simplest model.

        Sets `net_`, `given_`, `history_` and `unit_`.

        Args:
            train: the ratings to learn from.
            valid: ratings that choose when to stop; None without any.
            run: how to run the fit.
        """
        model: Any = self
        # Scores have no unit, and counts of events no scale.
        has_scale = model.output == "ratings" and not train.implicit
        self.unit_ = RatingUnit.of(train.scale) if has_scale else IDENTITY
        model.given_ = train
        vars(self).pop("net_", None)  # of an earlier fit

        inner = self.inner
        if not self.unit_.is_identity:
            _warn_of_outliers(train, inner.given_)

        inner_valid = None if valid is None else in_unit(valid, self.unit_)
        inner.net_ = inner.build(train.n_users, train.n_items).to(run.device)
        inner.history_ = inner.learn(inner.given_, inner_valid, _run_in_points(run, self.unit_))
        inner._forget()

        model.net_ = inner.net_
        # Beside history_, that of a first stage, say.
        for name, learned in vars(inner).items():
            if isinstance(learned, History):
                setattr(model, name, history_in_points(learned, self.unit_))

        compared = {"clip": model.clip, "warns": run.warn_if_worse}
        add_baseline(model.history_, type(self).__name__, train, valid, **compared)
        # Kept, because a model may have learned more than these.
        self._inner = (train, model.net_, inner)


def _inner_of(model: Any) -> Any:
    """A copy of a model that shares its network and has everything else in its own unit."""
    inner = copy.copy(model)
    inner.unit_ = IDENTITY
    inner.given_ = in_unit(model.given_, model.unit_)
    for name, learned in vars(model).items():
        if isinstance(learned, History):
            setattr(inner, name, history_in_unit(learned, model.unit_))

    if not isinstance(model.cold, str):  # a rating
        inner.cold = float(model.unit_.standard(np.array([model.cold], np.float32))[0])

    inner._forget()

    return inner


def _warn_of_outliers(ratings: AnyRatings, standard: AnyRatings) -> None:
    """Warn if nearly all ratings are the same, seen from the width of their scale.

    Args:
        ratings: as they are.
        standard: the same in the unit of a model, on a scale of 1 to 5.
    """
    std = standard.variance**0.5
    if not 0 < std < LEAST_STD:
        return

    low, high = ratings.scale
    log.warning(
        "The ratings hardly differ on their scale from %g to %g: their standard deviation is "
        "%.2g%% of its width, and models see little else than the mean. If a few wrong ratings "
        "widen the scale, remove them; or state the scale that the ratings have.",
        low,
        high,
        100 * std / (standard.scale[1] - standard.scale[0]),
    )


def _in_points(
    method: Callable[..., Any], convert: Callable[[RatingUnit, Any], Any]
) -> Callable[..., Any]:
    """A method of a model that takes ratings as they are, and answers in their points.

    Args:
        method: the method, which computes in the unit of the model.
        convert: makes of its answer one in rating points.
    """

    @functools.wraps(method)
    def answer(model: OwnUnit, *args: Any, **kwargs: Any) -> Any:
        unit = model.unit_
        if unit.is_identity:
            return method(model, *args, **kwargs)

        converted = [_argument_in_unit(argument, unit) for argument in args]
        named = {key: _argument_in_unit(argument, unit) for key, argument in kwargs.items()}

        return convert(unit, method(model.inner, *converted, **named))

    return answer


def _argument_in_unit(argument: Any, unit: RatingUnit) -> Any:
    """Ratings in the unit; anything else as it is."""
    if isinstance(argument, AnyRatings):
        return in_unit(argument, unit)

    if isinstance(argument, Rows):
        return rows_in_unit(argument, unit)

    return argument


def _run_in_points(run: Run, unit: RatingUnit) -> Run:
    """A run whose watchers get the figures of a model's unit in rating points."""
    if unit.is_identity:
        return run

    watchers = tuple(_told_in_points(watcher, unit) for watcher in run.watchers)
    net_watchers = tuple(_told_in_points(watcher, unit) for watcher in run.net_watchers)

    return replace(run, watchers=watchers, net_watchers=net_watchers)


def _told_in_points(watcher: Callable[..., None], unit: RatingUnit) -> Callable[..., None]:
    def told(figures: dict[str, float], *net: Any) -> None:
        watcher(scaled_figures(figures, unit.size), *net)

    return told
