"""Matrix factorization: a few factors per user and per item, whose inner product is the rating.

FactorModel                U · V, with or without offsets
├── PlainFactorModel       from ratings alone, by ALS or by SGD                     PMF, BiasedMF
└── TextModel              V is drawn towards what the items' texts say: `text_model`
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.families.pair_model import PairModel
from recollect.families.ridge_fold_in import fold_in_factors, influences_of_ridge
from recollect.families.vectors import centered
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities, Model
from recollect.nn import Factors
from recollect.online.change import Change
from recollect.online.factors import due_items, grown, solve_rows
from recollect.online.result import Updatable
from recollect.ranking import mean_ndcg
from recollect.run import Run
from recollect.settings import setting
from recollect.training import als, fit_loop
from recollect.training.early_stopping import ValidationMetric
from recollect.training.history import History
from recollect.training.regularization import reg_by_count
from recollect.training.sgd import FactorSGD

VALID_N = 100  # length of the lists that validation of events ranks, as in Liang et al. 2018


@dataclass(kw_only=True, eq=False)
class FactorModel(PairModel):
    """U_u · V_i; the factors of each user and item are a ridge regression on the other side's."""

    factors: int = setting(50, at_least=1)  # k
    reg_user: float = setting(10.0, above=0)  # lambda_U
    reg_item: float = setting(10.0, above=0)  # lambda_V
    # A row's lambda is multiplied by its number of ratings to this power: 0 as the papers, 1
    # "weighted"
    reg_power: float = setting(0.0, at_least=0, at_most=1)
    offsets: bool = False  # a mean, and an offset of each user and item, learned with the factors
    center: bool = False  # the training mean is subtracted; with offsets it always is
    # b: weight of the pairs without an event, whose value is 0; 0: learn from observed ratings only
    absent_weight: float = setting(
        0.0,
        at_least=0,
        below=1,
        formerly="absent",
    )
    init: float = setting(0.1, above=0)  # standard deviation of the item factors at the start
    epochs: int = setting(100, at_least=1)  # at most; an epoch solves for users, then for items
    # Validations without a gain before stopping; None: never stop early
    patience: int | None = setting(5, at_least=1)
    validate_every: int = setting(1, at_least=1, formerly="look_every")  # epochs

    @property
    @override
    def capabilities(self) -> Capabilities:
        if self.absent_weight:
            return Capabilities(output="scores", needs=frozenset({"events"}))
        return Capabilities()

    @override
    def check(self) -> None:
        if self.absent_weight and (self.offsets or self.center):
            raise SettingError(
                "Events (absent_weight above 0) have no mean and no offsets to subtract; set "
                "offsets=False and center=False."
            )

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        net = Factors(n_users, n_items, self.factors, offsets=self.offsets)
        # The users' factors may stay 0: the first epoch solves for them from the items'.
        nn.init.normal_(net.item, std=self.init)
        return net

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        n_rows = shape.n_users + shape.n_items
        n_columns = self.factors + 1  # the offset is one more
        return of_factors(shape, numbers=n_columns * n_rows)

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
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
            figure="train_loss" if self.absent_weight else "train_rmse",
            fit_key=self.fit_key(train, valid),
        )

    def learner(self, train: Ratings) -> fit_loop.Learner:
        """The Learner of the network: ALS."""
        return als.ALS(
            self.net_,
            train,
            absent_weight=self.absent_weight,
            prior=self.prior(train),
            weight=self.weight(train),
            reg_user=self.reg("user", train.count("user")),
            reg_item=self.item_reg(train),
        )

    def prior(self, train: Ratings) -> als.Prior | None:
        """The prior of the items' factors; None: its mean is 0."""
        return None

    def weight(self, train: Ratings) -> Tensor | None:
        """How much each item's error counts when the prior learns; None: 1."""
        return None

    def reg(self, side: Side, count: Int[np.ndarray, " rows"]) -> Float32[Tensor, " rows"]:
        """λ of users or items with these numbers of ratings."""
        reg = self.reg_user if side == "user" else self.reg_item
        reg_of_rows = reg_by_count(reg, count, self.reg_power)
        return torch.from_numpy(reg_of_rows)

    def item_reg(self, train: Ratings) -> Float32[Tensor, " items"]:
        """λ of each item."""
        n_ratings = train.count("item")
        return self.reg("item", n_ratings)

    def validation(self, train: Ratings, valid: Ratings | None) -> ValidationMetric | None:
        """The metric that decides when to stop: RMSE of ratings, NDCG of events."""
        if self.absent_weight and valid is not None and len(valid):
            ndcg = partial(mean_ndcg, self, valid, train, n=VALID_N)
            return ValidationMetric(f"valid_ndcg@{VALID_N}", ndcg, better="higher")

        return valid_rmse(self, train, valid)

    @property
    @override
    def updatable(self) -> Updatable:
        return Updatable(
            learns="the factors of users with new ratings and of items whose ratings have grown by "
            "5%, each by ridge regression on those of the other side",
            waits="the factors of all other users and items"
            + (", and the mean" if self.offsets or self.center else ""),
        )

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        after = change.after
        net = grown(self.net_, change)
        users = change.touched("user")
        user_reg = self.reg("user", after.count("user"))
        item_reg = self.item_reg(after)
        weight = self.absent_weight
        solve_rows(net, after, "user", users, reg=user_reg, absent_weight=weight)
        solve_rows(
            net,
            after,
            "item",
            due_items(change),
            reg=item_reg,
            absent_weight=weight,
            prior_mean=self.item_prior(net),
        )
        # Once more, as items that were new had no factors yet.
        solve_rows(net, after, "user", users, reg=user_reg, absent_weight=weight)

        return net

    def item_prior(self, net: Factors) -> Float32[Tensor, "items k"] | None:
        """What the factors of the items of a learned network are drawn towards; None: 0."""
        return None

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        return predict_table(self.net_, user)

    @override
    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        net: Factors = self.net_
        # The factors of unknown items were never learned.
        rows = rows.only_columns(self.known_items())
        reg = self.reg("user", rows.counts)
        user = fold_in_factors(net, rows, reg=reg, absent_weight=self.absent_weight)
        predicted = net.predict_all(user)

        return predicted.cpu().numpy()

    @override
    def influences(
        self,
        rows: Rows,
        items: Int[np.ndarray, "people some"],
        *,
        only: Bool[np.ndarray, " cells"] | None = None,
    ) -> Float32[np.ndarray, "cells some"]:
        """The summands of the score of the ridge regression; items that were not known give 0."""
        is_known = self.known_items()[rows.column]
        influence = np.zeros((rows.n_cells, items.shape[1]), np.float32)
        known = rows.only_columns(self.known_items())
        influence[is_known] = influences_of_ridge(
            self.net_,
            known,
            items,
            reg=self.reg("user", known.counts),
            absent_weight=self.absent_weight,
        )

        return influence

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        return centered_factors(self, side, self.factors)


@dataclass(kw_only=True, eq=False)
class PlainFactorModel(FactorModel):
    """Factors learned from ratings alone, by alternating least squares or stochastic gradient
    descent.
    """

    # "als" solves for one side, then for the other; "sgd" takes a step per rating
    solver: str = setting("als", one_of=("als", "sgd"))
    learning_rate: float = setting(0.01, above=0)  # SGD only
    # SGD only: the learning rate is multiplied by this after each epoch
    decay: float = setting(1.0, above=0, at_most=1)

    @override
    def check(self) -> None:
        super().check()
        if self.solver == "sgd" and self.absent_weight:
            raise SettingError(
                "SGD takes a step per observed rating, and with absent_weight above 0 every pair "
                'counts; use solver="als".'
            )

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        net: Any = super().build(n_users, n_items)
        if self.solver == "sgd":
            # Gradients are products of both sides' factors: neither may start at 0. Offsets do.
            nn.init.normal_(net.user, std=self.init)
            net.user[:, self.factors :] = 0
            net.item[:, self.factors :] = 0

        return net

    @override
    def learner(self, train: Ratings) -> fit_loop.Learner:
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


def valid_rmse(model: Model, train: Ratings, valid: Ratings | None) -> ValidationMetric | None:
    """The RMSE on validation ratings, which chooses when to stop; None without any.

    Args:
        model: the model that is being fitted.
        train: its training ratings, whose mean gives the baseline.
        valid: validation ratings.
    """
    if valid is None or not len(valid):
        return None

    def rmse() -> float:
        predicted = model.predict(valid.user, valid.item, times=valid.time)
        error = predicted.astype(np.float64) - valid.value
        mean_square = np.mean(error**2)
        return float(np.sqrt(mean_square))

    error_of_mean = valid.value - train.mean
    baseline = float(np.sqrt(np.mean(error_of_mean**2)))

    return ValidationMetric("valid_rmse", rmse, baseline=baseline)


@torch.no_grad()
def predict_table(
    net: Factors, user: Int[np.ndarray, " users"]
) -> Float32[np.ndarray, "users n_items"]:
    """The rating of every item by each of these users, from their factors."""
    device = net.user.device
    rows = torch.as_tensor(user, device=device)
    factors = net.user[rows]
    scores: Tensor = net.predict_all(factors)
    return scores.cpu().numpy()


def centered_factors(model: Model, side: Side, k: int) -> Float32[np.ndarray, "rows k"]:
    """The first k factors of users or items (their offsets come last), less their mean.

    Args:
        model: a fitted model whose network has `user` and `item`.
        side: whose factors.
        k: number of factors without offsets.
    """
    net = model.net_
    factors: Tensor = net.user if side == "user" else net.item
    without_offset = factors[:, :k].cpu().numpy()
    return centered(model, side, without_offset)
