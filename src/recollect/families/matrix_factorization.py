"""FactorModel: a few numbers per user and per item, whose product is the rating; solved by alternating least squares.

FactorModel                U · V, with or without offsets
├── PlainFactorModel       from ratings alone: exact turns, or descent along gradients    PMF, BiasedMF
└── TextModel              V is pulled towards what a text says, in `text`
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError, unknown
from recollect.kernels import Block
from recollect.kernels.ridge import ridge
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities, Model, PairModel
from recollect.nn import Factors
from recollect.ranking import mean_ndcg
from recollect.run import Run
from recollect.settings import setting
from recollect.training import als, fit_loop
from recollect.training.factor_sgd import FactorSGD
from recollect.training.history import History, ValidationMetric

SOLVERS = ("als", "sgd")
VALID_N = 100  # places of a ranking that validation looks at, as in Liang et al. 2018


@dataclass(kw_only=True, eq=False)
class FactorModel(PairModel):
    """U_u · V_i, each user's and item's factors ridge regressions on the others'."""

    factors: int = setting(50, at_least=1)  # k
    reg_user: float = 10.0  # lambda_U
    reg_item: float = 10.0  # lambda_V
    reg_power: float = 0.0  # lambda of a row times its number of ratings to this power: 0 as the papers, 1 "weighted"
    offsets: bool = False  # the mean, and an offset of each user and item, learned with the factors
    center: bool = False  # the mean of train is taken off; offsets do so anyway
    absent: float = 0.0  # b: weight of the pairs without an event, as 0; 0: learn from ratings, from observed ones only
    init: float = 0.1  # standard deviation of the item factors at the start
    epochs: int = setting(100, at_least=1)  # turns at most: users, then items
    patience: int | None = setting(
        5, at_least=1
    )  # looks at the validation figure without a gain before stopping
    validate_every: int = setting(1, at_least=1, formerly="look_every")  # epochs between looks

    @property
    @override
    def capabilities(self) -> Capabilities:
        if self.absent:
            return Capabilities(output="scores", needs=frozenset({"events"}))
        return Capabilities()

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if min(self.reg_user, self.reg_item) <= 0 or self.init <= 0:
            raise SettingError(
                f"reg_user, reg_item and init are above 0, found {self.reg_user}, {self.reg_item} and "
                f"{self.init}."
            )
        if not 0 <= self.absent < 1 or not 0 <= self.reg_power <= 1:
            raise SettingError(
                "absent is a weight of 0 or more and less than 1, that of an event, and reg_power is 0 to 1; "
                f"found {self.absent} and {self.reg_power}."
            )
        if self.absent and (self.offsets or self.center):
            raise SettingError(
                "Events (absent above 0) have no mean and no offsets to take off; set offsets=False and "
                "center=False."
            )

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """Item factors drawn at random; users' are solved from them."""
        net = Factors(n_users, n_items, self.factors, offsets=self.offsets)
        nn.init.normal_(net.item, std=self.init)
        return net

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model."""
        return of_factors(shape, numbers=(self.factors + 1) * (shape.n_users + shape.n_items))

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Solve for users and items in turn."""
        assert isinstance(train, Ratings)
        if self.offsets or self.center:
            self.net_.mu.fill_(train.mean)
        return fit_loop.run_epochs(
            self.learner(train),
            run,
            epochs=self.epochs,
            patience=self.patience,
            validate_every=self.validate_every,
            measure=self.validation(train, valid),
            figure="train_loss" if self.absent else "train_rmse",
            fit_key=self.fit_key(train, valid),
        )

    def learner(self, train: Ratings) -> fit_loop.Learner:
        """What learns, epoch by epoch: exact turns."""
        return als.ALS(
            self.net_,
            train,
            absent=self.absent,
            prior=self.prior(train),
            weight=self.weight(train),
            reg_user=self.reg("user", train.count("user")),
            reg_item=self.item_reg(train),
        )

    def prior(self, train: Ratings) -> als.Prior | None:
        """What the items' factors are pulled towards; None: 0."""
        return None

    def weight(self, train: Ratings) -> Tensor | None:
        """What each item's error counts in learning the prior; None: 1."""
        return None

    def reg(self, side: Side, count: Int[np.ndarray, " rows"]) -> Float32[Tensor, " rows"]:
        """The λ of rows with so many ratings."""
        reg = self.reg_user if side == "user" else self.reg_item
        return torch.as_tensor(reg * np.maximum(count, 1.0) ** self.reg_power, dtype=torch.float32)

    def item_reg(self, train: Ratings) -> Float32[Tensor, " items"]:
        """The λ of the items."""
        return self.reg("item", train.count("item"))

    def validation(self, train: Ratings, valid: Ratings | None) -> ValidationMetric | None:
        """What a fit is stopped by: the RMSE on `valid`, of events their NDCG; None without any."""
        if self.absent and valid is not None and len(valid):
            return ValidationMetric(
                f"valid_ndcg@{VALID_N}",
                partial(mean_ndcg, self, valid, train, n=VALID_N),
                better="higher",
            )
        return valid_rmse(self, train, valid)

    # --- predicting -----------------------------------------------------------------------------------------------

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        return score_table(self.net_, user)

    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """See Model. Their factors are the ridge regression that fitting solves for each user."""
        net: Any = self.net_
        rows = rows.only_columns(self.known_items())
        block = Block.of(rows, net.item.device)
        features, value, more = net.features("item"), block.value - net.mu, 1 - self.absent
        if (offset := net.offset("item")) is not None:
            value = value - offset[block.column.long()]
        reg = self.reg("user", rows.counts).to(net.item.device)
        base = self.absent / more * (features.t() @ features)
        user = ridge(block, features, reg=reg / more, value=value / more, base=base)
        return net.predict_all(user).cpu().numpy()

    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """Factors without offsets, less their mean."""
        return centered_factors(self, side, self.factors)


def valid_rmse(model: Model, train: Ratings, valid: Ratings | None) -> ValidationMetric | None:
    """What a model of ratings is stopped by; None without any."""
    if valid is None or not len(valid):
        return None

    def rmse() -> float:
        found = model.predict(valid.user, valid.item, times=valid.time).astype(np.float64)
        return float(np.sqrt(np.mean((found - valid.value) ** 2)))

    return ValidationMetric(
        "valid_rmse", rmse, baseline=float(np.sqrt(np.mean((valid.value - train.mean) ** 2)))
    )


@torch.no_grad()
def score_table(
    net: Factors, user: Int[np.ndarray, " users"]
) -> Float32[np.ndarray, "users n_items"]:
    """The rating of every item by each of these users, from their factors."""
    rows = torch.as_tensor(user, device=net.user.device)
    scores: np.ndarray = net.predict_all(net.user[rows]).cpu().numpy()
    return scores


def centered_factors(model: Model, side: Side, k: int) -> Float32[np.ndarray, "rows k"]:
    """`vectors` of such a model: the k factors without offsets, less their mean."""
    factors: np.ndarray = (
        (model.net_.user if side == "user" else model.net_.item)[:, :k].cpu().numpy()
    )
    known = model.known_items() if side == "item" else model.given_.count("user") > 0
    return factors - factors[known].mean(axis=0)


@dataclass(kw_only=True, eq=False)
class PlainFactorModel(FactorModel):
    """A factor model of ratings alone: solved exactly, users and items in turn, or by descent a rating at a time."""

    solver: str = "als"  # exact turns; or "sgd"
    learning_rate: float = 0.01  # SGD only
    decay: float = 1.0  # SGD only: what the learning rate is multiplied by after each epoch

    def check(self) -> None:
        """Refuse settings that cannot work."""
        super().check()
        if self.solver not in SOLVERS:
            raise unknown("solver", self.solver, SOLVERS)
        if self.solver == "sgd" and self.absent:
            raise SettingError(
                'SGD visits ratings one by one, and with absent above 0 every pair counts; use solver="als".'
            )
        if self.learning_rate <= 0 or not 0 < self.decay <= 1:
            raise SettingError(
                f"learning_rate is above 0 and decay above 0 and at most 1, found {self.learning_rate} and "
                f"{self.decay}."
            )

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """See FactorModel; gradients need users' factors to begin with."""
        net: Any = super().build(n_users, n_items)
        if self.solver == "sgd":
            nn.init.normal_(net.user, std=self.init)
            net.user[:, self.factors :] = net.item[:, self.factors :] = 0
        return net

    def learner(self, train: Ratings) -> fit_loop.Learner:
        """See FactorModel."""
        if self.solver == "als":
            return super().learner(train)
        return FactorSGD(
            self.net_,
            train,
            reg_user=self.reg("user", train.count("user")),
            reg_item=self.item_reg(train),
            learning_rate=self.learning_rate,
            decay=self.decay,
        )
