"""The truth that planted ratings are drawn from: offsets, factors, noise and the scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int
from scipy.special import ndtr

HEIGHT_OF_MEAN = 0.62  # of the mean rating on the scale: people like most of what they rate


@dataclass(frozen=True, eq=False)
class Truth:
    """What the ratings are drawn from."""

    mu: float
    b_user: Float32[np.ndarray, " n_users"]
    b_item: Float32[np.ndarray, " n_items"]
    U: Float32[np.ndarray, "n_users rank"]
    V: Float32[np.ndarray, "n_items rank"]
    noise: float  # standard deviation, in units of the scale
    scale: tuple[float, float]
    step: float | None  # ratings are lowest + whole steps; None: any value

    def mean(
        self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The mean of each pair's distribution before clipping and rounding."""
        factors_of_user = self.U[user]
        factors_of_item = self.V[item]
        product = np.einsum(
            "pk,pk->p",
            factors_of_user,
            factors_of_item,
            dtype=np.float64,
        )
        offset = self.mu + self.b_user[user] + self.b_item[item]

        return offset + product

    def expected(
        self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"]
    ) -> Float32[np.ndarray, " pairs"]:
        """The expected rating of each pair, clipped and rounded: the best possible prediction."""
        mean = self.mean(user, item)
        if self.step is not None:
            expected = _expected_on_steps(mean, self, self.step)
        else:
            expected = _expected_between_ends(mean, self)

        return expected.astype(np.float32)

    def draw(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        random: np.random.Generator,
    ) -> Float32[np.ndarray, " pairs"]:
        """Draw a rating of each pair.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            random: the source of randomness.
        """
        low, high = self.scale
        mean = self.mean(user, item)
        error = self.noise * random.standard_normal(len(user))
        value = mean + error
        if self.step is not None:
            n_steps = np.rint((value - low) / self.step)
            value = low + self.step * n_steps

        clipped = np.clip(value, low, high)

        return clipped.astype(np.float32)


def _expected_on_steps(
    mean: Float64[np.ndarray, " pairs"], truth: Truth, step: float
) -> Float64[np.ndarray, " pairs"]:
    """The expectation of the rounded and clipped rating, for these means before rounding."""
    low, high = truth.scale
    # The lowest rating, and a step for each threshold that is passed.
    thresholds = np.arange(low + step / 2, high, step)
    if not truth.noise:
        passed = [mean > threshold for threshold in thresholds]
    else:
        passed = [ndtr((mean - threshold) / truth.noise) for threshold in thresholds]

    n_steps = np.sum(passed, axis=0)

    return low + step * n_steps


def _expected_between_ends(
    mean: Float64[np.ndarray, " pairs"], truth: Truth
) -> Float64[np.ndarray, " pairs"]:
    """The expectation of the clipped rating: the mean of a normal, censored at both ends."""
    low, high = truth.scale
    if not truth.noise:
        return np.clip(mean, low, high)

    below = (low - mean) / truth.noise
    above = (high - mean) / truth.noise
    share_inside = ndtr(above) - ndtr(below)
    shift = truth.noise * (_density(below) - _density(above))
    inside = mean * share_inside + shift
    # ndtr(-x) and not 1 - ndtr(x), which loses the digits of a small tail.
    share_above = ndtr(-above)

    return low * ndtr(below) + high * share_above + inside


def _density(x: Float64[np.ndarray, " pairs"]) -> Float64[np.ndarray, " pairs"]:
    """Of the standard normal distribution."""
    height = np.exp(-x * x / 2)
    area = np.sqrt(2 * np.pi)
    return height / area


def draw_truth(
    n_users: int,
    n_items: int,
    *,
    rank: int,
    noise: float,
    scale: tuple[float, float],
    step: float | None,
    random: np.random.Generator,
) -> Truth:
    """Offsets and factors as of films: on a scale of 1 to 5 each has a deviation of about 0.4.

    Args:
        n_users: how many users.
        n_items: how many items.
        rank: the number of factors.
        noise: standard deviation around the truth, in units of the scale.
        scale: the lowest and the highest rating.
        step: ratings are lowest + whole steps; None: any value.
        random: the source of randomness.
    """
    low, high = scale
    width = high - low
    std = width / 10

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32)

    # The order of these four draws is part of what a seed means.
    b_user = std * normal(n_users)
    b_item = std * normal(n_items)
    U = std * normal(n_users, rank)
    # Divided by the root of the rank, so that U_u·V_i has the deviation `std` at any rank.
    V = normal(n_items, rank) / np.float32(np.sqrt(rank))

    return Truth(
        mu=low + HEIGHT_OF_MEAN * width,
        b_user=b_user,
        b_item=b_item,
        U=U,
        V=V,
        noise=noise,
        scale=scale,
        step=step,
    )
