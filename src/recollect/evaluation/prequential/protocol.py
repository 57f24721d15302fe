"""The protocol: a first part is fitted, then every event is predicted, scored and learned from."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int64

from recollect.arguments import expect, expect_ratings, expect_whole
from recollect.data.ratings import Ratings
from recollect.data.splitting.dates import times_of
from recollect.data.splitting.validation import hold_out_validation
from recollect.errors import DataError, SettingError, unknown
from recollect.evaluation.prequential.result import Prequential
from recollect.evaluation.prequential.scoring import Score, discounted_gains, squared_errors
from recollect.evaluation.prequential.ways import (
    WAYS,
    FoldIn,
    Frozen,
    Refitted,
    Updated,
    Way,
)
from recollect.model import Model
from recollect.run import Run
from recollect.system.door import words

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Ratings in order of time, of which a first part is fitted."""

    ratings: Ratings
    order: Int64[np.ndarray, " ratings"]
    n_first: int
    batch: int

    @classmethod
    def of(cls, ratings: Ratings, *, start: int | float, batch: int) -> Stream:
        """The ratings in order of time; those of the same second as they stand.

        Raises:
            DataError: without times, or if a part would be empty.
        """
        if ratings.time is None:
            column = words('time="when"', "--time-column when")
            raise DataError(
                f"Prequential evaluation goes by time, and {ratings.name!r} has no times; name "
                f"their column: {column}."
            )

        order = np.argsort(ratings.time, kind="stable")
        n_first = round(start * len(ratings))
        if not 0 < n_first < len(ratings):
            raise DataError(
                f"Of {len(ratings):,} ratings the first {start:.0%} are fitted, which leaves "
                "none on one side; give more ratings, or another start."
            )

        # What someone will dislike later must not leave their lists before.
        ratings = replace(ratings, disliked=None, checked=True)

        return cls(ratings=ratings, order=order, n_first=n_first, batch=batch)

    def first(self, n: int) -> Ratings:
        """The first n ratings."""
        return self.ratings.where(np.sort(self.order[:n]))

    def batches(self) -> list[slice]:
        """Which ratings of the order each batch has."""
        starts = range(self.n_first, len(self.ratings), self.batch)
        return [slice(first, min(first + self.batch, len(self.ratings))) for first in starts]


def prequential(
    model: Model,
    ratings: Ratings,
    *,
    start: int | float = 0.6,
    ways: Sequence[str] = WAYS,
    refit_every: str | int = "1d",
    batch: int = 100,
    n: int = 100,
    valid: int | float = 0.05,
    run: Run | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> Prequential:
    """Predict, score and learn in order of time, in several ways side by side.

    The model is fitted on the first part. Then, batch by batch, each way predicts the events before
    it has seen them, and learns from them: "frozen" never; "fold_in" predicts from all ratings so
    far, with what the first fit learned; "update" learns at once (`Model.update`); "refit" is
    fitted again every so often, and in between predicts as its last fit does. Ratings are scored by
    squared error, events by the discounted gain of their rank among the items that the user does
    not have. The model itself is not changed.

    Args:
        model: with its settings; whether it is fitted does not matter.
        ratings: with times.
        start: share of the ratings, the earliest, that is fitted first.
        ways: which of the four, in the order of the table.
        refit_every: time between fits: "1d", "12h", "30m", or seconds.
        batch: events that are predicted before they are learned from; 1: each by itself.
        n: length of the lists, of events.
        valid: share of what is fitted that chooses when to stop, drawn at random; 0: none.
        run: of the fits.
        progress: called with the number of events done and what comes next.

    Raises:
        DataError: if the ratings have no times, or too few.
        NotUpdatableError: for "update", if the model cannot be updated.
        SettingError: for a way or a time that does not exist.

    Source: Vinagre, Jorge, Gama. "Evaluation of Recommender Systems in Streaming Environments."
        RecSys 2014 workshop on recommender systems evaluation (the protocol).
    """
    expect("model", model, Model, 'a model, such as recollect.make("biased_mf")')
    expect_ratings("ratings", ratings, Ratings)
    expect_whole("batch", batch, at_least=1, what="the number of events learned from at once")
    every = seconds_of(refit_every)
    _check(ways, start)
    stream = Stream.of(ratings, start=start, batch=batch)
    fit = partial(_fitted, model, valid=valid, run=run or Run())
    fitted = fit(stream.first(stream.n_first))
    first_time = int(times_of(ratings, "prequential")[stream.order[stream.n_first]])
    sides = {way: _way(way, fitted, fit, every, first_time) for way in ways}
    score: Score = squared_errors
    metric = "rmse"
    if fitted.output == "scores":
        score = partial(discounted_gains, n=n)
        metric = f"dcg@{n}"

    return Prequential(
        metric=metric,
        time=times_of(ratings, "prequential")[stream.order[stream.n_first :]],
        value=_values(stream, sides, score, progress),
        timing={name: way.timing for name, way in sides.items()},
        about=_about(model, stream, start=start, refit_every=every, valid=valid),
    )


def _check(ways: Sequence[str], start: int | float) -> None:
    """Refuse ways and a share that cannot be.

    Args:
        ways: by name.
        start: share of the ratings that is fitted first.

    Raises:
        SettingError: naming them.
    """
    for way in ways:
        if way not in WAYS:
            raise unknown("way", way, WAYS)

    if not 0 < start < 1:
        raise SettingError(
            f"{words('start', '--start')} is the share of the ratings that is fitted first, above "
            f"0 and below 1; found {start:g}."
        )

    if not ways:
        raise SettingError(f"ways names at least one of {', '.join(WAYS)}; found none.")


def seconds_of(duration: str | int) -> int:
    """A time span in seconds: "1d", "12h", "30m", "90s", "2w", or a number of seconds.

    Raises:
        SettingError: if it is none, or not above 0.
    """
    match = re.fullmatch(r"(\d+)\s*([smhdw]?)", str(duration).strip())
    seconds = int(match[1]) * UNITS[match[2] or "s"] if match else 0
    if seconds < 1:
        raise SettingError(
            f"A time between fits is written like 1d, 12h, 30m or 90s; found {duration!r}."
        )

    return seconds


def _fitted(model: Model, ratings: Ratings, *, valid: int | float, run: Run) -> Model:
    """A fresh model, fitted on these ratings.

    Args:
        model: its settings.
        ratings: to learn from.
        valid: share that chooses when to stop.
        run: of the fit.
    """
    fresh = replace(model)
    train, held_out = hold_out_validation(ratings, valid=valid, seed=run.seed)

    return fresh.fit(train, held_out, run)


def _way(name: str, fitted: Model, fit: Callable[[Ratings], Model], every: int, start: int) -> Way:
    """The way of this name.

    Args:
        name: of WAYS.
        fitted: the model of the first part.
        fit: fits a fresh model.
        every: seconds between fits.
        start: when the first part ended.
    """
    if name == "update":
        _ = fitted.updatable  # refuses before the work
        return Updated(fitted)

    if name == "refit":
        return Refitted(fitted, fit, every, start)

    return Frozen(fitted) if name == "frozen" else FoldIn(fitted)


def _values(
    stream: Stream,
    sides: dict[str, Way],
    score: Score,
    progress: Callable[[int, str], None] | None,
) -> dict[str, np.ndarray]:
    """The value of every event by way.

    Args:
        stream: the events.
        sides: the ways by name, each of which learns.
        score: of a model, a batch and what it may predict from.
        progress: told of each batch.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in sides}
    times = times_of(stream.ratings, "prequential")[stream.order]

    for part in stream.batches():
        if progress is not None:
            progress(part.start - stream.n_first, "events")

        batch = stream.ratings.where(stream.order[part])
        # After the last batch nothing comes.
        now = int(times[min(part.stop, len(times) - 1)])
        past = partial(stream.first, part.stop)
        for name, way in sides.items():
            parts[name].append(_predict(way, batch, score))
            started = time.perf_counter()
            way.learn(batch, now, past)
            way.timing.learn += time.perf_counter() - started

    return {name: np.concatenate(values) for name, values in parts.items()}


def _predict(way: Way, batch: Ratings, score: Score) -> np.ndarray:
    """Let a way predict a batch; the value of each event."""
    started = time.perf_counter()
    value = score(way.model, batch, way.given)
    way.timing.predict += time.perf_counter() - started

    return value


def _about(model: Model, stream: Stream, **protocol: Any) -> dict[str, Any]:
    n_events = len(stream.ratings) - stream.n_first
    return {
        "model": repr(replace(model)).removesuffix(", not fitted"),
        "data": stream.ratings.name,
        "fingerprint": stream.ratings.fingerprint,
        "n_first": stream.n_first,
        "n_events": n_events,
        "batch": stream.batch,
        **protocol,
    }
