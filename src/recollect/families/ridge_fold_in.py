"""New users of a factor model: their factors are the ridge regression that fitting solves for each
user.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from recollect.data.sparse_rows import Rows
from recollect.kernels import Block
from recollect.nn import Factors
from recollect.training.als import solve_factors


def fold_in_factors(
    net: Factors,
    rows: Rows,
    *,
    reg: Float[Tensor, " users"],
    baseline: Float[Tensor, " items"] | None = None,
    absent_weight: float = 0.0,
) -> Float[Tensor, "users k"]:
    """The factors (and offset) of new users, given the items' factors.

    `net.predict_all` turns them into a prediction of every item.

    Args:
        net: the fitted factors.
        rows: ratings of known items, a row per user.
        reg: λ of each user.
        baseline: what an item adds to its ratings; default: its offset, if the network has offsets.
        absent_weight: weight of every pair without a rating, whose value is taken to be 0.
    """
    device = net.item.device
    block = Block.of(rows, device)
    reg = torch.as_tensor(reg, device=device)

    return solve_factors(
        net,
        block,
        "item",
        reg=reg,
        baseline=baseline,
        absent_weight=absent_weight,
    )
