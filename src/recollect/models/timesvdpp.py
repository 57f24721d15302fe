"""TimeSVDpp: timeSVD++, SVD++ in which users and items change with time.

Source: Koren. "Collaborative Filtering with Temporal Dynamics." KDD 2009; `frequency` from Koren. "The BellKor Solution to the
Netflix Grand Prize." 2009, section III.
Differs: as `SVDpp`. StepSizes and λ of what changes were chosen on MovieLens 1M; c_u is drawn towards 1; without `day_factors` p_u
has no term of its own for each day. On a day on which the user rated nothing in train, the terms of the day are 0 and the
frequency is 1. Someone new is folded in without time. Lists, and predictions without times, are of a user's last day in train.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.calendar import SECONDS, Days
from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError
from recollect.families.svdpp import SVDppFactors, SVDppModel
from recollect.kernels.svdpp import TimeSlots
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities
from recollect.run import Run

BASE, LEVELS = 6.76, 8  # a day with so many ratings to the power n is of level n


class RatingTimes:
    """When the ratings of some pairs are given."""

    def __init__(
        self,
        days: Days,
        user: np.ndarray,
        day: np.ndarray,
        *,
        bins: int,
        power: float,
        device: torch.device,
    ) -> None:
        slot = days.slot(user, day)
        level = np.minimum(np.log(days.often(slot)) / np.log(BASE), LEVELS - 1).astype(np.int64)
        self.slot, self.drift, self.bin, self.level = (
            torch.as_tensor(x, device=device)
            for x in (slot, days.drift(user, day, power=power), days.bin(day, n=bins), level)
        )


class TimeSVDppFactors(SVDppFactors):
    """The network: SVDppFactors, and what changes of each. Without a moment it is static."""

    def __init__(
        self, n_users: int, n_items: int, k: int, *, slots: int, bins: int, day_factors: bool
    ) -> None:
        super().__init__(n_users, n_items, k)
        self.slope = nn.Buffer(torch.zeros(n_users))  # alpha_u
        self.b_day = nn.Buffer(torch.zeros(slots))  # b_u,t
        self.b_bin = nn.Buffer(torch.zeros(n_items, bins))  # b_i,Bin(t)
        self.scale = nn.Buffer(torch.ones(n_users))  # c_u
        self.scale_day = nn.Buffer(torch.zeros(slots))  # c_u,t
        self.b_often = nn.Buffer(torch.zeros(n_items, LEVELS))  # b_i,f
        self.drift = nn.Buffer(torch.zeros(n_users, k))  # alpha_uk
        self.day = nn.Buffer(torch.zeros(slots if day_factors else 0, k))  # p_uk,t

    def places(self) -> dict[str, Tensor]:
        """See SVDppFactors."""
        names = ("slope", "b_day", "b_bin", "scale", "scale_day", "b_often", "drift", "day")
        return super().places() | {name: getattr(self, name) for name in names}

    def taste(self, user: Tensor, at: Any) -> Float32[Tensor, "pairs k"]:
        """What each user's factors are at the moment, equation 13, and what their items imply."""
        found = self.user[user, :-1] + at.drift[:, None] * self.drift[user]
        return found + self.day[at.slot] if len(self.day) else found

    def b_user_at(self, user: Tensor, at: Any) -> Float32[Tensor, " pairs"]:
        """b_u(t), equation 9."""
        return self.user[user, -1] + self.slope[user] * at.drift + self.b_day[at.slot]

    def c_user_at(self, user: Tensor, at: Any) -> Float32[Tensor, " pairs"]:
        """c_u(t), section 3.2."""
        return self.scale[user] + self.scale_day[at.slot]

    def at(self, user: Tensor, item: Tensor, at: Any) -> Float32[Tensor, " pairs"]:
        """The rating of each pair at its moment: equation 10's biases, equation 14's product."""
        b_item = (self.item[item, -1] + self.b_bin[item, at.bin]) * self.c_user_at(
            user, at
        ) + self.b_often[item, at.level]
        return (
            self.mu
            + self.b_user_at(user, at)
            + b_item
            + (self.taste(user, at) * self.item[item, :-1]).sum(dim=1)
        )

    def everything_at(self, user: Tensor, at: Any) -> Float32[Tensor, "users items"]:
        """The rating of every item by each user at a moment."""
        b_item = (self.item[:, -1] + self.b_bin.t()[at.bin]) * self.c_user_at(user, at)[
            :, None
        ] + self.b_often.t()[at.level]
        return (
            self.mu
            + self.b_user_at(user, at)[:, None]
            + b_item
            + self.taste(user, at) @ self.item[:, :-1].t()
        )


@dataclass(kw_only=True, eq=False)
class TimeSVDpp(SVDppModel):
    """mu + b_u(t) + b_i(t) c_u(t) + q_i · (p_u(t) + |N(u)|^-1/2 Σ y_j), equations 10 and 14."""

    bins: int = 30  # parts of the time in which an item's offset differs
    drift_power: float = (
        0.4  # beta: a day's distance from the middle of the user's days counts to this power
    )
    day_factors: bool = (
        False  # p_u has a term of its own on each day; as many numbers as users have days, times k
    )
    frequency: bool = (
        False  # an item's offset differs with how many ratings the user gives on the day
    )
    step_slope: tuple[float, ...] = (
        1e-5,
        50.0,
    )  # of alpha_u: step and λ; a step of 0 leaves the term out
    step_day: tuple[float, ...] = (2.5e-3, 5e-3)  # of b_u,t
    step_bin: tuple[float, ...] = (5e-5, 0.1)  # of b_i,Bin(t)
    step_scale: tuple[float, ...] = (8e-3, 0.01)  # of c_u
    step_scale_day: tuple[float, ...] = (2e-3, 5e-3)  # of c_u,t
    step_frequency: tuple[float, ...] = (2.36e-3, 1.1e-8)  # of b_i,f
    step_drift: tuple[float, ...] = (1e-5, 50.0)  # of alpha_uk
    step_day_factors: tuple[float, ...] = (4e-3, 0.02)  # of p_uk,t

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(needs=frozenset({"time"}))

    def check(self) -> None:
        """Refuse settings that cannot work."""
        super().check()
        if self.bins < 1 or self.drift_power <= 0:
            raise SettingError(
                f"bins is 1 or more and drift_power above 0, found {self.bins} and {self.drift_power}."
            )
        for name, pair in self.pairs_of_steps().items():
            if len(pair) != 2 or min(pair) < 0:
                raise SettingError(f"{name} is a step and a λ, each 0 or more, found {pair}.")

    def pairs_of_steps(self) -> dict[str, tuple[float, ...]]:
        """Step and λ of what changes, in the kernel's order."""
        names = ("slope", "day", "bin", "scale", "scale_day", "frequency", "drift", "day_factors")
        return {f"step_{name}": getattr(self, f"step_{name}") for name in names}

    @property
    def days(self) -> Days:
        """The days of the ratings it was fitted on."""
        if not hasattr(self, "days_"):
            assert isinstance(self.given_, Ratings)
            self.days_ = Days.of(self.given_)
        return self.days_

    def _forget(self) -> None:
        self.__dict__.pop("days_", None)

    def empty(self, n_users: int, n_items: int) -> SVDppFactors:
        """See SVDppModel."""
        return TimeSVDppFactors(
            n_users,
            n_items,
            self.factors,
            slots=len(self.days) + 1,
            bins=self.bins,
            day_factors=self.day_factors,
        )

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model; there may be as many days as ratings."""
        slots = shape.n_train * (self.factors + 2 if self.day_factors else 2)
        return of_factors(
            shape,
            numbers=(3 * self.factors + 4) * (shape.n_users + shape.n_items)
            + slots
            + (self.bins + LEVELS) * shape.n_items,
        )

    def time(self, train: Ratings) -> TimeSlots:
        """See SVDppModel."""
        days, steps = self.days, np.array(list(self.pairs_of_steps().values()), np.float32)
        assert train.time is not None
        steps[5, 0] *= self.frequency
        slot = days.slot(train.user, train.time // SECONDS)[train.entry("user")]
        at = self.moments(days.user, days.day)
        drift, part, level = (
            np.pad(x.cpu().numpy(), (0, 1)) for x in (at.drift, at.bin, at.level)
        )  # the last slot is no day
        return TimeSlots(
            slot=slot.astype(np.int32),
            drift=drift,
            bin=part.astype(np.int32),
            level=level.astype(np.int32),
            n_bins=self.bins,
            n_levels=LEVELS,
            steps=steps,
            day_factors=self.day_factors,
        )

    # --- predicting -----------------------------------------------------------------------------------------------

    def moments(
        self, user: Int[np.ndarray, " pairs"], day: Int[np.ndarray, " pairs"]
    ) -> RatingTimes:
        """What the network needs to know of the days."""
        return RatingTimes(
            self.days,
            user,
            day,
            bins=self.bins,
            power=self.drift_power,
            device=self.net_.user.device,
        )

    @override
    @torch.no_grad()
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        day = self.days.latest(user) if times is None else times // SECONDS
        at = self.moments(user, day)
        users, items = (torch.as_tensor(x, device=self.net_.user.device) for x in (user, item))
        predicted: np.ndarray = self.net_.at(users, items, at).cpu().numpy()
        return predicted

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        at = self.moments(user, self.days.latest(user))
        rows = torch.as_tensor(user, device=self.net_.user.device)
        scores: np.ndarray = self.net_.everything_at(rows, at).cpu().numpy()
        return scores


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "factors": 3,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "init": 0.1,
    "decay": 1.0,
    "epochs": 60,
}
