"""Factors by stochastic gradient descent, a rating at a time. A Learner (see `epochs`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recollect.data.ratings import Ratings
from recollect.kernels.descent import Cells
from recollect.nn import Factors
from recollect.training.epochs import BrokenDownError


class Descend:
    """Minimises Σ (r − r̂)² + Σ reg_user ‖U_u‖² + Σ reg_item ‖V_i‖²; a row bears its λ in equal parts with each of its ratings."""

    def __init__(self, net: Factors, train: Ratings, *, reg_user: Float[Tensor, " users"], reg_item: Float[Tensor, " items"],
                 learning_rate: float, decay: float = 1.0) -> None:
        self.net: Any = net
        self.device, self.rate, self.decay = net.user.device, learning_rate, decay
        self._n, self.k = len(train), net.user.shape[1] - net.offsets
        self.cells = Cells(train.user, train.item, train.value - float(net.mu), n_users=train.n_users, n_items=train.n_items,
                           factors=self.k)
        self.reg_user, self.reg_item = (
            (reg.cpu().numpy() / np.maximum(train.count(side), 1)).astype(np.float32)  # type: ignore[arg-type]
            for side, reg in (("user", reg_user), ("item", reg_item)))
        self._in()

    @property
    def converged(self) -> bool:
        """Never: validation says when."""
        return False

    def epoch(self, number: int) -> dict[str, float]:
        """A step on every rating; the RMSE on train while going, and the rate."""
        rate = self.rate * self.decay ** (number - 1)
        total = self.cells.descend(reg_user=self.reg_user, reg_item=self.reg_item, rate=rate, offsets=self.net.offsets,
                                   seed=int(torch.randint(2**62, ())))
        if not math.isfinite(total):
            raise BrokenDownError(f"The error became {total} in epoch {number}; the step is too large: lower learning_rate (it "
                                  f"is {rate:g}).")
        self._out()
        return {"epoch": float(number), "train_rmse": math.sqrt(total / max(1, self._n)), "learning_rate": rate}

    def _pairs(self) -> list[tuple[np.ndarray, np.ndarray, Tensor]]:
        """Our factors and offsets of each side, and the network's."""
        return [(self.cells.user, self.cells.b_user, self.net.user), (self.cells.item, self.cells.b_item, self.net.item)]

    def _in(self) -> None:
        for ours, offset, theirs in self._pairs():
            ours[:, :self.k] = theirs[:, :self.k].cpu().numpy()
            if self.net.offsets:
                offset[:] = theirs[:, -1].cpu().numpy()

    def _out(self) -> None:
        for ours, offset, theirs in self._pairs():
            theirs[:, :self.k] = torch.from_numpy(ours[:, :self.k])
            if self.net.offsets:
                theirs[:, -1] = torch.from_numpy(offset)

    def state(self) -> dict[str, Any]:
        """See Learner: everything is in the network."""
        return {}

    def take_up(self, state: dict[str, Any]) -> None:
        """See Learner."""
        self._in()
