"""Stochastic gradient descent for SVD++: a user's factors are p_u and the sum of what the items they rated imply.

Users are visited in random order, each one's ratings together, in random order. With `Time`, both change from day to day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64

from recollect.kernels.compiled import svdpp, timesvdpp
from recollect.kernels.compiled.threads import one_at_a_time


@dataclass(frozen=True, kw_only=True)
class StepSizes:
    """How large a step is, and what pulls it back; λ is what each rating brings with it."""

    rate: float
    reg_user: Float32[np.ndarray, " users"]
    reg_item: Float32[np.ndarray, " items"]
    reg_y: float  # of all the y_j of N(u) with each rating of u
    reg_offset: float


@dataclass(frozen=True, kw_only=True)
class TimeSlots:
    """When: a slot is a user on a day. One more slot, the last, stands for all other days."""

    slot: Int32[np.ndarray, " ratings"]
    drift: Float32[np.ndarray, " slots"]  # how far the slot is from the middle of the user's days
    bin: Int32[np.ndarray, " slots"]  # which part of the time it lies in
    level: Int32[np.ndarray, " slots"]  # how many ratings the user gave in it, on a rough scale
    n_bins: int
    n_levels: int
    steps: Float32[
        np.ndarray, "8 2"
    ]  # step and λ of what changes, in the order of `timesvdpp_loops`
    day_factors: bool


class SVDppArrays:
    """Ratings by user, and what is learned from them.

    `own`, `item` and `implied` are p, q and y, with zero columns added to a multiple of 16; `b_user` and `b_item` offsets.
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
        self._start, self._item, self._value, self.steps, self._time = (
            start,
            item,
            value,
            steps,
            time,
        )
        n_users, width = len(start) - 1, -(-factors // 16) * 16
        self.own, self.item, self.implied = (
            np.zeros((rows, width), np.float32) for rows in (n_users, n_items, n_items)
        )
        self.b_user, self.b_item = np.zeros(n_users, np.float32), np.zeros(n_items, np.float32)
        if time is not None:
            self._add_time(time, n_users, n_items, width)

    def _add_time(self, time: TimeSlots, n_users: int, n_items: int, width: int) -> None:
        n_slots = len(time.drift)
        self.slope, self.scale = np.zeros(n_users, np.float32), np.ones(n_users, np.float32)
        self.b_day, self.scale_day = np.zeros(n_slots, np.float32), np.zeros(n_slots, np.float32)
        self.b_bin = np.zeros((n_items, time.n_bins), np.float32)
        self.b_often = np.zeros((n_items, time.n_levels), np.float32)
        self.drift = np.zeros((n_users, width), np.float32)
        self.day = np.zeros((n_slots if time.day_factors else 0, width), np.float32)

    def __len__(self) -> int:
        return len(self._value)

    def descend(self, *, shrink: float, seed: int) -> float:
        """A step on every rating, `shrink` times as large as the steps say, in an order drawn from the seed. The sum of squared
        errors, each before its step."""
        s, time = self.steps, self._time
        static = (
            self._start,
            self._item,
            self._value,
            self.own,
            self.item,
            self.implied,
            self.b_user,
            self.b_item,
            s.reg_user,
            s.reg_item,
            np.float32(s.reg_y),
            np.float32(s.reg_offset),
            np.float32(s.rate * shrink),
            np.uint64(seed),
        )
        if time is None:
            return float(svdpp.descend(*static))
        steps = time.steps * np.array([shrink, 1], np.float32)
        return float(
            timesvdpp.descend(
                *static,
                time.slot,
                time.drift,
                time.bin,
                time.level,
                steps,
                time.day_factors,
                self.slope,
                self.b_day,
                self.b_bin,
                self.scale,
                self.scale_day,
                self.b_often,
                self.drift,
                self.day,
            )
        )

    def tastes(self) -> Float32[np.ndarray, "users width"]:
        """p_u + |N(u)|^-1/2 Σ y_j of every user."""
        out = np.empty_like(self.own)
        with one_at_a_time():
            svdpp.implied(self._start, self._item, self.implied, out)
        return out + self.own
