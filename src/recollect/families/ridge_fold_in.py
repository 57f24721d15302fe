"""New users of a factor model: their factors are the ridge regression that fitting solves for each
user.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from recollect.data.sparse_rows import Rows
from recollect.kernels import Block
from recollect.nn import Factors
from recollect.training.als import residuals, solve_factors


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


@torch.no_grad()
def influences_of_ridge(
    net: Factors,
    rows: Rows,
    items: Int[np.ndarray, "people some"],
    *,
    reg: Float[Tensor, " people"],
    absent_weight: float = 0.0,
) -> Float32[np.ndarray, "cells some"]:
    """The summands of the scores of `fold_in_factors`, one for each rating: in 64 bits

        f_i · (b Σ f fᵀ over all items + (1 − b) Σ f fᵀ over the rated ones + λ I)⁻¹ f_j r_j

    f are the items' factors (and 1 for the user's offset), and r_j is a rating less the mean and
    less the item's offset. Their sum is the score of i less both.

    Args:
        net: the fitted factors.
        rows: ratings of known items, a row per user.
        items: row numbers of items, the same number for each user.
        reg: λ of each user.
        absent_weight: b, the weight of every pair without a rating, whose value is taken to be 0.
    """
    features = net.features("item").double()
    residual = residuals(net, Block.of(rows, features.device), "item").double()
    identity = torch.eye(features.shape[1], dtype=torch.float64, device=features.device)
    base = torch.zeros_like(identity)
    if absent_weight:
        base = absent_weight * (features.t() @ features)

    influence = np.empty((rows.n_cells, items.shape[1]), np.float32)

    for person in range(len(rows)):
        cells = slice(rows.start[person], rows.start[person + 1])
        rated = features[torch.as_tensor(rows.column[cells]).long()]
        wanted = features[torch.as_tensor(items[person]).long()]
        observed = (1 - absent_weight) * (rated.t() @ rated)
        equations = base + observed + float(reg[person]) * identity
        weight = rated @ torch.linalg.solve(equations, wanted.t())
        influence[cells] = (weight * residual[cells, None]).cpu().numpy()

    return influence
