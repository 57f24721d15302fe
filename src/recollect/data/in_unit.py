"""Ratings and rows in the unit of a model."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
from jaxtyping import Int64
from typing_extensions import override

from recollect.data.on_disk.stored_ratings import StoredRatings
from recollect.data.rating_unit import RatingUnit
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows

SCALE = (1.0, 5.0)  # of every model's unit

SomeRatings = TypeVar("SomeRatings", bound=AnyRatings)


class RatingsInUnit(Ratings):
    """Ratings made from others, `source`, with which they share the order of their rows."""

    @cached_property
    @override
    def _by_user(self) -> tuple[Rows, Int64[np.ndarray, " ratings"]]:
        source = vars(self).get("source")  # a part of these ratings has none
        return super()._by_user if source is None else self._like(*source._by_user)

    @cached_property
    @override
    def _by_item(self) -> tuple[Rows, Int64[np.ndarray, " ratings"]]:
        source = vars(self).get("source")
        return super()._by_item if source is None else self._like(*source._by_item)

    def _like(
        self, rows: Rows, entry: Int64[np.ndarray, " ratings"]
    ) -> tuple[Rows, Int64[np.ndarray, " ratings"]]:
        """These rows with the ratings at hand."""
        return replace(rows, value=self.value[entry]), entry


def in_unit(ratings: SomeRatings, unit: RatingUnit) -> SomeRatings:
    """The same ratings in a unit; made once, and kept as long as the ratings.

    Args:
        ratings: in memory or on disk.
        unit: of a model.
    """
    if unit.is_identity:
        return ratings

    kept = vars(ratings).get("_in_unit")
    if kept is None or kept[0] != unit:
        kept = unit, _converted(ratings, unit)
        vars(ratings)["_in_unit"] = kept

    _, converted = kept

    return cast(SomeRatings, converted)


def rows_in_unit(rows: Rows, unit: RatingUnit) -> Rows:
    """Rows of ratings in a unit."""
    if unit.is_identity:
        return rows

    return replace(rows, value=unit.standard(rows.value))


def _converted(ratings: AnyRatings, unit: RatingUnit) -> AnyRatings:
    if isinstance(ratings, StoredRatings):
        return _converted_on_disk(ratings, unit)

    assert isinstance(ratings, Ratings)
    columns: dict[str, Any] = {
        field.name: getattr(ratings, field.name) for field in fields(ratings)
    }
    columns |= {"value": unit.standard(ratings.value), "scale": SCALE, "checked": True}
    converted = RatingsInUnit(**columns)
    vars(converted)["source"] = ratings

    return converted


def _converted_on_disk(ratings: StoredRatings, unit: RatingUnit) -> StoredRatings:
    """Ratings on disk, converted as they are read."""
    sides = {side: rows.in_unit(unit) for side, rows in ratings.sides.items()}
    about = {
        **ratings.about,
        "scale": list(SCALE),
        "variance": ratings.variance / unit.size**2,
        # A snapshot of a fit in another unit must not be resumed.
        "fingerprint": f"{ratings.fingerprint} in {unit}",
    }

    return replace(ratings, sides=sides, about=about)
