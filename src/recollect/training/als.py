"""Alternating least squares: each user's factors exactly from the items', then each item's from the users'.

An item's factors may be pulled towards what something else says of it, such as its text: a `Prior`, which learns from the
factors after every turn.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recollect.data.ratings import Ratings
from recollect.kernels import Block, observed
from recollect.kernels.ridge import ridge
from recollect.nn import Factors


@runtime_checkable
class Prior(Protocol):
    """What the items' factors are pulled towards."""

    def mean(self) -> Float[Tensor, "items k"]:
        """What it says of each item now."""

    def learn(
        self, item: Float[Tensor, "items k"], weight: Float[Tensor, " items"]
    ) -> dict[str, float]:
        """Learn to say these factors, the error of each item times its weight (0: without ratings); figures, if there are any."""

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps of it beside the network."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from that state."""


class ALS:
    """Users, items, and what the prior says of them, in turn. A Learner (see `epochs`).

    Minimizes Σ w (r − r̂)² + Σ reg_user ‖U_u‖² + Σ reg_item ‖V_i − θ_i‖²: w = 1 for what is observed and `absent` for every other
    pair, whose r is 0.
    """

    def __init__(
        self,
        net: Factors,
        train: Ratings,
        *,
        reg_user: Float[Tensor, " users"],
        reg_item: Float[Tensor, " items"],
        absent: float = 0.0,
        prior: Prior | None = None,
        weight: Float[Tensor, " items"] | None = None,
    ) -> None:
        self.net: Any = net
        self.device, self.absent, self.prior = net.user.device, absent, prior
        self.by_user, self.by_item = (
            Block.of(train.rows(side), self.device) for side in ("user", "item")
        )
        self.reg_user, self.reg_item = reg_user.to(self.device), reg_item.to(self.device)
        self.rated = torch.as_tensor(train.count("item") > 0, device=self.device)
        self.weight = (
            torch.ones_like(self.reg_item) if weight is None else weight.to(self.device)
        ) * self.rated
        self.theta = torch.zeros_like(net.item) if prior is None else prior.mean()
        if prior is not None:
            net.item.copy_(self.theta)

    @property
    def converged(self) -> bool:
        """Never: validation says when."""
        return False

    @torch.no_grad()
    def epoch(self, number: int) -> dict[str, float]:
        """One turn; the RMSE on train and the objective per rating after it."""
        net = self.net
        net.user.copy_(
            self._solved(
                self.by_user, net.features("item"), net.offset("item"), self.reg_user, None
            )
        )
        net.item.copy_(
            self._solved(
                self.by_item, net.features("user"), net.offset("user"), self.reg_item, self.theta
            )
        )
        figures = {"epoch": float(number)} | self._figures()
        if self.prior is not None:
            figures |= self.prior.learn(net.item, self.weight)
            self.theta = self.prior.mean()
            net.item[~self.rated] = self.theta[~self.rated]
        return figures

    def _solved(
        self,
        block: Block,
        features: Tensor,
        offset: Tensor | None,
        reg: Tensor,
        prior: Tensor | None,
    ) -> Tensor:
        """The factors of one side, from what the other side's offer."""
        value: Tensor = block.value - self.net.mu
        if offset is not None:
            value = value - offset[block.column.long()]
        if not self.absent:
            return ridge(block, features, reg=reg, prior=prior, value=value)
        more = (
            1 - self.absent
        )  # Σ over observed of (1 − b) f fᵀ and, with every pair, b Σ f fᵀ: all divided by 1 − b
        return ridge(
            block,
            features,
            reg=reg / more,
            prior=prior,
            value=value / more,
            base=self.absent / more * (features.t() @ features),
        )

    def _figures(self) -> dict[str, float]:
        net = self.net
        user, item = net.features("user"), net.item
        found = observed(self.by_user, user, item)
        if (offset := net.offset("user")) is not None:
            found = found + offset.repeat_interleave(self.by_user.rows.start.diff())
        error, n = self.by_user.value - net.mu - found, max(1, len(found))
        total = _square(error)
        if self.absent:
            total += self.absent * (
                float(((user.t() @ user) * (item.t() @ item)).sum()) - _square(found)
            )
        bears = float(
            self.reg_user @ net.user.square().sum(dim=1)
            + self.reg_item @ (item - self.theta).square().sum(dim=1)
        )
        figure = {"train_loss": total / n} if self.absent else {"train_rmse": math.sqrt(total / n)}
        return {**figure, "objective": (total + bears) / n}

    def state(self) -> dict[str, Any]:
        """See Learner."""
        return {"theta": self.theta, "prior": self.prior.state() if self.prior else {}}

    def load_state(self, state: dict[str, Any]) -> None:
        """See Learner."""
        self.theta = state["theta"].to(self.device)
        if self.prior is not None:
            self.prior.load_state(state["prior"])


def _square(x: Tensor) -> float:
    return float(x.double() @ x.double())
