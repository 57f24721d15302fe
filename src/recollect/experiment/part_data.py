"""The data of a part: whether they can be used, how they are loaded and split."""

from __future__ import annotations

import inspect
from dataclasses import replace

from recollect.data import open_data
from recollect.data.ratings import Ratings
from recollect.data.sources import movielens
from recollect.data.splitting import Split, find, per_user_split, random_split
from recollect.experiment.spec import PUBLISHED, Part, SplitSpec
from recollect.experiment.texts import with_texts_of


def reason_missing(part: Part) -> str | None:
    """Why the data or texts of a part cannot be used, and how to get them; None if they can.

    Nothing is downloaded.
    """
    reason = open_data.missing(part.data)
    if reason is None and _is_top_n(part):
        reason = movielens.top_n_missing()

    if reason is None and part.texts is not None:
        reason = part.texts.missing(part.data)
    return reason


def load_part(part: Part) -> Ratings:
    """The ratings or events of a part, with the texts of their items if it has some.

    Reviews are those of all ratings: they identify the data. A model is given what `split_part`
    has.

    Raises: as `open_data.load` and `with_texts`.
    """
    ratings = _kept_ratings(part)
    if part.texts is None:
        return ratings
    return part.texts.attach(ratings, part.data)


def _kept_ratings(part: Part) -> Ratings:
    """The ratings or events of a part without texts."""
    ratings = open_data.load(part.data)
    if part.events is not None:
        ratings = part.events.of(ratings)

    if part.keep is None:
        return ratings
    return part.keep.of(ratings, part.texts, part.data)


def split_part(part: Part, spec: SplitSpec) -> Split:
    """One split of a part. Of reviews it has those of its train ratings, unless the part says all.

    Raises: as `load_part` and the split.
    """
    settings = {key: value for key, value in spec.settings.items() if key != "how"}
    if _is_top_n(part):
        return _top_n_fold(part, spec.seed, settings.get("valid", 0.0))

    if spec.settings["how"] == PUBLISHED:
        return _published_fold(part, spec.seed, settings.get("valid", 0.0))

    split = find(spec.settings["how"])
    if "seed" in inspect.signature(split).parameters:
        settings["seed"] = spec.seed

    if part.texts is None or not part.texts.depend_on_split:
        return split(load_part(part), **settings)

    return _with_own_reviews(split(_kept_ratings(part), **settings), part)


def _with_own_reviews(split: Split, part: Part) -> Split:
    """A split with the reviews of its train ratings; validation and test have the same texts."""
    assert part.texts is not None
    train = part.texts.attach(split.train, part.data, among=split.train)
    valid = None if split.valid is None else with_texts_of(split.valid, train)

    return replace(split, train=train, valid=valid, test=with_texts_of(split.test, train))


def _is_top_n(part: Part) -> bool:
    """Whether the splits of a part are the published ones of events in MovieLens 1M."""
    return part.events is not None and part.split.get("how") == PUBLISHED


def _top_n_fold(part: Part, fold: int, valid: float) -> Split:
    """A published split of events; a share `valid` of each user's train is validation."""
    train, test = movielens.top_n_fold(load_part(part), fold)
    settings = {"fold": fold, "valid": valid}
    if not valid:
        return Split(train, None, test, "published fold", fold, settings)

    halves = per_user_split(train, test=valid, seed=fold)

    return Split(halves.train, halves.test, test, "published fold", fold, settings)


def _published_fold(part: Part, fold: int, valid: float) -> Split:
    """A published fold of MovieLens 100K; a share `valid` of its train is drawn for validation."""
    train, test = movielens.fold(fold)
    if part.texts is not None:
        train = part.texts.attach(train, part.data)
        test = with_texts_of(test, train)

    settings = {"fold": fold, "valid": valid}
    if not valid:
        return Split(train, None, test, "published fold", fold, settings)

    halves = random_split(train, test=valid, seed=fold)

    return Split(halves.train, halves.test, test, "published fold", fold, settings)
