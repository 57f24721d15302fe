"""The loop of `kernels.llorma` that solves rows of a local model exactly, compiled by Numba.

Arrays only, everything float32; no index is checked. Tables are as in `compiled.llorma`.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.cholesky import clear_below, factor, solve
from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.llorma import _product
from recollect.kernels.compiled.ridge import PACK, _add_products
from recollect.kernels.compiled.simd import fma, load, peek, splat, store, zero


@inlined
@no_type_check
def _pack_cell(pack, slot, x, s, y, features, at, width):
    """Put a cell's features, s times those of its column, into the pack; x += y times them."""
    for lane in range(0, width, 16):
        f = fma(splat(s), load(features, at + lane), zero())
        store(pack, slot * width + lane, f)
        added = fma(splat(y), f, load(x, lane))
        store(x, lane, added)


@inlined
@no_type_check
def _update_predicted(
    predicted, column, share, first, end, weight, weight_column, features, x, old, before, width
):
    """predicted += a (new · f − old · f) of a row's cells, a being the model's share of each."""
    for c in range(first, end):
        other = np.int64(peek(column, c))
        s = weight * peek(weight_column, other) * peek(share, c)
        if s > 0:
            at = other * width
            new_product = _product(features, at, x, 0, width)
            old_product = _product(features, at, old, before, width)
            predicted[c] += s * (new_product - old_product)


@inlined
@no_type_check
def _add_cells(
    start,
    end,
    column,
    value,
    share,
    predicted,
    weight,
    weight_column,
    source,
    offset,
    old,
    before,
    joint,
    width,
    k,
    a,
    pack,
    x,
):
    """Add the cells of a row, from start to end, to its equations A x = b, b standing in x.

    Returns the sum of their weights, in a joint solve of their shares.
    """
    n = 0
    weights = np.float32(0)

    for c in range(start, end):
        other = np.int64(peek(column, c))
        w = weight * peek(weight_column, other)
        if not w > 0:
            continue

        at = other * width
        if joint:
            # What the model itself contributes is given back: it is to be explained anew.
            s = w * peek(share, c)
            own = s * _product(source, at, old, before, width)
            y = peek(value, c) - peek(predicted, c) + own
            weights += s
        else:
            # The square root of the weight on both sides weighs the squared error.
            s = np.float32(np.sqrt(w))
            y = s * (peek(value, c) - peek(offset, other))
            weights += w

        _pack_cell(pack, n, x, s, y, source, at, width)
        n += 1
        # Cells without weight are left out, so a pack fills at its own pace.
        if n == PACK:
            _add_products(a, width, k, pack, n)
            n = 0

    _add_products(a, width, k, pack, n)

    return weights


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def solve_rows(
    start,
    column,
    value,
    share,
    predicted,
    weight_row,
    weight_column,
    features,
    offset,
    factors,
    k,
    reg,
    joint,
    shares,
    scratch,
    singular,
):
    """Solve for factors[j], over row j's cells of weight w = weight_row[j] · weight_column above 0.

    A model alone minimizes

        Σ w (value − x · f − offset)² + λ ‖x‖²,        λ = reg[j] Σ w

    and, with a = w · share, one of joint models

        Σ (value − predicted + a (old · f) − a (x · f))² + λ ‖x‖²,        λ = reg[j] Σ a

    Args:
        start: the first cell of each row, and the number of cells.
        column: the column of each cell.
        value: of each cell.
        share: 1 / the sum of the cell's weights over all models.
        predicted: the mean of all models; a joint solve brings it up to date.
        weight_row: the weight of each row in this model.
        weight_column: the weight of each column.
        features: columns × width, f.
        offset: what each column adds; a joint solve has it in `predicted`.
        factors: rows × width, in place; rows without weight, or singular, keep theirs.
        k: numbers of a row's factors.
        reg: λ of each row for a weight of 1.
        joint: whether the model explains what the others leave over.
        shares: the first row of each share of a thread, and the number of rows.
        scratch: an array per share, for a matrix, a pack and two vectors.
        singular: becomes True for rows that 32 bits cannot solve.
    """
    width = features.shape[1]
    source = features.reshape(-1)
    flat = factors.reshape(-1)
    pack_end = width * (width + PACK)

    for t in prange(len(shares) - 1):
        a = scratch[t, : width * width]
        pack = scratch[t, width * width : pack_end]
        x = scratch[t, pack_end : pack_end + width]
        least = scratch[t, pack_end + width :]

        for j in range(shares[t], shares[t + 1]):
            a[:] = 0
            x[:] = 0
            weights = _add_cells(
                start[j],
                start[j + 1],
                column,
                value,
                share,
                predicted,
                weight_row[j],
                weight_column,
                source,
                offset,
                flat,
                j * width,
                joint,
                width,
                k,
                a,
                pack,
                x,
            )

            # A row out of the model's reach keeps its factors.
            if not weights > 0:
                continue

            for i in range(k):
                a[i * width + i] += reg[j] * weights
                # A pivot below a millionth of its diagonal has lost its digits.
                least[i] = np.float32(1e-6) * a[i * width + i]

            singular[j] = not factor(a, width, k, least)
            if singular[j]:
                continue

            clear_below(a, width, k)
            solve(a, width, k, x)
            # Before `factors` has the new row: the change is that from the old one.
            if joint:
                _update_predicted(
                    predicted,
                    column,
                    share,
                    start[j],
                    start[j + 1],
                    weight_row[j],
                    weight_column,
                    source,
                    x,
                    flat,
                    j * width,
                    width,
                )

            factors[j] = x
