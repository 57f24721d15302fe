"""RatingUnit: the unit in which models see ratings, so that their scale does not matter.

A rating r on a scale from low to high is s = (r − low) / size + 1, with size = (high − low) / 4:
on every scale, the lowest rating is 1 and the highest is 5. Learning rates, penalties and initial
weights then mean the same on every scale, and what they mean in the papers, whose ratings are 1 to
5: there s is r, to the bit.

The scale counts, not the standard deviation of the ratings: a deviation is never exactly that of
the papers' data, and differs between the parts of one data set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

AT_ONCE = 1 << 20  # numbers that are converted at once, in 64 bits
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class RatingUnit:
    """A linear function of ratings.

    Args:
        low: the rating that is 1 in this unit.
        size: how many rating points the unit has.
    """

    low: float = 1.0
    size: float = 1.0

    @classmethod
    def of(cls, scale: tuple[float, float]) -> RatingUnit:
        """The unit in which a scale is 1 to 5; of a scale with one rating, that rating is 1."""
        # As the ratings are, in 32 bits: the lowest one is then exactly 1.
        ends = np.clip(scale, -LARGEST, LARGEST).astype(np.float32)
        low, high = ends.tolist()
        # Each is divided: the difference of two large numbers could be infinite.
        size = high / 4 - low / 4

        return cls(low, size or 1.0)

    @property
    def is_identity(self) -> bool:
        """Whether ratings are in this unit as they are."""
        return self.low == 1.0 and self.size == 1.0

    def standard(self, value: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        """Ratings in this unit."""
        if self.is_identity:
            return value
        return _converted(value, lambda ratings: (ratings - self.low) / self.size + 1)

    def points(self, standard: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
        """Numbers in this unit as ratings, no farther from 0 than 32 bits reach."""
        if self.is_identity:
            return standard
        return _converted(standard, lambda s: (s - 1) * self.size + self.low)


IDENTITY = RatingUnit()  # ratings as they are


def _converted(
    value: Float32[np.ndarray, "*shape"],
    convert: Callable[[Float64[np.ndarray, " some"]], Float64[np.ndarray, " some"]],
) -> Float32[np.ndarray, "*shape"]:
    """Numbers converted in 64 bits, a part of them at a time; as wide as they were."""
    flat = value.reshape(-1)
    out = np.empty_like(flat)

    for first in range(0, len(flat), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        converted = convert(flat[part].astype(np.float64))
        out[part] = np.clip(converted, -LARGEST, LARGEST)

    return out.reshape(value.shape)
