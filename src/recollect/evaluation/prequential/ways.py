"""How a model keeps up with events: not at all, by fold-in, by update, or by fits."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable

from typing_extensions import override

from recollect.data.ratings import Ratings
from recollect.evaluation.prequential.result import Timing
from recollect.model import Model
from recollect.online.merge import merge

WAYS = ("frozen", "fold_in", "update", "refit")
Fit = Callable[[Ratings], Model]


class Way(ABC):
    """A model, what it may predict from, and how it takes a batch of events.

    Args:
        model: fitted on the first part; not changed.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.timing = Timing()

    @property
    def given(self) -> Ratings:
        """What the next events are predicted from."""
        given = self.model.given_
        assert isinstance(given, Ratings)
        return given

    @abstractmethod
    def learn(self, batch: Ratings, now: int, past: Callable[[], Ratings]) -> None:
        """Take a batch that has been predicted.

        Args:
            batch: the events.
            now: when the next event is, in seconds since 1970.
            past: gives all events before it.
        """


class Frozen(Way):
    """The model of the first part, and what it was fitted on."""

    @override
    def learn(self, batch: Ratings, now: int, past: Callable[[], Ratings]) -> None:
        pass


class FoldIn(Way):
    """The model of the first part, which predicts from all events so far."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.so_far = super().given

    @property
    @override
    def given(self) -> Ratings:
        return self.so_far

    @override
    def learn(self, batch: Ratings, now: int, past: Callable[[], Ratings]) -> None:
        self.so_far = merge(self.so_far, batch).after


class Updated(Way):
    """A model that learns from every batch at once."""

    def __init__(self, model: Model) -> None:
        super().__init__(copy.copy(model))

    @override
    def learn(self, batch: Ratings, now: int, past: Callable[[], Ratings]) -> None:
        self.model.update(batch)


class Refitted(Way):
    """A model that is fitted again on all events so far, every so many seconds."""

    def __init__(self, model: Model, fit: Fit, every: int, start: int) -> None:
        """Begin with the model of the first part.

        Args:
            model: fitted.
            fit: fits a fresh one.
            every: seconds between fits.
            start: when the first part ended, in seconds since 1970.
        """
        super().__init__(model)
        self.fit = fit
        self.every = every
        self.next = start + every

    @override
    def learn(self, batch: Ratings, now: int, past: Callable[[], Ratings]) -> None:
        if now < self.next:
            return

        self.model = self.fit(past())
        self.timing.n_fits += 1
        # Of a time without events no fit is made up for.
        self.next += (1 + (now - self.next) // self.every) * self.every
