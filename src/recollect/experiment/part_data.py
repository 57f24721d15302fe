"""The data of a part: whether they can be used, how they are loaded and split."""

from __future__ import annotations

import inspect

from recollect.data import open_data
from recollect.data.ratings import Ratings
from recollect.data.sources import movielens
from recollect.data.splitting import Split, find, random_split
from recollect.experiment.spec import PUBLISHED, Part, SplitSpec
from recollect.experiment.texts import with_texts_of


def reason_missing(part: Part) -> str | None:
    """Why the data or texts of a part cannot be used, and how to get them; None if they can.

    Nothing is downloaded.
    """
    reason = open_data.missing(part.data)
    if reason is None and part.texts is not None:
        reason = part.texts.missing(part.data)
    return reason


def load_part(part: Part) -> Ratings:
    """The ratings of a part, with the texts of their items if it has some.

    Raises: as `open_data.load` and `with_texts`.
    """
    ratings = open_data.load(part.data)
    if part.texts is None:
        return ratings
    return part.texts.attach(ratings, part.data)


def split_part(part: Part, spec: SplitSpec) -> Split:
    """One split of a part.

    Raises: as `load_part` and the split.
    """
    settings = {key: value for key, value in spec.settings.items() if key != "how"}
    if spec.settings["how"] == PUBLISHED:
        return _published_fold(part, spec.seed, settings.get("valid", 0.0))

    split = find(spec.settings["how"])
    if "seed" in inspect.signature(split).parameters:
        settings["seed"] = spec.seed

    return split(load_part(part), **settings)


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
