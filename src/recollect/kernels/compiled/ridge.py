"""The loops of `kernels.ridge`, compiled by Numba: each row's normal equations are added up,
factored and solved in the cache.

Arrays only, everything float32. A matrix has `width` rows and columns, a multiple of 32, and is
kept row after row in one array; only its upper triangle counts. A pack holds the features of up to
PACK cells.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.simd import fma, load, peek, splat, store, total, zero

PACK = 64


def make_scratch(n_shares: int, width: int) -> np.ndarray:
    """Memory for each share of a thread: a matrix, a pack of cells and two vectors."""
    matrix = width * width
    pack = width * PACK
    two_vectors = 2 * width
    return np.zeros((n_shares, matrix + pack + two_vectors), np.float32)


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
def _factor(a, width, k, least):
    """Cholesky: A = Rᵀ R, R in place of A; False where a pivot is not above `least`, so that 32
    bits cannot tell it from 0.
    """
    for j in range(k):
        pivot = a[j * width + j]
        # "not … >", so that a pivot that is no number is refused, too.
        if not pivot > least[j]:
            return False

        scale = splat(np.float32(1) / np.sqrt(pivot))

        row = j * width

        # Only the upper triangle counts: row j begins at column j, rounded down to a whole vector.
        for at in range(j // 16 * 16, width, 16):
            scaled = fma(scale, load(a, row + at), zero())
            store(a, row + at, scaled)

        for i in range(j + 1, k):
            times = splat(-peek(a, row + i))
            below = i * width

            for at in range(i // 16 * 16, width, 16):
                reduced = fma(times, load(a, row + at), load(a, below + at))
                store(a, below + at, reduced)

    return True


@inlined
@no_type_check
def _solve(a, width, k, x):
    """Rᵀ R x = b, x in place of b, by forward and backward substitution.

    The vectors of 16 also cover entries left of R's diagonal and beyond its k columns; there they
    meet zeros.
    """
    for j in range(k):
        row = j * width
        x[j] = x[j] / a[row + j]
        times = splat(-x[j])
        # The vectors below also change x[j] itself.
        solved = x[j]

        for at in range(j // 16 * 16, width, 16):
            reduced = fma(times, load(a, row + at), load(x, at))
            store(x, at, reduced)

        x[j] = solved

    for j in range(k - 1, -1, -1):
        row = j * width
        right = x[j]
        # 0, so that the product has only what is solved already.
        x[j] = 0
        dot = zero()

        for at in range(j // 16 * 16, width, 16):
            dot = fma(load(a, row + at), load(x, at), dot)

        x[j] = (right - total(dot)) / a[row + j]


@inlined
@no_type_check
def _clear_below(a, width, k):
    """Zeros left of the diagonal, as far as `_solve` reads there."""
    for j in range(k):
        row = j * width
        # From the beginning of the vector that the diagonal is in.
        for i in range(j // 16 * 16, j):
            a[row + i] = 0


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


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def ridge(start, column, value, features, base, reg, pull, k, shares, scratch, out, singular):
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
        shares: the first row of each share of a thread, and the number of rows.
        scratch: an array per share, for a matrix, a pack and two vectors.
        out: rows × width, the solutions.
        singular: becomes True for rows that 32 bits cannot solve.
    """
    width = features.shape[1]
    source = features.reshape(-1)
    end_of_matrix = width * width
    end_of_pack = end_of_matrix + width * PACK

    for t in prange(len(shares) - 1):
        a = scratch[t, :end_of_matrix]
        pack = scratch[t, end_of_matrix:end_of_pack]
        x = scratch[t, end_of_pack : end_of_pack + width]
        least = scratch[t, end_of_pack + width :]

        for j in range(shares[t], shares[t + 1]):
            a[:] = base
            x[:] = pull[j]
            _add_cells(start[j], start[j + 1], column, value, source, width, k, a, pack, x)

            # A pivot that has lost all but a millionth of its size is rounding error.
            for i in range(k):
                a[i * width + i] += reg[j]
                least[i] = np.float32(1e-6) * a[i * width + i]

            singular[j] = not _factor(a, width, k, least)
            if not singular[j]:
                _clear_below(a, width, k)
                _solve(a, width, k, x)

            out[j] = x
