"""LLORMA: many local factorizations, each of the ratings near an anchor, and their mean.

Source: Lee, Kim, Lebanon, Singer. "Local Low-Rank Matrix Approximation." ICML 2013; `joint` is the global version of Lee, Kim,
Lebanon, Singer, Bengio. "LLORMA: Local Low-Rank Matrix Approximation." JMLR 17, 2016.
Differs: angles are between factors of a matrix factorization with offsets, in which two at random are about a right angle apart:
hence the wide kernels. The Epanechnikov kernel is 1 - (d/h)², 0 at the edge; the paper's 1 - d² is not 0 there. Local
models have offsets (`offsets`), λ grows slower than a row's ratings (`reg_power`), and steps are taken a rating at a time and get
smaller (`decay`). A pair that no local model reaches gets the global model's prediction. In a joint fit a step counts by how few
models share the rating (see `kernels.llorma_loops`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError, unknown
from recollect.families.matrix_factorization import valid_rmse
from recollect.kernels import Block
from recollect.kernels.llorma import Weights
from recollect.kernels.ridge import ridge
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import PairModel
from recollect.models.llorma.local_models import (
    TINY,
    LocalFactors,
    LocalSGD,
    counts,
    on_host,
    solve_rows,
)
from recollect.nn import Factors
from recollect.run import Run
from recollect.settings import setting
from recollect.training import als, fit_loop
from recollect.training.history import History

KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "epanechnikov": lambda x: 1 - x * x,
    "triangular": lambda x: 1 - x,
    "uniform": np.ones_like,
}
SIDES: tuple[Side, Side] = ("user", "item")
PRE_INIT = 0.1  # standard deviation of the global item factors at the start
FOLD_IN_TURNS = 10  # of a joint fit, over all local models


@dataclass(kw_only=True, eq=False)
class LLORMA(PairModel):
    """The mean of local models U_t · V_t, weighted by how near to their anchors user and item are (equation 8)."""

    former_network_names: ClassVar = {"everywhere": "global_factors"}

    anchors: int = setting(50, at_least=1)  # q: local models
    factors: int = setting(32, at_least=1)  # r: numbers per user and per item in each
    kernel: str = "epanechnikov"  # how the weight falls with the distance from the anchor: or "triangular", "uniform"
    width_user: float = setting(
        2.4, above=0
    )  # h_1: the angle, 0 to pi, from which on a user's weight is 0
    width_item: float = setting(2.4, above=0)  # h_2: the same for items
    joint: bool = (
        False  # all local models together on the error of their mean; False: each by itself
    )
    offsets: bool = True  # the mean is taken off, and every model, the global one too, has offsets of users and items
    reg_user: float = setting(
        0.09, above=0
    )  # lambda_1, times the user's number of weighted ratings to the power reg_power
    reg_item: float = setting(0.07, above=0)  # lambda_2, the same of items
    reg_power: float = 0.8  # 1: lambda with each rating; less: it grows slower than the ratings
    learning_rate: float = setting(0.03, above=0)  # in the first epoch, of a rating of mean weight
    decay: float = 0.88  # what the learning rate is multiplied by after each epoch
    init: float = setting(0.03, above=0)  # standard deviation of the local factors at the start
    pre_factors: int = setting(
        10, at_least=1
    )  # of the global factorization, in which distances are measured
    pre_reg: float = setting(0.04, above=0)  # its lambda, with each rating
    pre_epochs: int = setting(15, at_least=1)  # its turns
    epochs: int = setting(40, at_least=1)  # passes at most
    patience: int | None = setting(
        2, at_least=1
    )  # looks at the validation figure without a gain before stopping
    validate_every: int = setting(5, at_least=1, formerly="look_every")  # epochs between looks

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if self.kernel not in KERNELS:
            raise unknown("kernel", self.kernel, tuple(KERNELS))
        if not 0 <= self.reg_power <= 1 or not 0 < self.decay <= 1:
            raise SettingError(
                f"reg_power is 0 to 1 and decay above 0 and at most 1, found {self.reg_power} and {self.decay}."
            )

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model; of the local factors there are the network's, the kernel's and, with validation, the best."""
        rows, copies = shape.n_users + shape.n_items, 3 if shape.n_valid else 2
        local = self.anchors * rows * (self.factors + 4)
        return of_factors(shape, numbers=local * copies // 4 + rows * (self.pre_factors + 1))

    # --- learning -------------------------------------------------------------------------------------------------

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """Local factors drawn at random; of the global ones the items', from which the users' are solved."""
        assert isinstance(self.given_, Ratings)  # fit refuses others: it does not stream
        global_factors = Factors(n_users, n_items, self.pre_factors, offsets=self.offsets)
        nn.init.normal_(global_factors.item, std=PRE_INIT)
        net = LocalFactors(
            global_factors, min(self.anchors, len(self.given_)), self.factors, offsets=self.offsets
        )
        nn.init.normal_(net.user[:, :, : self.factors], std=self.init)
        nn.init.normal_(net.item[:, :, : self.factors], std=self.init)
        return net

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """The global factorization, then the local ones."""
        assert isinstance(train, Ratings)
        self._learn_global(train)
        self._place_anchors(train)
        net: LocalFactors = self.net_
        near_user, near_item = on_host(net.weight_user), on_host(net.weight_item)
        weights = Weights(
            near_user,
            near_item,
            on_host(net.scale),
            self._reg("user", train.by_user, near_user, near_item),
            self._reg("item", train.by_item, near_item, near_user),
        )
        learner = LocalSGD(
            net,
            train,
            train.value - np.float32(net.global_factors.mu.item()),
            weights,
            learning_rate=self.learning_rate,
            decay=self.decay,
            together=self.joint,
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

    def _learn_global(self, train: Ratings) -> None:
        net = self.net_.global_factors
        if self.offsets:
            net.mu.fill_(train.mean)
        reg_user, reg_item = (self._pre_reg(train.count(side)) for side in SIDES)
        before = als.ALS(net, train, reg_user=reg_user, reg_item=reg_item)
        for epoch in range(self.pre_epochs):
            before.epoch(epoch + 1)

    def _pre_reg(self, count: Int[np.ndarray, " rows"]) -> Float32[Tensor, " rows"]:
        return torch.as_tensor(self.pre_reg * np.maximum(count, 1.0), dtype=torch.float32)

    def _place_anchors(self, train: Ratings) -> None:
        """Draw pairs from the ratings, and weigh users and items by how near they are."""
        net = self.net_
        random = np.random.default_rng(int(torch.randint(2**62, ())))
        at = random.choice(len(train), len(net.user), replace=False)
        net.anchor.copy_(torch.from_numpy(np.stack([train.user[at], train.item[at]], axis=1)))
        user, item = (self._weights(self._directions(side), side) for side in SIDES)
        net.weight_user.copy_(torch.from_numpy(user))
        net.weight_item.copy_(torch.from_numpy(item))
        n = counts(train.by_user, (user > 0).astype(np.float32), (item > 0).astype(np.float32)).sum(
            axis=1
        )
        net.scale.copy_(
            torch.from_numpy(n / np.maximum(counts(train.by_user, user, item).sum(axis=1), TINY))
        )

    def _reg(
        self,
        side: Side,
        rows: Rows,
        own: Float32[np.ndarray, "models rows"],
        other: Float32[np.ndarray, "models columns"],
    ) -> Float32[np.ndarray, "models rows"]:
        """The λ that a rating of weight 1 brings with it, so that a row's is reg · n^reg_power, n its weighted number of ratings;
        of a joint fit its number of ratings."""
        scale = on_host(self.net_.scale)[:, None]
        n = (
            np.broadcast_to(rows.counts, own.shape)
            if self.joint
            else scale * counts(rows, own, other)
        )
        reg = self.reg_user if side == "user" else self.reg_item
        return (reg * np.maximum(n, 1.0) ** (self.reg_power - 1)).astype(np.float32)

    def _directions(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The global factors of users or items, without offsets."""
        net = self.net_.global_factors
        return on_host((net.user if side == "user" else net.item)[:, : self.pre_factors])

    def _weights(
        self, rows: Float32[np.ndarray, "rows k"], side: Side
    ) -> Float32[np.ndarray, "models rows"]:
        """The kernel of the angle between such a row and each anchor; 0 for a row of zeros.

        By NumPy: the last bits of what torch says differ with the number of threads.
        """
        anchors = self._directions(side)[on_host(self.net_.anchor[:, SIDES.index(side)])]
        one, other = (
            x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), TINY) for x in (anchors, rows)
        )
        apart = np.arccos(np.clip(np.einsum("tk,rk->tr", one, other), -1, 1))
        apart /= self.width_user if side == "user" else self.width_item
        there = (apart < 1) & rows.any(axis=1)
        return np.where(there, KERNELS[self.kernel](apart), 0).astype(np.float32)

    # --- predicting -----------------------------------------------------------------------------------------------

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        net: LocalFactors = self.net_
        rows = torch.as_tensor(user, device=net.user.device)
        scores = net.table(
            net.global_factors.user[rows], net.user[:, rows], net.weight_user[:, rows]
        )
        return scores.cpu().numpy()

    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """See Model. Their global factors by ridge regression, which say how near they are to the anchors; then local ones."""
        net: Any = self.net_
        world, rows = net.global_factors, rows.only_columns(self.known_items())
        block = Block.of(rows, net.item.device)
        value = block.value - world.mu
        if (offset := world.offset("item")) is not None:
            value = value - offset[block.column.long()]
        user = ridge(
            block,
            world.features("item"),
            reg=self._pre_reg(rows.counts).to(net.item.device),
            value=value,
        )
        weight = self._weights(on_host(user[:, : self.pre_factors]), "user")
        reg = self._reg("user", rows, weight, on_host(net.weight_item))
        local = solve_rows(
            net,
            rows,
            rows.value - np.float32(world.mu.item()),
            weight=weight,
            reg=reg,
            turns=FOLD_IN_TURNS if self.joint else None,
        )
        return (
            net.table(user, local.to(net.item.device), torch.from_numpy(weight).to(net.item.device))
            .cpu()
            .numpy()
        )

    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """Factors of the global model without offsets, less their mean."""
        factors = self._directions(side)
        known = self.known_items() if side == "item" else self.given_.count("user") > 0
        return factors - factors[known].mean(axis=0)


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
