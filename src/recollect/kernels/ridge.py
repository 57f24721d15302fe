"""Ridge regressions, one per sparse row: what alternating least squares does to every user and item.

Row j's answer minimizes Σ over its cells of (value − x · f)² + reg_j ‖x − prior_j‖² + xᵀ base x, f being the features of the
cell's column. `reference` is the definition; on a CPU in 32 bits a row's normal equations are made, factored and solved in
the core's cache (`compiled.ridge`); elsewhere rows with about as many cells are solved together.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recollect.kernels import Block
from recollect.kernels.compiled import ridge as loops
from recollect.kernels.compiled.threads import (
    SHARES_PER_THREAD,
    equal_shares,
    one_at_a_time,
    work_of_solving,
)

LIKE = 1.25  # rows are solved together whose cells differ by no more than this factor
TOGETHER = 4_000_000  # numbers gathered at once


def ridge(
    block: Block,
    features: Float[Tensor, "columns k"],
    *,
    reg: Float[Tensor, " rows"],
    prior: Float[Tensor, "rows k"] | None = None,
    base: Float[Tensor, "k k"] | None = None,
    value: Float[Tensor, " cells"] | None = None,
) -> Float[Tensor, "rows k"]:
    """The answer of every row; without a cell it is the prior (without `base`). `value` takes the place of the block's own.

    Raises: ValueError if the shapes do not fit.
    """
    value = block.value if value is None else value
    assert value is not None
    k, rows = features.shape[1], block.n_rows
    shapes = {
        "value": (value, (block.n_cells,)),
        "features": (features, (block.n_columns, k)),
        "reg": (reg, (rows,)),
        **({"prior": (prior, (rows, k))} if prior is not None else {}),
        **({"base": (base, (k, k))} if base is not None else {}),
    }
    for name, (found, expected) in shapes.items():
        if tuple(found.shape) != expected:
            raise ValueError(f"{name} must be {expected}, found {tuple(found.shape)}.")
    pull = features.new_zeros(rows, k) if prior is None else reg[:, None] * prior
    base = features.new_zeros(k, k) if base is None else base
    if features.device.type == "cpu" and features.dtype == torch.float32:
        return _compiled(block, value, features, base, reg, pull)
    return _together(block, value, features, base, reg, pull)


def _compiled(
    block: Block, value: Tensor, features: Tensor, base: Tensor, reg: Tensor, pull: Tensor
) -> Tensor:
    k, width = features.shape[1], -(-features.shape[1] // 32) * 32
    wide, base_wide, pull_wide = (
        torch.nn.functional.pad(x, (0, width - k, *more)).contiguous().numpy()
        for x, more in ((features, ()), (base, (0, width - k)), (pull, ()))
    )
    start, out, bad = (
        block.rows.start.numpy(),
        np.empty((block.n_rows, width), np.float32),
        np.zeros(block.n_rows, np.bool_),
    )
    with one_at_a_time() as n_threads:
        work = work_of_solving(start, k)
        shares = equal_shares(work, SHARES_PER_THREAD * n_threads)
        rooms = np.zeros((len(shares) - 1, width * (width + loops.PACK + 2)), np.float32)
        loops.ridge(
            start,
            block.column.numpy(),
            value.contiguous().numpy(),
            wide,
            base_wide.reshape(-1),
            reg.numpy(),
            pull_wide,
            k,
            shares,
            rooms,
            out,
            bad,
        )
    found = torch.from_numpy(out[:, :k].copy())
    if bad.any():
        _again(found, np.flatnonzero(bad), block, value, features, base, reg, pull)
    return found


def _again(
    found: Tensor,
    rows: np.ndarray,
    block: Block,
    value: Tensor,
    features: Tensor,
    base: Tensor,
    reg: Tensor,
    pull: Tensor,
) -> None:
    """Solve these rows in 64 bits: their equations are too close to singular for 32."""
    start, column = block.rows.start, block.column.long()
    for j in rows.tolist():
        cells = slice(int(start[j]), int(start[j + 1]))
        f = features[column[cells]].double()
        a = (
            f.t() @ f
            + base.double()
            + reg[j].double() * torch.eye(f.shape[1], dtype=f.dtype, device=f.device)
        )
        b = pull[j].double() + value[cells].double() @ f
        found[j] = torch.linalg.lstsq(a, b[:, None]).solution[:, 0].to(found.dtype)


def _together(
    block: Block, value: Tensor, features: Tensor, base: Tensor, reg: Tensor, pull: Tensor
) -> Tensor:
    """Rows with about as many cells at a time, padded to the longest of them."""
    k, out, device = features.shape[1], torch.empty_like(pull), features.device
    eye = torch.eye(k, dtype=features.dtype, device=device)
    count = block.rows.start.diff()
    for rows in _alike(count.cpu().numpy(), k):
        some = torch.as_tensor(rows, device=device)
        place = torch.arange(int(count[some].max()), device=device)
        there = place < count[some, None]
        cell = (block.rows.start[some, None] + place)[there].long()
        f, v = features.new_zeros(*there.shape, k), features.new_zeros(there.shape)
        f[there], v[there] = features[block.column[cell].long()], value[cell].to(f.dtype)
        a = (
            torch.baddbmm(base.expand(len(some), k, k), f.transpose(1, 2), f)
            + reg[some, None, None] * eye
        )
        b = pull[some] + (v[:, None, :] @ f)[:, 0]
        out[some] = torch.cholesky_solve(b[:, :, None], torch.linalg.cholesky(a))[:, :, 0]
    return out


def _alike(count: np.ndarray, k: int) -> list[np.ndarray]:
    """All rows, in groups whose counts differ little and whose features fit into memory together."""
    order, groups, first = np.argsort(count, kind="stable"), [], 0
    while first < len(order):
        least = max(1, int(count[order[first]]))
        last = int(np.searchsorted(count[order], LIKE * least, side="right"))
        last = min(
            max(last, first + 1), first + max(1, TOGETHER // (int(LIKE * least) * k + k * k))
        )
        groups.append(order[first:last])
        first = last
    return groups
