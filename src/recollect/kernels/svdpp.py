"""Stochastic gradient descent for SVD++ and timeSVD++, with a step per rating.

A user's factors are p_u + |N(u)|^-1/2 Σ y_j over N(u), the items that u rated. Users are visited in
random order, each one's ratings together in random order, by one thread: the y_j are shared by all
users. With `TimeSlots`, users and items change with time. `reference.svdpp` and
`reference.timesvdpp` state a step in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32, Int64

from recollect.kernels.compiled import svdpp, timesvdpp
from recollect.kernels.compiled.threads import one_at_a_time
from recollect.kernels.sgd import padded_width

# What changes with time, by the paper's letters; the order is that of the rows of
# `TimeSlots.steps`.
TIME_PARAMETERS = (
    "alpha_user",
    "b_user_day",
    "b_item_bin",
    "c_user",
    "c_user_day",
    "b_item_frequency",
    "alpha_p",
    "p_day",
)


@dataclass(frozen=True, kw_only=True)
class StepSizes:
    """The learning rate, and λ as far as each rating brings it."""

    rate: float  # gamma
    reg_user: Float32[np.ndarray, " users"]  # of p_u
    reg_item: Float32[np.ndarray, " items"]  # of q_i
    reg_y: float  # of every y_j of N(u), with each rating of u
    reg_offset: float  # of b_u and b_i


@dataclass(frozen=True, kw_only=True)
class TimeSlots:
    """When ratings were given. A slot is a user on a day, the last one all other days."""

    slot: Int32[np.ndarray, " ratings"]
    deviation: Float32[np.ndarray, " slots"]  # dev_u(t)
    bin: Int32[np.ndarray, " slots"]  # Bin(t)
    frequency: Int32[np.ndarray, " slots"]  # the user's ratings on the day, on a logarithmic scale
    n_bins: int
    n_frequencies: int
    # Learning rate and λ of each of TIME_PARAMETERS; a rate of 0 leaves it at its initial value.
    steps: Float32[np.ndarray, "8 2"]
    day_factors: bool  # whether p_day is learned


class SVDppArrays:
    """Ratings by user, and the parameters that are learned from them.

    `p`, `q` and `y` are factors, with zero columns added (`padded_width`); `b_user` and `b_item`
    are offsets. With `TimeSlots` there are TIME_PARAMETERS, too: `p_day`, `b_user_day` and
    `c_user_day` have a row per slot.
    """

    def __init__(
        self,
        start: Int64[np.ndarray, " users_and_one"],
        item: Int32[np.ndarray, " ratings"],
        value: Float32[np.ndarray, " ratings"],
        *,
        n_items: int,
        factors: int,
        steps: StepSizes,
        time: TimeSlots | None = None,
    ) -> None:
        """All parameters are 0, but c_user, which is 1.

        Args:
            start: the first rating of each user, and the number of ratings.
            item: row number of the item of each rating.
            value: the rating, less the mean.
            n_items: number of items.
            factors: number of factors, k.
            steps: learning rate and λ.
            time: when the ratings were given; None: nothing changes with time.
        """
        self.start = start
        self.item = item
        self.value = value
        self.steps = steps
        self.time = time

        n_users = len(start) - 1
        width = padded_width(factors)
        self.p = np.zeros((n_users, width), np.float32)
        self.q = np.zeros((n_items, width), np.float32)
        self.y = np.zeros((n_items, width), np.float32)
        self.b_user = np.zeros(n_users, np.float32)
        self.b_item = np.zeros(n_items, np.float32)
        if time is not None:
            self._add_time(time, n_users, n_items, width)

    def _add_time(self, time: TimeSlots, n_users: int, n_items: int, width: int) -> None:
        n_slots = len(time.deviation)

        self.alpha_user = np.zeros(n_users, np.float32)
        self.b_user_day = np.zeros(n_slots, np.float32)
        self.b_item_bin = np.zeros((n_items, time.n_bins), np.float32)
        # 1, not 0: c_u multiplies the item's offset.
        self.c_user = np.ones(n_users, np.float32)
        self.c_user_day = np.zeros(n_slots, np.float32)
        self.b_item_frequency = np.zeros((n_items, time.n_frequencies), np.float32)
        self.alpha_p = np.zeros((n_users, width), np.float32)
        # By far the largest: rows for every user and day are not made unless they are learned.
        n_rows = n_slots if time.day_factors else 0
        self.p_day = np.zeros((n_rows, width), np.float32)

    def __len__(self) -> int:
        return len(self.value)

    def descend(self, *, shrink: float, seed: int) -> float:
        """Take a step on every rating; returns the sum of squared errors, each before its step.

        Args:
            shrink: what all learning rates are multiplied by.
            seed: of the order in which users and their ratings are visited.
        """
        static = self._static_arguments(shrink, seed)
        if self.time is None:
            return float(svdpp.descend(*static))

        time = self.time
        # Learning rates shrink, λ does not.
        steps = time.steps * np.array([shrink, 1], np.float32)
        parameters = [getattr(self, name) for name in TIME_PARAMETERS]
        squares = timesvdpp.descend(
            *static,
            time.slot,
            time.deviation,
            time.bin,
            time.frequency,
            steps,
            time.day_factors,
            *parameters,
        )

        return float(squares)

    def _static_arguments(self, shrink: float, seed: int) -> tuple[Any, ...]:
        # NumPy's 32 bits, not Python's 64: another type would be compiled anew.
        return (
            self.start,
            self.item,
            self.value,
            self.p,
            self.q,
            self.y,
            self.b_user,
            self.b_item,
            self.steps.reg_user,
            self.steps.reg_item,
            np.float32(self.steps.reg_y),
            np.float32(self.steps.reg_offset),
            np.float32(self.steps.rate * shrink),
            np.uint64(seed),
        )

    def user_factors(self) -> Float32[np.ndarray, "users width"]:
        """p_u + |N(u)|^-1/2 Σ y_j of every user, without what changes with time."""
        sums = np.empty_like(self.p)
        with one_at_a_time():
            svdpp.sum_y_of_all(self.start, self.item, self.y, sums)
        return sums + self.p
