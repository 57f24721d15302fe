"""What `Model.fit` refuses: ratings that lack what a model needs, too few, or a leak."""

from __future__ import annotations

import logging
from typing import Any

from recollect.arguments import expect, expect_ratings
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.errors import DataError, LeakError
from recollect.run import Run
from recollect.system.door import words
from recollect.unseen import check_cold

log = logging.getLogger("recollect")

SIDES: tuple[tuple[Side, str], ...] = (("user", "users"), ("item", "items"))


def check_arguments(train: Any, valid: Any, run: Any) -> None:
    """Refuse arguments of `fit` of another kind.

    Args:
        train: should be ratings, in memory or on disk.
        valid: should be ratings in memory, or None.
        run: should be a Run, or None.

    Raises:
        SettingError: naming the argument and what to pass.
    """
    expect_ratings("train", train, AnyRatings)
    if valid is not None:
        expect_ratings("valid", valid, Ratings)

    if run is not None:
        expect("run", run, Run, "a Run, such as recollect.Run(seed=0)")


def check_data(model: Any, train: AnyRatings, valid: Ratings | None) -> None:
    """Refuse ratings that the model cannot learn from.

    Args:
        model: an unfitted Model.
        train: the ratings to learn from.
        valid: the ratings that choose when to stop; None without any.

    Raises:
        DataError: if the ratings lack what the model needs, or are too few.
        LeakError: if train and valid share pairs.
        SettingError: if `cold` does not suit the scale of the ratings.
    """
    name = type(model).__name__
    _check_needs(model, train, name)
    if not train.in_memory:
        _check_stored(model, train, valid, name)

    if not len(train):
        raise DataError(f"{name} cannot learn from 0 ratings.")

    for side, plural in SIDES:
        n = int((train.count(side) > 0).sum())
        if n < 2:
            raise DataError(f"{name} needs at least 2 {plural} with ratings, found {n}.")

    check_cold(model.cold, train)
    if valid is not None:
        _check_validation(train, valid)


def _check_needs(model: Any, train: AnyRatings, name: str) -> None:
    """Refuse ratings without times or texts that the model needs, and events for ratings."""
    needs = model.capabilities.needs
    if "time" in needs and train.time is None:
        column = words('recollect.read(…, time="when")', "--time-column when")
        raise DataError(
            f"{name} needs the time of each rating, and these ratings have none. Name their "
            f"column: {column}; or choose a model without time."
        )

    if "text" in needs:
        _check_texts(train, name)

    if "events" in needs and not train.implicit:
        how = words("ratings.events(from_=4)", "--events-from 4")
        raise DataError(
            f"{name} with these settings learns from events (who chose what), and {train!r} are "
            f"ratings; take the high ones as events: {how}."
        )

    if train.implicit and not model.capabilities.counts and train.scale[1] > 1:
        log.info("%s counts an event as 1, however often it was or whatever its kind weighs.", name)

    if model.output == "ratings" and train.implicit:
        raise DataError(
            f"{name} with these settings learns how high the ratings are, and {train!r} are "
            'events; use popularity, or deeprec with loss="multinomial".'
        )


def _check_texts(train: AnyRatings, name: str) -> None:
    if train.text is None:
        fault = "these ratings have none"
    elif not train.text.has.any():
        fault = "none has a word that is kept"
    else:
        return

    how = words('recollect.with_texts(ratings, "plot.item")', "--text plot.item")
    raise DataError(f"{name} needs the items' texts, and {fault}; give them: {how}.")


def _check_stored(model: Any, train: AnyRatings, valid: Ratings | None, name: str) -> None:
    if not model.capabilities.streams:
        raise DataError(
            f"{name} learns from ratings in memory only, and {train!r} is on disk; give it "
            f"{words('Ratings (recollect.read)', 'the file that they were stored from')}, or use "
            "autorec."
        )

    if model.refit and valid is not None:
        log.warning(
            "The model is that of %s alone: refit=True joins train and validation ratings in "
            "memory, and train is on disk.",
            train.name,
        )


def _check_validation(train: AnyRatings, valid: Ratings) -> None:
    if valid.users != train.users or valid.items != train.items:
        raise DataError("train and valid have different vocabularies; make both with one split.")

    if n_shared := train.shared(valid):
        raise LeakError(
            f"valid shares {n_shared} pairs with train; early stopping would be blind: split again."
        )
