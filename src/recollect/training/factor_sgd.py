"""Factors by stochastic gradient descent, a rating at a time. A Learner (see `epochs`)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor

from recollect.data.ratings import Ratings
from recollect.kernels.sgd import Cells
from recollect.nn import Factors
from recollect.training.compiled_sgd import CompiledSGD, views


class FactorSGD(CompiledSGD):
    """Minimizes Σ (r − r̂)² + Σ reg_user ‖U_u‖² + Σ reg_item ‖V_i‖²; a row bears its λ in equal parts with each of its ratings."""

    def __init__(
        self,
        net: Factors,
        train: Ratings,
        *,
        reg_user: Float[Tensor, " users"],
        reg_item: Float[Tensor, " items"],
        learning_rate: float,
        decay: float = 1.0,
    ) -> None:
        self._n, self.k = len(train), net.user.shape[1] - net.offsets
        self.cells = Cells(
            train.user,
            train.item,
            train.value - float(net.mu),
            n_users=train.n_users,
            n_items=train.n_items,
            factors=self.k,
        )
        self.reg_user, self.reg_item = (
            (reg.cpu().numpy() / np.maximum(train.count(side), 1)).astype(np.float32)  # type: ignore[arg-type]
            for side, reg in (("user", reg_user), ("item", reg_item))
        )
        super().__init__(net, learning_rate=learning_rate, decay=decay)

    def descend(self, shrink: float, seed: int) -> tuple[float, float]:
        """See CompiledSGD."""
        return self.cells.descend(
            reg_user=self.reg_user,
            reg_item=self.reg_item,
            rate=self.rate * shrink,
            seed=seed,
            offsets=self.net.offsets,
        ), float(self._n)

    def pairs(self) -> list[tuple[np.ndarray, Tensor]]:
        """See CompiledSGD."""
        cells, net = self.cells, self.net
        return views(cells.user, cells.b_user, net.user, self.k) + views(
            cells.item, cells.b_item, net.item, self.k
        )
