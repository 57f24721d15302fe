"""Alternating least squares: the users' factors exactly from the items', then the items' from the
users'.

An item's factors may be drawn towards a prior mean, such as what a network reads in its text. A
`Prior` learns from the factors after every epoch.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recollect.data.ratings import Ratings, Side
from recollect.kernels import Block, observed
from recollect.kernels.ridge import ridge
from recollect.nn import Factors


@runtime_checkable
class Prior(Protocol):
    """The prior mean of the items' factors, and how it is learned."""

    def mean(self) -> Float[Tensor, "items k"]:
        """The prior mean of each item's factors, θ_i."""

    def learn(
        self, item: Float[Tensor, "items k"], weight: Float[Tensor, " items"]
    ) -> dict[str, float]:
        """Learn to predict these factors; return figures to record, if any.

        Args:
            item: the items' factors.
            weight: how much the error of each item counts; 0 for an item without ratings.
        """

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps beside the network."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from that state."""


def residuals(
    net: Factors,
    block: Block,
    other_side: Side,
    baseline: Float[Tensor, " columns"] | None = None,
) -> Float[Tensor, " cells"]:
    """The ratings of a block, less the mean and less what each column adds to its ratings.

    Args:
        net: the factors; its mean is taken off.
        block: ratings, a row per user or item.
        other_side: "item" if the columns are items, "user" if they are users.
        baseline: what a column adds; default: its offset, if the network has offsets.
    """
    assert block.value is not None
    values: Tensor = block.value - net.mu
    if baseline is None:
        baseline = net.offset(other_side)

    if baseline is None:
        return values

    return values - baseline[block.column.long()]


def solve_factors(
    net: Factors,
    block: Block,
    other_side: Side,
    *,
    reg: Float[Tensor, " rows"],
    baseline: Float[Tensor, " columns"] | None = None,
    prior_mean: Float[Tensor, "rows k"] | None = None,
    absent_weight: float = 0.0,
) -> Float[Tensor, "rows k"]:
    """The factors (and offset) of each row of a block, given those of its columns: a ridge
    regression per row.

    Args:
        net: the factors of the columns.
        block: ratings, a row per user or item to be solved for.
        other_side: "item" if the columns are items, "user" if they are users.
        reg: λ of each row.
        baseline: what a column adds to its ratings; default: its offset, if the network has
            offsets.
        prior_mean: what each row is drawn towards; default: 0.
        absent_weight: weight of every pair without a rating, whose value is taken to be 0.
    """
    features = net.features(other_side)
    values = residuals(net, block, other_side, baseline)
    if not absent_weight:
        return ridge(
            block,
            features,
            reg=reg,
            prior=prior_mean,
            value=values,
        )

    # Every pair counts with weight b, an observed one with 1: b Σ f fᵀ over all columns and (1 − b)
    # Σ f fᵀ over the observed ones. Divided by 1 − b, the second sum is what the kernel computes.
    scale = 1 - absent_weight

    return ridge(
        block,
        features,
        reg=reg / scale,
        prior=prior_mean,
        value=values / scale,
        base=absent_weight / scale * (features.t() @ features),
    )


class ALS:
    """A Learner that solves for all users, then for all items, then lets the prior learn.

    It minimizes Σ w (r − r̂)² + Σ reg_user ‖U_u‖² + Σ reg_item ‖V_i − θ_i‖², where w is 1 for an
    observed pair and `absent_weight` for any other, whose r is 0.
    """

    def __init__(
        self,
        net: Factors,
        train: Ratings,
        *,
        reg_user: Float[Tensor, " users"],
        reg_item: Float[Tensor, " items"],
        absent_weight: float = 0.0,
        prior: Prior | None = None,
        weight: Float[Tensor, " items"] | None = None,
    ) -> None:
        """Prepare the sparse rows of both sides; with a prior, the items start from its mean.

        Args:
            net: the factors, which are solved in place.
            train: the ratings.
            reg_user: λ of each user.
            reg_item: λ of each item.
            absent_weight: weight of a pair without a rating; 0: only observed pairs count.
            prior: what gives θ; None: θ is 0.
            weight: how much each item counts when the prior learns; default: 1.
        """
        self.net: Any = net
        self.device = net.user.device
        self.absent_weight = absent_weight
        self.prior = prior
        self.by_user = Block.of(train.by_user, self.device)
        self.by_item = Block.of(train.by_item, self.device)
        self.reg_user = reg_user.to(self.device)
        self.reg_item = reg_item.to(self.device)
        self.rated = torch.as_tensor(train.count("item") > 0, device=self.device)
        if weight is None:
            weight = torch.ones_like(self.reg_item)

        # An item without ratings has no factors of its own to learn from: they are its prior mean.
        self.weight = weight.to(self.device) * self.rated
        self.theta = torch.zeros_like(net.item)
        if prior is not None:
            self.theta = prior.mean()
            net.item.copy_(self.theta)

    @property
    def converged(self) -> bool:
        """Never: validation decides when to stop."""
        return False

    @torch.no_grad()
    def epoch(self, number: int) -> dict[str, float]:
        """Solve for users, then for items; returns the training error and the objective, each per
        rating.
        """
        net = self.net
        user = solve_factors(
            net,
            self.by_user,
            "item",
            reg=self.reg_user,
            absent_weight=self.absent_weight,
        )
        # In place: the items below are solved from the users' new factors.
        net.user.copy_(user)

        item = solve_factors(
            net,
            self.by_item,
            "user",
            reg=self.reg_item,
            prior_mean=self.theta,
            absent_weight=self.absent_weight,
        )
        net.item.copy_(item)

        figures = {"epoch": float(number)} | self._figures()
        if self.prior is not None:
            figures |= self.prior.learn(net.item, self.weight)
            self.theta = self.prior.mean()
            # Without ratings the solution is the prior mean, which has just moved.
            net.item[~self.rated] = self.theta[~self.rated]

        return figures

    def _figures(self) -> dict[str, float]:
        net = self.net
        # With offsets a user's features end in 1, where an item's row has its offset: the product
        # then lacks the user's offset alone.
        user = net.features("user")
        item = net.item
        predicted = observed(self.by_user, user, item)
        offset = net.offset("user")
        if offset is not None:
            count = self.by_user.rows.start.diff()
            predicted = predicted + offset.repeat_interleave(count)

        n = max(1, len(predicted))
        loss = _squared_norm(self.by_user.value - net.mu - predicted)
        if self.absent_weight:
            # Σ (U · V)² over every pair is the sum of the elementwise product of UᵀU and VᵀV.
            products = (user.t() @ user) * (item.t() @ item)
            every_pair = float(products.sum())
            loss += self.absent_weight * (every_pair - _squared_norm(predicted))

        user_norm = net.user.square().sum(dim=1)
        item_norm = (item - self.theta).square().sum(dim=1)
        penalty = float(self.reg_user @ user_norm + self.reg_item @ item_norm)
        figures = {"objective": (loss + penalty) / n}
        if self.absent_weight:
            return {"train_loss": loss / n, **figures}

        return {"train_rmse": math.sqrt(loss / n), **figures}

    def state(self) -> dict[str, Any]:
        """θ, and the state of the prior."""
        prior_state = {}
        if self.prior is not None:
            prior_state = self.prior.state()

        return {"theta": self.theta, "prior": prior_state}

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from that state."""
        self.theta = state["theta"].to(self.device)
        if self.prior is not None:
            self.prior.load_state(state["prior"])


def _squared_norm(x: Tensor) -> float:
    # In 64 bits: a sum over millions of cells would lose digits in 32.
    wide = x.double()
    return float(wide @ wide)
