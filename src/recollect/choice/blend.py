"""Fitted models, blended into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recollect import registry
from recollect.arguments import expect, expect_ratings
from recollect.data.ratings import Ratings
from recollect.errors import DataError, LeakError, SettingError
from recollect.model import Model


def blend(models: Sequence[Model], valid: Ratings, **settings: Any) -> Model:
    """A model that predicts the weighted sum of what fitted models predict.

    Weights are learned from `valid`; the models stay as they are. Models that are not fitted yet
    are members of `make("blend", members=[…])`, which fits them.

    Args:
        models: fitted, or loaded, all on the same ratings.
        valid: ratings that none of the models has learned from; each may have stopped early by
            them.
        settings: of the blend: `clip` and `cold`.

    Raises:
        SettingError: for a model that cannot be a member, such as one of events.
        NotFittedError: if a model is not fitted.
        DataError: if the models were fitted on different ratings.
        LeakError: if one of them has learned from ratings in `valid`.
    """
    what = "a list of fitted models"
    expect("models", models, (list, tuple), what)
    if not models:
        raise SettingError(f"models is empty; pass {what}.")

    for model in models:
        expect("a model", model, Model, "a fitted model")

    expect_ratings("valid", valid, Ratings)
    _check_unseen(models, valid)
    _check_alike(models)

    kind: Any = registry.find("blend")

    return kind.of(models, valid, **settings)


def _check_unseen(models: Sequence[Model], valid: Ratings) -> None:
    """Refuse ratings that one of the models has learned from, or of other vocabularies."""
    for model in models:
        given = model.given()
        if valid.users != given.users or valid.items != given.items:
            raise DataError(
                "valid and the models have different vocabularies; make all parts with one split."
            )

        if n_shared := given.shared(valid):
            raise LeakError(
                f"{model!r} has learned from {n_shared} of the {len(valid):,} ratings in valid, "
                "and its weight would be that of a training error; fit it with refit=False, or "
                "pass other ratings."
            )


def _check_alike(models: Sequence[Model]) -> None:
    """Refuse models that have learned from different ratings, or in different units."""
    first = models[0].given()

    for model in models[1:]:
        given = model.given()
        is_same = given is first or (
            given.fingerprint == first.fingerprint
            and given.users == first.users
            and given.items == first.items
        )
        if not is_same:
            raise DataError(
                f"The models of a blend are fitted on the same ratings; found {first!r} and "
                f"{given!r}."
            )

        if model.unit_ != models[0].unit_:
            raise DataError(
                "The models of a blend learn in the same unit, and one of these was saved by an "
                "earlier release, which had another; fit it anew."
            )
