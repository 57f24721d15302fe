"""Gibbs sampling of factors: draws of rows given all that they are combined with, and of bags of
vectors.

A rating combines a row of each of three tables a, b and c, whose last number is an offset. It is
the sum of the offsets and of the products of the factors, two by two:

    r = a_k + b_k + c_k + Σ_f (a_f b_f + a_f c_f + b_f c_f),        f = 1 … k − 1

`recollect.kernels.reference.gibbs` states each operation in plain NumPy. The numbers do not depend
on the number of threads: a row is drawn by one thread, and randomness comes in as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, Int64

from recollect.kernels.compiled import gibbs, ridge
from recollect.kernels.compiled.threads import (
    SHARES_PER_THREAD,
    equal_shares,
    one_at_a_time,
    work_of_solving,
)
from recollect.kernels.reference import gibbs as reference

Table = Float32[np.ndarray, "_ width"]
TABLE_LANES = 32  # a table's width is a multiple of this: two vectors of `compiled.simd` at a time
BAG_LANES = 16  # the same for the vectors in bags, one vector at a time


def table(n: int, k: int) -> Float32[np.ndarray, "n width"]:
    """A table of zeros for n rows of k numbers, its width rounded up to what the loops take."""
    width = _rounded_up(k, TABLE_LANES)
    return np.zeros((n, width), np.float32)


@dataclass(
    frozen=True,
    kw_only=True,
    eq=False,
)
class RowRatings:
    """The ratings of the rows to be drawn, and which rows of two other tables each of them
    combines a row with."""

    start: Int64[np.ndarray, " rows_and_one"]  # where each row's cells begin
    left: Int[np.ndarray, " cells"]  # a row of the first of the two other tables
    right: Int[np.ndarray, " cells"]  # a row of the second one
    value: Float32[np.ndarray, " cells"]


def draw(
    given: RowRatings,
    lefts: Table,
    rights: Table,
    *,
    base: Float[np.ndarray, "k k"],
    pull: Float[np.ndarray, "rows k"],
    noise: Float[np.ndarray, "rows k"],
) -> Float32[np.ndarray, "rows width"]:
    """A table of draws, a row each from its posterior given the two other tables:

        x ~ N(A⁻¹ b, σ² A⁻¹),        A = base + Σ f fᵀ,        b = pull + Σ y f

    summed over the row's cells. f are the cell's factors of `lefts` and `rights`, added, and 1 for
    the offset; y is the cell's value without what these two contribute alone.

    Args:
        given: the ratings of each row.
        lefts: the table that `given.left` points into.
        rights: the table that `given.right` points into.
        base: the prior precision times σ².
        pull: the prior precision times σ² times the prior mean of each row.
        noise: standard normal numbers times σ; zeros give the posterior means.
    """
    k = len(base)
    n_rows = len(given.start) - 1
    width = lefts.shape[1]
    drawn = np.empty((n_rows, width), np.float32)
    singular = np.zeros(n_rows, np.bool_)
    square = np.zeros((width, width), np.float32)
    square[:k, :k] = base

    with one_at_a_time() as n_threads:
        work = work_of_solving(given.start, k)
        shares = equal_shares(work, SHARES_PER_THREAD * n_threads)
        scratch = ridge.make_scratch(len(shares) - 1, width)
        gibbs.draw(
            given.start,
            given.left,
            given.right,
            given.value,
            lefts,
            rights,
            square.reshape(-1),
            _padded(pull, width),
            _padded(noise, width),
            k,
            shares,
            scratch,
            drawn,
            singular,
        )

    # Equations too close to singular for 32 bits are solved in 64.
    for row in np.flatnonzero(singular):
        of_row = slice(given.start[row], given.start[row + 1])
        drawn[row, :k] = reference.draw_row(
            lefts[given.left[of_row], :k],
            rights[given.right[of_row], :k],
            given.value[of_row],
            base=base,
            pull=pull[row],
            noise=noise[row],
        )

    # The loops compute on whole vectors; what they leave in columns that only pad does not count.
    drawn[:, k:] = 0

    return drawn


def ratings(
    rows: Sequence[Int[np.ndarray, " pairs"]], tables: Sequence[Table], k: int
) -> Float32[np.ndarray, " pairs"]:
    """The rating that each triple of rows gives.

    Args:
        rows: three arrays of row numbers, one for each table.
        tables: the three tables.
        k: numbers of a row that count: factors, and the offset last.
    """
    out = np.empty(len(rows[0]), np.float32)
    # Every pair is the same work.
    work = np.arange(len(out) + 1)

    with one_at_a_time() as n_threads:
        shares = equal_shares(work, SHARES_PER_THREAD * n_threads)
        gibbs.ratings(*rows, *tables, k, shares, out)

    return out


def draw_bag(
    start: Int64[np.ndarray, " rows_and_one"],
    holder: Int[np.ndarray, " cells"],
    weight: Float32[np.ndarray, " holders"],
    Y: Float[np.ndarray, "rows k"],
    residual: Float[np.ndarray, "holders k"],
    *,
    precision: Float[np.ndarray, " k"],
    pull: Float[np.ndarray, " k"],
    noise: Float[np.ndarray, "rows k"],
) -> tuple[Float32[np.ndarray, "rows k"], Float32[np.ndarray, "holders k"]]:
    """Y after a draw of each of its rows given the others, and the holders' residuals after it.

    A bag is the sum of the rows of Y that a holder holds, times the holder's weight. Its target is
    N(bag, I), columns are independent, and the prior of a row of Y is N(pull / precision, 1 /
    precision).

    Args:
        start: where the holders of each row of Y begin.
        holder: who holds it.
        weight: of each holder.
        Y: the vectors before.
        residual: each holder's target without its bag, before.
        precision: of the prior, for each column.
        pull: the prior's precision times its mean, for each column.
        noise: standard normal numbers.
    """
    k = Y.shape[1]
    width = _rounded_up(k, BAG_LANES)
    wide_Y = _padded(Y, width)
    wide_residual = _padded(residual, width)
    n_rows = len(start) - 1
    row = np.repeat(np.arange(n_rows), np.diff(start))
    # Added up in 64 bits: a frequent vector has many holders.
    squares = weight[holder].astype(np.float64) ** 2
    square = np.bincount(row, weights=squares, minlength=len(Y)).astype(np.float32)
    # Columns that only pad have a prior of precision 1, so that nothing is divided by 0.
    wide_precision = np.concatenate([precision, np.ones(width - k)]).astype(np.float32)

    with one_at_a_time():
        gibbs.bag(
            start,
            holder,
            weight,
            wide_Y,
            wide_residual,
            square,
            wide_precision,
            _padded(pull[None], width)[0],
            _padded(noise, width),
        )

    return wide_Y[:, :k], wide_residual[:, :k]


def _rounded_up(k: int, lanes: int) -> int:
    """The smallest multiple of `lanes` that is not less than k."""
    return -(-k // lanes) * lanes


def _padded(x: Float[np.ndarray, "rows k"], width: int) -> Float32[np.ndarray, "rows width"]:
    """A new array in 32 bits, zeros added to make so many columns."""
    out = np.zeros((len(x), width), np.float32)
    out[:, : x.shape[1]] = x
    return out
