"""Cholesky factors of small matrices, and equations solved with them, inside other compiled loops.

A matrix is float32, has `width` rows and columns, a multiple of 32, of which the first k count, and
is kept row after row in one array; only its upper triangle counts.
"""

from typing import no_type_check

import numpy as np

from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.simd import fma, load, peek, splat, store, total, zero

# Rows that are factored before the rows below are reduced by all of them at once: in a matrix of
# the first cache and in a larger one. A multiple of 4.
PANEL = 16
LARGE_PANEL = 64
LARGE = 128  # rows of the latter, at least


@inlined
@no_type_check
def _reduce_below(a, width, k, first, last):
    """Take from the rows below a panel what its factored rows explain: A −= Rᵀ R.

    A tile of four rows and 32 columns stays in eight registers while the panel's rows go by.
    """
    for i in range(last, k, 4):
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

            for p in range(first, last):
                row = p * width
                left = load(a, row + at)
                right = load(a, row + at + 16)
                f0 = splat(-peek(a, row + i))
                f1 = splat(-peek(a, row + i + 1))
                f2 = splat(-peek(a, row + i + 2))
                f3 = splat(-peek(a, row + i + 3))
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
def factor(a, width, k, least):
    """A = Rᵀ R, R in place of A, a panel of rows at a time; False where a pivot is not above
    `least`, so that 32 bits cannot tell it from 0.
    """
    panel = PANEL if k < LARGE else LARGE_PANEL

    for first in range(0, k, panel):
        last = min(first + panel, k)

        for j in range(first, last):
            row = j * width
            pivot = a[row + j]
            # "not … >", so that a pivot that is no number is refused, too.
            if not pivot > least[j]:
                return False

            scale = splat(np.float32(1) / np.sqrt(pivot))

            # Only the upper triangle counts: row j begins at column j, rounded down to a whole
            # vector.
            for at in range(j // 16 * 16, width, 16):
                store(a, row + at, fma(scale, load(a, row + at), zero()))

            for i in range(j + 1, last):
                times = splat(-peek(a, row + i))
                below = i * width

                for at in range(i // 16 * 16, width, 16):
                    reduced = fma(times, load(a, row + at), load(a, below + at))
                    store(a, below + at, reduced)

        if last < k:
            _reduce_below(a, width, k, first, last)

    return True


@inlined
@no_type_check
def solve(a, width, k, x):
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
def clear_below(a, width, k):
    """Zeros left of the diagonal, as far as `solve` reads there."""
    for j in range(k):
        row = j * width
        # From the beginning of the vector that the diagonal is in.
        for i in range(j // 16 * 16, j):
            a[row + i] = 0
