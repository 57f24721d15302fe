"""New users of LLORMA: their factors in each local model, by weighted ridge regressions."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from recollect.data.sparse_rows import Rows
from recollect.kernels.llorma import LocalCells, solve_rows
from recollect.models.llorma.local_factors import LocalFactors, to_numpy

JOINT_SWEEPS = 10  # over all local models


def local_factors_of(
    net: LocalFactors,
    rows: Rows,
    target: Float32[np.ndarray, " cells"],
    *,
    weight: Float32[np.ndarray, "models rows"],
    reg: Float32[np.ndarray, "models rows"],
    joint: bool,
) -> Float32[Tensor, "models rows k"]:
    """The local factors of new users, given the items'.

    Args:
        net: the fitted local models.
        rows: ratings of known items, a row per user.
        target: the ratings less mu.
        weight: of the users in each local model.
        reg: λ of each user for each rating of weight 1.
        joint: solve for all models in turn, several times; False: for each model on its own.
    """
    weight_item = to_numpy(net.weight_item)
    features = []
    offsets = []

    for item in net.item:
        item_features, item_offset = net.features(item)
        features.append(to_numpy(item_features))
        offsets.append(to_numpy(item_offset))

    cells = _cells(rows, target, weight, weight_item, offsets)
    n_models = len(weight)
    k = net.user.shape[2]
    solved = np.zeros((n_models, len(rows), k), np.float32)

    # Models on their own do not depend on one another: one sweep solves them exactly.
    for _ in range(JOINT_SWEEPS if joint else 1):
        for t in range(n_models):
            solved[t] = solve_rows(
                cells,
                weight[t],
                weight_item[t],
                features=features[t],
                offset=offsets[t],
                factors=solved[t],
                reg=reg[t],
                joint=joint,
            )

    return torch.from_numpy(solved)


def _cells(
    rows: Rows,
    target: Float32[np.ndarray, " cells"],
    weight: Float32[np.ndarray, "models rows"],
    weight_item: Float32[np.ndarray, "models items"],
    offsets: list[Float32[np.ndarray, " items"]],
) -> LocalCells:
    """The ratings, and what is predicted for them while the users' factors are 0: item offsets."""
    total_weight = np.zeros(len(target), np.float32)
    weighted = np.zeros(len(target), np.float32)

    for t, offset in enumerate(offsets):
        w = weight[t][rows.row] * weight_item[t][rows.column]
        total_weight += w
        weighted += w * offset[rows.column]

    # Where no model reaches, the share stays 0: 1 / 0 would spoil the predictions.
    share = np.zeros_like(total_weight)
    np.divide(1, total_weight, out=share, where=total_weight > 0)

    return LocalCells(
        start=rows.start,
        column=rows.column,
        value=np.ascontiguousarray(target, np.float32),
        share=share,
        predicted=weighted * share,
    )
