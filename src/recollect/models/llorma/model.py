"""LLORMA: many local factorizations, each of the ratings near an anchor, and their weighted mean.

    r̂_ui = Σ_t w_t(u, i) r̂_t(u, i) / Σ_t w_t(u, i)
    r̂_t(u, i) = mu + b_tu + b_ti + U_tu · V_ti
    w_t(u, i) = K(d(u, u_t) / h_1) K(d(i, i_t) / h_2),        d(a, b) = arccos(a · b / (‖a‖ ‖b‖))

Each local model t alone minimizes Σ w_t (r − r̂_t)² + Σ λ_tu (‖U_tu‖² + b_tu²) + Σ λ_ti (‖V_ti‖² +
b_ti²); with `joint` they minimize Σ (r − r̂)² and the penalties of all. (u_t, i_t) is the anchor of
t, and angles d are measured between the factors of a global factorization, learned first.

Source: Lee, Kim, Lebanon, Singer. "Local Low-Rank Matrix Approximation." ICML 2013; `joint` is the
    global version of Lee, Kim, Lebanon, Singer, Bengio. "LLORMA: Local Low-Rank Matrix
    Approximation." JMLR 17, 2016.
Differs: the global factorization has offsets, and the angle between two factors of it drawn at
    random is about a right angle: hence the wide kernels. The Epanechnikov kernel is 1 − (d/h)²,
    which is 0 at the edge; the paper's 1 − d², kernel="epanechnikov-paper", is not. Local models
    have offsets (`offsets`), λ grows more slowly than a row's ratings (`reg_power`), and steps are
    taken a rating at a time and become smaller (`decay`). A pair that no local model reaches gets
    the global prediction. In a joint fit the step on a rating is longer the more models share it
    (`kernels.compiled.llorma`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.families.matrix_factorization import valid_rmse
from recollect.families.pair_model import PairModel
from recollect.families.ridge_fold_in import fold_in_factors
from recollect.families.vectors import centered
from recollect.kernels.llorma import LocalWeights
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.models.llorma.local_factors import TINY, LocalFactors, to_numpy
from recollect.models.llorma.local_ridge import local_factors_of
from recollect.models.llorma.local_sgd import LocalSGD
from recollect.models.llorma.neighborhood import SMOOTHING_KERNELS, kernel_weights, weight_sums
from recollect.nn import Factors
from recollect.run import Run
from recollect.settings import setting
from recollect.training import als, fit_loop
from recollect.training.history import History
from recollect.training.regularization import reg_by_count

SIDES: tuple[Side, Side] = ("user", "item")
PRE_INIT = 0.1  # standard deviation of the global item factors at the start


@dataclass(kw_only=True, eq=False)
class LLORMA(PairModel):
    """The mean of local models U_t · V_t, weighted by the angles of user and item to their
    anchors."""

    why_not_updatable: ClassVar[str] = (
        "has local models around anchors, each of which weighs all ratings,"
    )

    former_network_names: ClassVar = {"everywhere": "global_factors"}

    anchors: int = setting(50, at_least=1)  # q: local models
    factors: int = setting(32, at_least=1)  # r: numbers per user and per item in each
    # K: how the weight falls with the distance from the anchor; "epanechnikov-paper": 1 - d^2
    kernel: str = setting("epanechnikov", one_of=tuple(SMOOTHING_KERNELS))
    # h_1: the angle, 0 to pi, from which on a user's weight is 0
    width_user: float = setting(2.4, above=0)
    width_item: float = setting(2.4, above=0)  # h_2: the same for items
    joint: bool = False  # all local models on the error of their mean; False: each on its own
    # The mean is subtracted, and every model, the global one too, has offsets of users and items
    offsets: bool = True
    # lambda_1, times the user's number of weighted ratings to the power reg_power
    reg_user: float = setting(0.09, above=0)
    reg_item: float = setting(0.07, above=0)  # lambda_2, the same for items
    # 1: lambda with each rating; less: lambda grows more slowly than the ratings
    reg_power: float = setting(0.8, at_least=0, at_most=1)
    learning_rate: float = setting(0.03, above=0)  # in the first epoch, of a rating of mean weight
    # The learning rate is multiplied by this after each epoch
    decay: float = setting(0.88, above=0, at_most=1)
    init: float = setting(0.03, above=0)  # standard deviation of the local factors at the start
    # Factors of the global factorization, in which distances are measured
    pre_factors: int = setting(10, at_least=1)
    pre_reg: float = setting(0.04, above=0)  # its lambda, with each rating
    pre_epochs: int = setting(15, at_least=1)  # its epochs of alternating least squares
    epochs: int = setting(40, at_least=1)  # at most; an epoch takes a step on every rating
    # Validations without a gain before stopping; None: never stop early
    patience: int | None = setting(2, at_least=1)
    validate_every: int = setting(5, at_least=1, formerly="look_every")  # epochs

    @override
    def check(self) -> None:
        super().check()
        widest = max(self.width_user, self.width_item)
        if self.kernel == "epanechnikov-paper" and widest > 1:
            raise SettingError(
                "kernel='epanechnikov-paper' weighs by 1 - d^2, which is negative for an angle d "
                f"above 1, and the kernels reach {widest:g}; set width_user and width_item to 1 at "
                "most (the paper has 0.8), or kernel='epanechnikov'."
            )

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        rows = shape.n_users + shape.n_items

        # Local factors stand in the network and in the loops; with validation the best ones, too.
        copies = 3 if shape.n_valid else 2
        local_numbers = self.anchors * rows * (self.factors + 4)
        global_numbers = rows * (self.pre_factors + 1)
        numbers = local_numbers * copies // 4 + global_numbers

        return of_factors(shape, numbers=numbers)

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        assert isinstance(self.given_, Ratings)  # fit refuses ratings on disk
        global_factors = Factors(n_users, n_items, self.pre_factors, offsets=self.offsets)
        # The users' global factors may stay 0: they are solved from the items'.
        nn.init.normal_(global_factors.item, std=PRE_INIT)
        # Anchors are different ratings, so there cannot be more of them.
        n_models = min(self.anchors, len(self.given_))
        k = self.factors
        net = LocalFactors(global_factors, n_models, k, offsets=self.offsets)
        nn.init.normal_(net.user[:, :, :k], std=self.init)
        nn.init.normal_(net.item[:, :, :k], std=self.init)

        return net

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        assert isinstance(train, Ratings)
        self._learn_global_factors(train)
        self._place_anchors(train)
        net: LocalFactors = self.net_
        mu = np.float32(net.global_factors.mu.item())
        learner = LocalSGD(
            net,
            train,
            train.value - mu,
            self._local_weights(train),
            learning_rate=self.learning_rate,
            decay=self.decay,
            joint=self.joint,
        )

        return fit_loop.run_epochs(
            learner,
            run,
            epochs=self.epochs,
            patience=self.patience,
            validate_every=self.validate_every,
            measure=valid_rmse(self, train, valid),
            fit_key=self.fit_key(train, valid),
        )

    def _learn_global_factors(self, train: Ratings) -> None:
        net: Factors = self.net_.global_factors
        if self.offsets:
            net.mu.fill_(train.mean)

        reg_user = self._pre_reg(train.count("user"))
        reg_item = self._pre_reg(train.count("item"))
        learner = als.ALS(net, train, reg_user=reg_user, reg_item=reg_item)

        for epoch in range(self.pre_epochs):
            learner.epoch(epoch + 1)

    def _pre_reg(self, count: Int[np.ndarray, " rows"]) -> Float32[Tensor, " rows"]:
        reg = reg_by_count(self.pre_reg, count, 1.0)
        return torch.from_numpy(reg)

    def _place_anchors(self, train: Ratings) -> None:
        """Draw pairs from the ratings as anchors, and weigh users and items."""
        net: LocalFactors = self.net_
        seed = int(torch.randint(2**62, ()))
        random = np.random.default_rng(seed)
        n_models = len(net.user)
        # Ratings, not users and items: a model is then where there is something to learn.
        drawn = random.choice(len(train), n_models, replace=False)
        anchor = np.stack([train.user[drawn], train.item[drawn]], axis=1)
        net.anchor.copy_(torch.from_numpy(anchor))

        weight_user = self._weights(self._global_vectors("user"), "user")
        weight_item = self._weights(self._global_vectors("item"), "item")
        net.weight_user.copy_(torch.from_numpy(weight_user))
        net.weight_item.copy_(torch.from_numpy(weight_item))

        # A weight of 1 wherever a model reaches makes the sum of weights a number of ratings.
        reaches_user = (weight_user > 0).astype(np.float32)
        reaches_item = (weight_item > 0).astype(np.float32)
        n_ratings = weight_sums(train.by_user, reaches_user, reaches_item).sum(axis=1)
        total_weight = weight_sums(train.by_user, weight_user, weight_item).sum(axis=1)
        scale = n_ratings / np.maximum(total_weight, TINY)
        net.scale.copy_(torch.from_numpy(scale))

    def _weights(
        self, rows: Float32[np.ndarray, "rows k"], side: Side
    ) -> Float32[np.ndarray, "models rows"]:
        """How much users or items with these global factors weigh in each local model."""
        # A column of users and one of items.
        column = SIDES.index(side)
        anchor = to_numpy(self.net_.anchor[:, column])
        vectors = self._global_vectors(side)
        anchor_vectors = vectors[anchor]
        width = self.width_user if side == "user" else self.width_item

        return kernel_weights(anchor_vectors, rows, kernel=self.kernel, width=width)

    def _global_vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The global factors of users or items, without offsets."""
        net: Factors = self.net_.global_factors
        factors = net.user if side == "user" else net.item
        without_offsets = factors[:, : self.pre_factors]

        return to_numpy(without_offsets)

    def _local_weights(self, train: Ratings) -> LocalWeights:
        net: LocalFactors = self.net_
        weight_user = to_numpy(net.weight_user)
        weight_item = to_numpy(net.weight_item)

        return LocalWeights(
            user=weight_user,
            item=weight_item,
            scale=to_numpy(net.scale),
            reg_user=self._reg("user", train.by_user, weight_user, weight_item),
            reg_item=self._reg("item", train.by_item, weight_item, weight_user),
        )

    def _reg(
        self,
        side: Side,
        rows: Rows,
        weight_row: Float32[np.ndarray, "models rows"],
        weight_column: Float32[np.ndarray, "models columns"],
    ) -> Float32[np.ndarray, "models rows"]:
        """λ of each row for a rating of weight 1.

        A row's whole λ is reg · n^reg_power, n being its number of ratings, in a model alone
        weighted by the model.
        """
        if self.joint:
            n = np.broadcast_to(rows.counts, weight_row.shape)
        else:
            # Scaled, so that a rating of a model counts 1 on average.
            scale = to_numpy(self.net_.scale)
            sums = weight_sums(rows, weight_row, weight_column)
            n = scale[:, None] * sums

        reg = self.reg_user if side == "user" else self.reg_item
        # n ratings of λ n^(reg_power − 1) each make λ n^reg_power.
        power = self.reg_power - 1

        return reg_by_count(reg, n, power)

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        net: LocalFactors = self.net_
        rows = torch.as_tensor(user, device=net.user.device)
        global_factors = net.global_factors.user[rows]
        local_factors = net.user[:, rows]
        weight = net.weight_user[:, rows]
        scores = net.predict_all(global_factors, local_factors, weight)

        return scores.cpu().numpy()

    @override
    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        net: LocalFactors = self.net_
        device = net.item.device
        rows = rows.only_columns(self.known_items())
        mu = np.float32(net.global_factors.mu.item())

        # Global factors say how near a new user is to each anchor, and so what local models weigh.
        pre_reg = self._pre_reg(rows.counts)
        user = fold_in_factors(net.global_factors, rows, reg=pre_reg)
        vectors = to_numpy(user[:, : self.pre_factors])
        weight = self._weights(vectors, "user")

        reg = self._reg("user", rows, weight, to_numpy(net.weight_item))
        local = local_factors_of(
            net,
            rows,
            rows.value - mu,
            weight=weight,
            reg=reg,
            joint=self.joint,
        )

        weight_tensor = torch.from_numpy(weight).to(device)
        scores = net.predict_all(user, local.to(device), weight_tensor)

        return scores.cpu().numpy()

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The global factors without offsets, less their mean."""
        vectors = self._global_vectors(side)
        return centered(self, side, vectors)


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "anchors": 6,
    "factors": 3,
    "pre_factors": 3,
    "pre_reg": 0.01,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "init": 0.1,
    "decay": 1.0,
    "width_user": 2.8,
    "width_item": 2.8,
}
