"""Ridge regressions, one per sparse row: how alternating least squares solves for every user and
item.

Row j's solution minimizes Σ over its cells of (value − x · f)² + reg_j ‖x − prior_j‖² + xᵀ base x,
where f are the features of the cell's column; `reference.ridge` states it in NumPy. On a CPU in 32
bits each row's normal equations are added up, factored and solved while they are in the core's
cache (`compiled.ridge`). Elsewhere rows with about as many cells are solved together.

A row with n < k / 2 cells needs n equations instead of k: where base = Q Λ Qᵀ and D = Λ + reg_j I,
in the coordinates of Q, with F the features of the row's cells and x₀ = D⁻¹ pull,

    x = x₀ + D⁻¹ Fᵀ (I + F D⁻¹ Fᵀ)⁻¹ (value − F x₀)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor
from torch.nn.functional import pad

from recollect.errors import TrainingError
from recollect.kernels import Block
from recollect.kernels.compiled import ridge as loops
from recollect.kernels.compiled.threads import (
    SHARES_PER_THREAD,
    equal_shares,
    one_at_a_time,
    work_of_solving,
)

# Rows are solved together if their numbers of cells differ by at most this factor.
COUNT_RATIO = 1.25
GATHERED = 4_000_000  # numbers that are gathered at once for rows solved together


@dataclass(
    frozen=True,
    kw_only=True,
    eq=False,
)
class Equations:
    """The normal equations of every row: (base + reg I + Σ f fᵀ) x = pull + Σ value · f over its
    cells.
    """

    block: Block  # of which only the positions of the cells count
    value: Float[Tensor, " cells"]
    features: Float[Tensor, "columns k"]
    base: Float[Tensor, "k k"]
    reg: Float[Tensor, " rows"]
    pull: Float[Tensor, "rows k"]


def ridge(
    block: Block,
    features: Float[Tensor, "columns k"],
    *,
    reg: Float[Tensor, " rows"],
    prior: Float[Tensor, "rows k"] | None = None,
    base: Float[Tensor, "k k"] | None = None,
    value: Float[Tensor, " cells"] | None = None,
) -> Float[Tensor, "rows k"]:
    """The solution of every row. Without cells, and without `base`, it is the prior.

    Args:
        block: sparse rows.
        features: k numbers per column.
        reg: λ of each row.
        prior: what each row's solution is drawn towards; default: 0.
        base: what the equations of every row have in common; default: 0.
        value: what the solutions are to explain; default: the block's own values.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if value is None:
        value = block.value

    assert value is not None
    k = features.shape[1]
    _check_shape("value", value, (block.n_cells,))
    _check_shape("features", features, (block.n_columns, k))
    _check_shape("reg", reg, (block.n_rows,))
    pull = _pull_to(prior, features, reg)
    if base is None:
        base = features.new_zeros(k, k)

    _check_shape("base", base, (k, k))

    equations = Equations(
        block=block,
        value=value,
        features=features,
        base=base,
        reg=reg,
        pull=pull,
    )

    if features.device.type == "cpu" and features.dtype == torch.float32:
        return solve_in_cache(equations)

    return solve_together(equations)


def _pull_to(
    prior: Float[Tensor, "rows k"] | None,
    features: Float[Tensor, "columns k"],
    reg: Float[Tensor, " rows"],
) -> Float[Tensor, "rows k"]:
    """What the prior adds to the right side of each row's equations."""
    shape = (len(reg), features.shape[1])
    if prior is None:
        return features.new_zeros(shape)

    _check_shape("prior", prior, shape)

    return reg[:, None] * prior


def _check_shape(name: str, tensor: Tensor, expected: tuple[int, ...]) -> None:
    """The loops check nothing: a tensor that is too small would be read past its end."""
    shape = tuple(tensor.shape)
    if shape != expected:
        raise ValueError(f"{name} must be {expected}, found {shape}.")


def solve_in_cache(equations: Equations) -> Float[Tensor, "rows k"]:
    """Solve row by row in compiled loops, on a CPU in 32 bits."""
    solution, singular = _solve_in_32_bits(equations)

    for row in np.flatnonzero(singular).tolist():
        solution[row] = _solve_in_64_bits(equations, row).to(solution.dtype)

    return solution


def _solve_in_32_bits(
    equations: Equations,
) -> tuple[Float[Tensor, "rows k"], Bool[np.ndarray, " rows"]]:
    """The solution of every row, and whether its equations are too close to singular for one."""
    block = equations.block
    k = equations.features.shape[1]
    # The loops work on tiles of 32 columns; zeros behind the k features change no solution.
    width = -(-k // 32) * 32
    beyond = (0, width - k)
    out = np.empty((block.n_rows, width), np.float32)
    is_rotated = np.zeros(block.n_rows, np.bool_)
    singular = np.zeros(block.n_rows, np.bool_)
    few, eigenvalue, rotation = _coordinates(equations.base)

    with one_at_a_time() as n_threads:
        shares = equal_shares(
            work_of_solving(block.rows.start.numpy(), k), SHARES_PER_THREAD * n_threads
        )
        loops.ridge(
            block.rows.start.numpy(),
            block.column.numpy(),
            equations.value.contiguous().numpy(),
            _padded(equations.features, beyond),
            _padded(equations.base, beyond * 2).reshape(-1),
            equations.reg.numpy(),
            _padded(equations.pull, beyond),
            k,
            few,
            eigenvalue,
            _padded(equations.features @ rotation, beyond),
            _padded(equations.pull @ rotation, beyond),
            shares,
            loops.make_scratch(len(shares) - 1, width),
            out,
            is_rotated,
            singular,
        )

    solution = torch.from_numpy(out[:, :k].copy())
    rotated = torch.from_numpy(is_rotated)
    solution[rotated] = solution[rotated] @ rotation.t()

    return solution, singular


def _coordinates(
    base: Float[Tensor, "k k"],
) -> tuple[int, Float32[np.ndarray, " k"], Float[Tensor, "k k"]]:
    """In which coordinates rows with few cells are solved: how many cells are few (−1: no row's),
    and Λ and Q of base = Q Λ Qᵀ.
    """
    k = len(base)
    few = min(loops.PACK, k // 2)
    if not base.any():
        return few, np.zeros(k, np.float32), torch.eye(k)

    if not base.isfinite().all():
        return -1, np.zeros(k, np.float32), torch.eye(k)

    eigenvalue, rotation = torch.linalg.eigh(base.double())
    # Sums of squares have no eigenvalue below 0 but by rounding.
    eigenvalue = eigenvalue.clamp(min=0).float()

    return few, eigenvalue.numpy(), rotation.float()


def _padded(tensor: Tensor, zeros: tuple[int, ...]) -> np.ndarray:
    padded: np.ndarray = pad(tensor, zeros).contiguous().numpy()
    return padded


def _solve_in_64_bits(equations: Equations, row: int) -> Float[Tensor, " k"]:
    """Solve one row whose equations are too close to singular for 32 bits.

    Raises:
        TrainingError: if they are not finite.
    """
    start = equations.block.rows.start
    cells = slice(int(start[row]), int(start[row + 1]))
    column = equations.block.column.long()[cells]
    f = equations.features[column].double()
    base = equations.base.double()
    reg = equations.reg[row].double()
    pull = equations.pull[row].double()
    value = equations.value[cells].double()

    eye = torch.eye(f.shape[1], dtype=f.dtype, device=f.device)
    left = f.t() @ f + base + reg * eye
    right = pull + value @ f
    if not (left.isfinite().all() and right.isfinite().all()):
        raise TrainingError(
            "A least-squares solution met numbers that are infinite or NaN: those of the fit have "
            "overflowed. Lower the learning rate or init, or raise the penalties (reg)."
        )

    # Least squares, which has an answer even where the equations are singular in 64 bits.
    solution: Tensor = torch.linalg.lstsq(left, right[:, None]).solution[:, 0]

    return solution


def solve_together(equations: Equations) -> Float[Tensor, "rows k"]:
    """Solve rows with about as many cells at a time, on any device: each is padded to the longest
    of them.
    """
    out = torch.empty_like(equations.pull)
    count = equations.block.rows.start.diff()
    k = equations.features.shape[1]

    for rows in _groups_of_like_count(count.cpu().numpy(), k):
        group = torch.as_tensor(rows, device=out.device)
        out[group] = _solve_group(equations, group, count[group])

    return out


def _solve_group(
    equations: Equations, rows: Int[Tensor, " group"], count: Int[Tensor, " group"]
) -> Float[Tensor, "group k"]:
    block = equations.block
    features = equations.features
    k = features.shape[1]
    longest = int(count.max())
    position = torch.arange(longest, device=features.device)
    # rows × longest: which positions are cells of the row, and not padding.
    exists = position < count[:, None]
    first = block.rows.start[rows, None]
    cell = (first + position)[exists].long()
    f = features.new_zeros(*exists.shape, k)
    f[exists] = features[block.column[cell].long()]
    value = features.new_zeros(exists.shape)
    value[exists] = equations.value[cell].to(f.dtype)

    # Padding has features of 0 and adds nothing to the equations.
    eye = torch.eye(k, dtype=features.dtype, device=features.device)
    base = equations.base.expand(len(rows), k, k)
    reg = equations.reg[rows, None, None]
    left = torch.baddbmm(base, f.transpose(1, 2), f) + reg * eye
    products = value[:, None, :] @ f
    right = equations.pull[rows] + products[:, 0]

    lower = torch.linalg.cholesky(left)
    solution = torch.cholesky_solve(right[:, :, None], lower)

    return solution[:, :, 0]


def _groups_of_like_count(count: np.ndarray, k: int) -> list[np.ndarray]:
    """All rows, in groups whose counts differ little and whose features fit into memory at once."""
    order = np.argsort(count, kind="stable")
    sorted_count = count[order]
    groups = []
    first = 0

    while first < len(order):
        least = max(1, int(sorted_count[first]))
        most = COUNT_RATIO * least
        alike = int(np.searchsorted(sorted_count, most, side="right"))
        # A row gathers the features of its cells, and has a k × k matrix.
        numbers_per_row = int(most) * k + k * k
        at_most = max(1, GATHERED // numbers_per_row)
        # At least one row, however many cells it has, or the loop would not end.
        last = min(max(alike, first + 1), first + at_most)
        groups.append(order[first:last])
        first = last

    return groups
