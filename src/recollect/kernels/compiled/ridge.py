"""The loops of `kernels.ridge`, compiled by Numba: each row's normal equations are added up,
factored and solved in the cache. A row with few cells is solved by an equation for each of them.

Arrays only, everything float32. A matrix has `width` rows and columns, a multiple of 32, and is
kept row after row in one array; only its upper triangle counts. A pack holds the features of up to
PACK cells.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.cholesky import clear_below, factor, solve
from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.simd import fma, load, peek, splat, store, total, zero

PACK = 64


def make_scratch(n_shares: int, width: int) -> np.ndarray:
    """Memory for each share of a thread: a matrix, a pack of cells, and two vectors of as many
    numbers as a row and as a pack has cells.
    """
    matrix = width * width
    pack = width * PACK
    vectors = 2 * width + 2 * PACK
    return np.zeros((n_shares, matrix + pack + vectors), np.float32)


@inlined
@no_type_check
def _add_products(a, width, k, pack, n):
    """A += Σ over the n packed cells of f fᵀ.

    A tile of four rows and 32 columns stays in eight registers while the cells go by: two loads per
    cell then feed eight multiplications.
    """
    for i in range(0, k, 4):
        for at in range(i // 32 * 32, width, 32):
            row0 = i * width + at
            row1 = row0 + width
            row2 = row1 + width
            row3 = row2 + width
            left0 = load(a, row0)
            left1 = load(a, row1)
            left2 = load(a, row2)
            left3 = load(a, row3)
            right0 = load(a, row0 + 16)
            right1 = load(a, row1 + 16)
            right2 = load(a, row2 + 16)
            right3 = load(a, row3 + 16)

            for c in range(n):
                cell = c * width
                left = load(pack, cell + at)
                right = load(pack, cell + at + 16)
                f0 = splat(peek(pack, cell + i))
                f1 = splat(peek(pack, cell + i + 1))
                f2 = splat(peek(pack, cell + i + 2))
                f3 = splat(peek(pack, cell + i + 3))
                left0 = fma(f0, left, left0)
                left1 = fma(f1, left, left1)
                left2 = fma(f2, left, left2)
                left3 = fma(f3, left, left3)
                right0 = fma(f0, right, right0)
                right1 = fma(f1, right, right1)
                right2 = fma(f2, right, right2)
                right3 = fma(f3, right, right3)

            store(a, row0, left0)
            store(a, row1, left1)
            store(a, row2, left2)
            store(a, row3, left3)
            store(a, row0 + 16, right0)
            store(a, row1 + 16, right1)
            store(a, row2 + 16, right2)
            store(a, row3 + 16, right3)


@inlined
@no_type_check
def _add_cells(start, end, column, value, source, width, k, a, pack, x):
    """A += Σ f fᵀ and x += Σ value · f over the cells from start to end, a pack at a time."""
    for first in range(start, end, PACK):
        n = min(PACK, end - first)

        # Copied together: the products below read each cell's features many times.
        for c in range(n):
            at = np.int64(peek(column, first + c)) * width
            v = splat(peek(value, first + c))

            for lane in range(0, width, 16):
                f = load(source, at + lane)
                store(pack, c * width + lane, f)
                added = fma(v, f, load(x, lane))
                store(x, lane, added)

        _add_products(a, width, k, pack, n)


@inlined
@no_type_check
def _scale_cells(start, n, column, source, eigenvalue, reg, width, k, pack, root):
    """pack = F D^−½ of n cells and root = D^−½, D = eigenvalues + reg; False where D has a 0."""
    root[:] = 0

    for i in range(k):
        d = eigenvalue[i] + reg
        # "not … >", so that what is no number is refused, too.
        if not d > 0:
            return False

        root[i] = np.float32(1) / np.sqrt(d)

    for c in range(n):
        at = np.int64(peek(column, start + c)) * width

        for lane in range(0, width, 16):
            scaled = fma(load(source, at + lane), load(root, lane), zero())
            store(pack, c * width + lane, scaled)

    return True


@inlined
@no_type_check
def _solve_in_cells(start, n, value, width, a, pack, root, x, y, least):
    """The solution of a row by as many equations as it has cells, fewer than k; False where 32 bits
    cannot solve them.

    With H = F D^−½ and g = D^−½ pull: x = D^−½ (g + Hᵀ y), (H Hᵀ + I) y = value − H g.

    Args:
        start: the first cell of the row.
        n: how many cells it has.
        value: the value of each cell.
        width: of the pack.
        a: memory for a matrix.
        pack: H, a row for each cell.
        root: D^−½.
        x: pull; overwritten with the solution.
        y: memory for a number per cell.
        least: the same.
    """
    size = (n + 31) // 32 * 32
    a[: size * size] = 0
    y[:] = 0

    for lane in range(0, width, 16):
        store(x, lane, fma(load(root, lane), load(x, lane), zero()))

    for c in range(n):
        row = c * width

        for e in range(c, n):
            dot = zero()
            for lane in range(0, width, 16):
                dot = fma(load(pack, row + lane), load(pack, e * width + lane), dot)

            a[c * size + e] = total(dot)

        dot = zero()

        for lane in range(0, width, 16):
            dot = fma(load(pack, row + lane), load(x, lane), dot)

        a[c * size + c] += 1
        y[c] = peek(value, start + c) - total(dot)
        least[c] = np.float32(1e-6) * a[c * size + c]

    if not factor(a, size, n, least):
        return False

    clear_below(a, size, n)
    solve(a, size, n, y)

    for c in range(n):
        times = splat(peek(y, c))

        for lane in range(0, width, 16):
            store(x, lane, fma(times, load(pack, c * width + lane), load(x, lane)))

    for lane in range(0, width, 16):
        store(x, lane, fma(load(root, lane), load(x, lane), zero()))

    return True


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def ridge(
    start,
    column,
    value,
    features,
    base,
    reg,
    pull,
    k,
    few,
    eigenvalue,
    rotated_features,
    rotated_pull,
    shares,
    scratch,
    out,
    is_rotated,
    singular,
):
    """out[j] solves (base + reg[j] I + Σ f fᵀ) x = pull[j] + Σ value · f over j's cells.

    Args:
        start: the first cell of each row, and the number of cells.
        column: the column of each cell.
        value: the value of each cell.
        features: columns × width, of which the first k count and the others are 0.
        base: width × width, in one array.
        reg: λ of each row.
        pull: rows × width.
        k: number of equations of each row.
        few: a row of at most so many cells is solved by as many equations; at most PACK and k / 2,
            −1 for none.
        eigenvalue: k, of base.
        rotated_features: columns × width, the features in the coordinates of base's eigenvectors.
        rotated_pull: rows × width, the same.
        shares: the first row of each share of a thread, and the number of rows.
        scratch: an array per share, for a matrix, a pack and four vectors.
        out: rows × width, the solutions.
        is_rotated: rows, overwritten: whether a solution is in those coordinates.
        singular: becomes True for rows that 32 bits cannot solve.
    """
    width = features.shape[1]
    source = features.reshape(-1)
    rotated_source = rotated_features.reshape(-1)
    end_of_matrix = width * width
    end_of_pack = end_of_matrix + width * PACK
    end_of_vectors = end_of_pack + 2 * width

    for t in prange(len(shares) - 1):
        a = scratch[t, :end_of_matrix]
        pack = scratch[t, end_of_matrix:end_of_pack]
        x = scratch[t, end_of_pack : end_of_pack + width]
        least = scratch[t, end_of_pack + width : end_of_vectors]
        y = scratch[t, end_of_vectors : end_of_vectors + PACK]
        least_of_cells = scratch[t, end_of_vectors + PACK :]

        for j in range(shares[t], shares[t + 1]):
            n = start[j + 1] - start[j]
            is_rotated[j] = False

            if n <= few and _scale_cells(
                start[j], n, column, rotated_source, eigenvalue, reg[j], width, k, pack, least
            ):
                x[:] = rotated_pull[j]
                is_rotated[j] = _solve_in_cells(
                    start[j], n, value, width, a, pack, least, x, y, least_of_cells
                )

            if is_rotated[j]:
                singular[j] = False
                out[j] = x
                continue

            a[:] = base
            x[:] = pull[j]
            _add_cells(start[j], start[j + 1], column, value, source, width, k, a, pack, x)

            # A pivot that has lost all but a millionth of its size is rounding error.
            for i in range(k):
                a[i * width + i] += reg[j]
                least[i] = np.float32(1e-6) * a[i * width + i]

            singular[j] = not factor(a, width, k, least)
            if not singular[j]:
                clear_below(a, width, k)
                solve(a, width, k, x)

            out[j] = x
