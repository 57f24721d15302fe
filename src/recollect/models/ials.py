"""iALS: factors of users and items for events, where every pair without an event counts a little.

    minimizing  Σ over events (1 − U_u · V_i)²  +  b Σ over all other pairs (U_u · V_i)²
                + λ_U Σ (n_u + α₀ N)^ν ‖U_u‖²  +  λ_V Σ (n_i + α₀ M)^ν ‖V_i‖²

n_u and n_i are the events of a user and an item, M and N the users and items that have any, ν is
`reg_power`, b is `absent_weight`, and α₀ = b / (1 − b).

Source: Hu, Koren, Volinsky. "Collaborative Filtering for Implicit Feedback Datasets." ICDM 2008.
    Rendle, Krichene, Zhang, Koren. "Revisiting the Performance of iALS on Item Recommendation
    Benchmarks." RecSys 2022 (the scaling of λ, and of the first random numbers).
Differs: an event counts as 1 however often it was. Rendle and others weigh all pairs by α₀, those
    with an event 1 more, and let scores there be drawn to 1: divided by 1 + α₀, and with factors
    √(1 + α₀) times as long, that is the sum above with the same λ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor
from typing_extensions import override

from recollect.data.ratings import Side
from recollect.families.matrix_factorization import FactorModel
from recollect.settings import setting

INIT = 0.1  # of a score's standard deviation at the start, whatever the number of factors


@dataclass(kw_only=True, eq=False)
class IALS(FactorModel):
    """U_u · V_i, learned from events by alternating least squares."""

    factors: int = setting(64, at_least=1)  # k
    reg_user: float = setting(0.01, above=0)  # lambda_U
    reg_item: float = setting(0.01, above=0)  # lambda_V
    # nu: how much more a row with many events is regularized
    reg_power: float = setting(1.0, at_least=0, at_most=1)
    absent_weight: float = setting(0.2, above=0, below=1)  # b
    # Standard deviation of the item factors at the start; None: 0.1 / √k
    init: float | None = setting(None, above=0)  # type: ignore[assignment]
    refit: bool = True
    epochs: int = setting(30, at_least=1)  # at most; an epoch solves for users, then for items

    def __post_init__(self) -> None:
        if self.init is None:
            self.init = INIT / self.factors**0.5

        super().__post_init__()

    @override
    def reg(self, side: Side, count: Int[np.ndarray, " rows"]) -> Float32[Tensor, " rows"]:
        reg = self.reg_user if side == "user" else self.reg_item
        others = self.given_.count("item" if side == "user" else "user")
        absent = self.absent_weight / (1 - self.absent_weight) * np.count_nonzero(others)
        of_rows = reg * (count + absent) ** self.reg_power

        return torch.from_numpy(of_rows.astype(np.float32))


# Settings with which it learns planted events in a moment, for the tests that every model passes.
QUICK = {"factors": 3, "reg_user": 0.01, "reg_item": 0.01, "epochs": 10, "refit": False}
