"""timeSVD++: SVD++ in which users and items change with time.

    b_u(t) = b_u + alpha_u dev_u(t) + b_u,t          p_u(t) = p_u + alpha_uk dev_u(t) + p_u,t
    b_i(t) = b_i + b_i,Bin(t)                        c_u(t) = c_u + c_u,t

`kernels.reference.timesvdpp` states the prediction and a step of its descent in NumPy;
`kernels.svdpp` computes the steps.

Source: Koren. "Collaborative Filtering with Temporal Dynamics." KDD 2009; `frequency` from Koren.
"The BellKor Solution to the Netflix Grand Prize." 2009, section III.
Differs: as `SVDpp`. The paper states no learning rates and λ: those of what changes are BellKor
2009b's, of ten years of Netflix, those of p_u,t and of what does not change are ours; c_u is drawn
towards 1; without `day_factors` p_u has no term of its own for each day. On a day on which the user
rated nothing in train, the terms of the day are 0 and the frequency is 1. New users are folded in
without time. Lists, and predictions without times, are for a user's last day in train.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.calendar import SECONDS, Days
from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import NotUpdatableError, SettingError
from recollect.families.svdpp import SVDppFactors, SVDppModel
from recollect.kernels.svdpp import TIME_PARAMETERS, TimeSlots
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.system.once import Once

# The frequency of a day with n ratings is the logarithm of n to this base, rounded down.
FREQUENCY_BASE = 6.76
N_FREQUENCIES = 8


class Moments:
    """Users at moments: all that the network needs to know of the days.

    Attributes are arrays with an entry per pair: `slot` of `Days`, `deviation` dev_u(t), `bin`
    Bin(t), and `frequency`.
    """

    def __init__(
        self,
        days: Days,
        user: Int[np.ndarray, " pairs"],
        day: Int[np.ndarray, " pairs"],
        *,
        n_bins: int,
        power: float,
        device: torch.device,
    ) -> None:
        """Look up pairs of a user and a day.

        Args:
            days: of the ratings in train.
            user: row numbers of users.
            day: a day for each, since 1970.
            n_bins: parts of the time.
            power: β of dev_u(t).
            device: where the tensors are to be.
        """
        slot = days.slot(user, day)
        n_ratings = days.n_ratings(slot)
        frequency = np.log(n_ratings) / np.log(FREQUENCY_BASE)
        # Days of more than half a million ratings share the last frequency.
        frequency = np.minimum(frequency, N_FREQUENCIES - 1).astype(np.int64)
        deviation = days.deviation(user, day, power=power)
        bin_number = days.bin(day, n=n_bins)

        self.slot = torch.as_tensor(slot, device=device)
        self.deviation = torch.as_tensor(deviation, device=device)
        self.bin = torch.as_tensor(bin_number, device=device)
        self.frequency = torch.as_tensor(frequency, device=device)


class TimeSVDppFactors(SVDppFactors):
    """The network: SVDppFactors, which do not change with time, and what does.

    `forward` and `predict_all` ignore time, as fold-in does; `predict_at` and `predict_all_at` do
    not.
    """

    def __init__(
        self, n_users: int, n_items: int, k: int, *, n_slots: int, n_bins: int, day_factors: bool
    ) -> None:
        """All parameters are 0, but c_user, which is 1.

        Args:
            n_users: number of users.
            n_items: number of items.
            k: number of factors.
            n_slots: slots of `Days`, the last one included.
            n_bins: parts of the time.
            day_factors: whether users have factors of each day.
        """
        super().__init__(n_users, n_items, k)
        n_days_with_factors = n_slots if day_factors else 0
        self.alpha_user = nn.Buffer(torch.zeros(n_users))
        self.b_user_day = nn.Buffer(torch.zeros(n_slots))  # b_u,t
        self.b_item_bin = nn.Buffer(torch.zeros(n_items, n_bins))  # b_i,Bin(t)
        self.c_user = nn.Buffer(torch.ones(n_users))
        self.c_user_day = nn.Buffer(torch.zeros(n_slots))  # c_u,t
        self.b_item_frequency = nn.Buffer(torch.zeros(n_items, N_FREQUENCIES))  # b_i,f
        self.alpha_p = nn.Buffer(torch.zeros(n_users, k))  # alpha_uk
        self.p_day = nn.Buffer(torch.zeros(n_days_with_factors, k))  # p_uk,t

    @override
    def arrays(self) -> dict[str, Tensor]:
        changing = {name: getattr(self, name) for name in TIME_PARAMETERS}
        return super().arrays() | changing

    def user_factors(self, user: Tensor, t: Moments) -> Float32[Tensor, "pairs k"]:
        """p_u(t) + |N(u)|^-1/2 Σ y_j, equation 13."""
        constant = self.user[user, :-1]
        drift = t.deviation[:, None] * self.alpha_p[user]
        factors = constant + drift

        # Without `day_factors` the table of days is empty.
        if len(self.p_day):
            factors = factors + self.p_day[t.slot]

        return factors

    def user_offset(self, user: Tensor, t: Moments) -> Float32[Tensor, " pairs"]:
        """b_u(t), equation 9."""
        constant = self.user[user, -1]
        drift = self.alpha_user[user] * t.deviation
        of_the_day = self.b_user_day[t.slot]
        return constant + drift + of_the_day

    def user_scale(self, user: Tensor, t: Moments) -> Float32[Tensor, " pairs"]:
        """c_u(t), section 3.2."""
        constant = self.c_user[user]
        of_the_day = self.c_user_day[t.slot]
        return constant + of_the_day

    def predict_at(self, user: Tensor, item: Tensor, t: Moments) -> Float32[Tensor, " pairs"]:
        """The rating of each pair: the offsets of equation 10 and the product of equation 14.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            t: when.
        """
        b_item = self.item[item, -1] + self.b_item_bin[item, t.bin]
        b_frequency = self.b_item_frequency[item, t.frequency]
        item_offset = b_item * self.user_scale(user, t) + b_frequency

        q = self.item[item, :-1]
        p = self.user_factors(user, t)
        product = (p * q).sum(dim=1)
        user_offset = self.user_offset(user, t)

        return self.mu + user_offset + item_offset + product

    def predict_all_at(self, user: Tensor, t: Moments) -> Float32[Tensor, "users items"]:
        """The rating of every item by each user at a moment."""
        # Tables of items by bin and by frequency are turned: users × items, as the answer.
        b_item = self.item[:, -1] + self.b_item_bin.t()[t.bin]
        b_frequency = self.b_item_frequency.t()[t.frequency]
        user_scale = self.user_scale(user, t)[:, None]
        item_offset = b_item * user_scale + b_frequency

        q = self.item[:, :-1]
        p = self.user_factors(user, t)
        product = p @ q.t()
        user_offset = self.user_offset(user, t)[:, None]

        return self.mu + user_offset + item_offset + product


@dataclass(kw_only=True, eq=False)
class TimeSVDpp(SVDppModel):
    """mu + b_u(t) + b_i(t) c_u(t) + q_i · (p_u(t) + |N(u)|^-1/2 Σ y_j), equations 10 and 14."""

    former_network_names: ClassVar = {
        **SVDppModel.former_network_names,
        "slope": "alpha_user",
        "b_day": "b_user_day",
        "b_bin": "b_item_bin",
        "scale": "c_user",
        "scale_day": "c_user_day",
        "b_often": "b_item_frequency",
        "drift": "alpha_p",
        "day": "p_day",
    }

    bins: int = setting(30, at_least=1)  # parts of the time in which an item's offset differs
    # beta: the distance of a day from the mean day of the user's ratings counts to this power
    drift_power: float = setting(0.4, above=0)
    # p_u has a term of its own on each day; as many numbers as users have days, times k
    day_factors: bool = False
    # An item's offset differs with how many ratings the user gives on the day
    frequency: bool = False
    # Learning rate and λ of what changes; a rate of 0 leaves the term out
    step_slope: tuple[float, ...] = setting((1e-5, 50.0), at_least=0)  # of alpha_u
    step_day: tuple[float, ...] = setting((2.5e-3, 5e-3), at_least=0)  # of b_u,t
    step_bin: tuple[float, ...] = setting((5e-5, 0.1), at_least=0)  # of b_i,Bin(t)
    step_scale: tuple[float, ...] = setting((8e-3, 0.01), at_least=0)  # of c_u
    step_scale_day: tuple[float, ...] = setting((2e-3, 5e-3), at_least=0)  # of c_u,t
    step_frequency: tuple[float, ...] = setting((2.36e-3, 1.1e-8), at_least=0)  # of b_i,f
    step_drift: tuple[float, ...] = setting((1e-5, 50.0), at_least=0)  # of alpha_uk
    step_day_factors: tuple[float, ...] = setting((4e-3, 0.02), at_least=0)  # of p_uk,t

    @override
    def __post_init__(self) -> None:
        # The network has a row per day, so the days are asked for before the network exists.
        self._forget()
        super().__post_init__()

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(needs=frozenset({"time"}))

    @override
    def check(self) -> None:
        super().check()
        for name, pair in self.time_steps().items():
            if len(pair) != 2:
                raise SettingError(f"{name} is a learning rate and a λ, found {pair}.")

    def time_steps(self) -> dict[str, tuple[float, ...]]:
        """Learning rate and λ of what changes, by setting, in the order of TIME_PARAMETERS."""
        parts = ("slope", "day", "bin", "scale", "scale_day", "frequency", "drift", "day_factors")
        names = [f"step_{part}" for part in parts]
        return {name: getattr(self, name) for name in names}

    @override
    def _forget(self) -> None:
        self._days: Once[Days] = Once()

    @property
    def days(self) -> Days:
        """The days of the ratings that it was fitted on."""
        return self._days.get(self._days_of_ratings)

    def _days_of_ratings(self) -> Days:
        assert isinstance(self.given_, Ratings)
        return Days.of(self.given_)

    @override
    def empty(self, n_users: int, n_items: int) -> SVDppFactors:
        return TimeSVDppFactors(
            n_users,
            n_items,
            self.factors,
            n_slots=len(self.days) + 1,
            n_bins=self.bins,
            day_factors=self.day_factors,
        )

    @property
    @override
    def updatable(self) -> Updatable:
        raise NotUpdatableError(
            "TimeSVDpp has numbers of each user for each day, bin and time span, which go together "
            "and wait for a fit; fit it again with the further ratings, or use svdpp."
        )

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        rows = shape.n_users + shape.n_items
        constant = (3 * self.factors + 4) * rows
        # A day has b_u,t and c_u,t, and there may be as many days as ratings.
        per_day = self.factors + 2 if self.day_factors else 2
        days = shape.n_train * per_day
        items = (self.bins + N_FREQUENCIES) * shape.n_items
        return of_factors(shape, numbers=constant + days + items)

    @override
    def time_slots(self, train: Ratings) -> TimeSlots:
        assert train.time is not None
        rates_and_regs = list(self.time_steps().values())
        steps = np.array(rates_and_regs, np.float32)
        # Without `frequency` its offsets take no steps and stay 0.
        frequency_row = TIME_PARAMETERS.index("b_item_frequency")
        steps[frequency_row, 0] *= self.frequency

        # The loops visit ratings user by user, which is not the order of the data.
        day = train.time // SECONDS
        slot = self.days.slot(train.user, day)[train.entry("user")]
        moments = self.moments(self.days.user, self.days.day)

        return TimeSlots(
            slot=slot.astype(np.int32),
            deviation=_with_last_slot(moments.deviation),
            bin=_with_last_slot(moments.bin).astype(np.int32),
            frequency=_with_last_slot(moments.frequency).astype(np.int32),
            n_bins=self.bins,
            n_frequencies=N_FREQUENCIES,
            steps=steps,
            day_factors=self.day_factors,
        )

    def moments(self, user: Int[np.ndarray, " pairs"], day: Int[np.ndarray, " pairs"]) -> Moments:
        """Pairs of a user and a day, as the network needs them."""
        return Moments(
            self.days,
            user,
            day,
            n_bins=self.bins,
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
        moments = self.moments(user, day)
        device = self.net_.user.device
        users = torch.as_tensor(user, device=device)
        items = torch.as_tensor(item, device=device)
        predicted: Tensor = self.net_.predict_at(users, items, moments)

        return predicted.cpu().numpy()

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        # A list is for now, and the last day on which the user rated is the nearest that is known.
        last_day = self.days.latest(user)
        moments = self.moments(user, last_day)
        users = torch.as_tensor(user, device=self.net_.user.device)
        scores: Tensor = self.net_.predict_all_at(users, moments)

        return scores.cpu().numpy()


def _with_last_slot(per_slot: Tensor) -> np.ndarray:
    """The numbers with a 0 behind them: the last slot stands for no day."""
    numbers = per_slot.cpu().numpy()
    return np.pad(numbers, (0, 1))


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
