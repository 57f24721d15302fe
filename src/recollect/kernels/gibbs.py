"""Draws of Gibbs sampling: a row's vector given all that its cells are joined with, and what lies in bags given what they hold.

A rating joins a row of each of three tables. It is the sum of their offsets and of the products of their factors, two by two:
a_k + b_k + c_k + a·b + (a + b)·c, k being the last column. Numbers do not depend on the number of threads: those of a row are
made by one, and chance comes in as arrays.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64

from recollect.kernels.backends import cpu
from recollect.kernels.compiled import gibbs, ridge

Table = Float32[np.ndarray, "_ width"]


def table(n: int, k: int) -> np.ndarray:
    """A table of zeros for n rows of k numbers; a multiple of 32 columns."""
    return np.zeros((n, -(-k // 32) * 32), np.float32)


def draw(
    start: Int64[np.ndarray, " rows_and_one"],
    left: Int[np.ndarray, " cells"],
    right: Int[np.ndarray, " cells"],
    value: Float32[np.ndarray, " cells"],
    lefts: Table,
    rights: Table,
    *,
    base: Float[np.ndarray, "k k"],
    pull: Float[np.ndarray, "rows k"],
    noise: Float[np.ndarray, "rows k"],
) -> Float32[np.ndarray, "rows width"]:
    """A table of draws, each from N(x, A⁻¹ · variance): A = base + Σ f fᵀ and A x = pull + Σ y f over the row's cells. `noise` is
    √variance times N(0, I); 0 gives the means.

    A cell's f are the factors of its rows of `lefts` and `rights`, added, and 1; its y is what these two leave of its value.
    """
    k, rows, width = len(base), len(start) - 1, lefts.shape[1]
    out, bad, square = (
        np.empty((rows, width), np.float32),
        np.zeros(rows, np.bool_),
        np.zeros((width, width), np.float32),
    )
    square[:k, :k] = base
    with cpu.one_at_a_time:
        shares = _shares(
            start + np.arange(len(start)) * np.int64(k // 3 + 1)
        )  # cells, and what factoring costs
        rooms = np.zeros((len(shares) - 1, width * (width + ridge.PACK + 2)), np.float32)
        gibbs.draw(
            start,
            left,
            right,
            value,
            lefts,
            rights,
            square.reshape(-1),
            _padded(pull, width),
            _padded(noise, width),
            k,
            shares,
            rooms,
            out,
            bad,
        )
    for j in np.flatnonzero(bad):
        cells = slice(start[j], start[j + 1])
        out[j, :k] = _in_64_bits(
            lefts[left[cells], :k], rights[right[cells], :k], value[cells], base, pull[j], noise[j]
        )
    out[:, k:] = 0
    return out


def _in_64_bits(
    left: np.ndarray,
    right: np.ndarray,
    value: np.ndarray,
    base: np.ndarray,
    pull: np.ndarray,
    noise: np.ndarray,
) -> np.ndarray:
    """The same for one row whose equations are too close to singular for 32 bits."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    f = np.concatenate([left[:, :-1] + right[:, :-1], np.ones((len(left), 1))], axis=1)
    y = value - left[:, -1] - right[:, -1] - (left[:, :-1] * right[:, :-1]).sum(axis=1)
    lower = np.linalg.cholesky(base + f.T @ f)
    half = np.linalg.solve(lower, pull + y @ f)
    return np.linalg.solve(lower.T, half + noise)


def ratings(
    rows: tuple[Int[np.ndarray, " pairs"], ...], tables: tuple[Table, ...], k: int
) -> Float32[np.ndarray, " pairs"]:
    """What each triple of rows of three tables comes to."""
    out = np.empty(len(rows[0]), np.float32)
    with cpu.one_at_a_time:
        gibbs.ratings(*rows, *tables, k, _shares(np.arange(len(out) + 1)), out)
    return out


def draw_bag(
    start: Int64[np.ndarray, " rows_and_one"],
    holder: Int[np.ndarray, " cells"],
    weight: Float32[np.ndarray, " holders"],
    Y: Float[np.ndarray, "rows k"],
    left: Float[np.ndarray, "holders k"],
    *,
    precision: Float[np.ndarray, " k"],
    pull: Float[np.ndarray, " k"],
    noise: Float[np.ndarray, "rows k"],
) -> tuple[Float32[np.ndarray, "rows k"], Float32[np.ndarray, "holders k"]]:
    """Y after a draw of each of its rows given the others, and what the bags then leave over of the holders.

    Row j lies in the bags of holders holder[start[j]:start[j + 1]], which weigh what they hold; `left` + bags is what the holders
    are: N(bag, I). Columns are independent; the prior of Y is N(pull / precision, 1 / precision).
    """
    k = Y.shape[1]
    width = -(-k // 16) * 16
    Y, left, noise = (_padded(x, width) for x in (Y, left, noise))
    row = np.repeat(np.arange(len(start) - 1), np.diff(start))
    square = np.bincount(
        row, weights=weight[holder].astype(np.float64) ** 2, minlength=len(Y)
    ).astype(np.float32)
    precision = np.concatenate([precision, np.ones(width - k)]).astype(np.float32)
    with cpu.one_at_a_time:
        gibbs.bag(
            start, holder, weight, Y, left, square, precision, _padded(pull[None], width)[0], noise
        )
    return Y[:, :k], left[:, :k]


def _shares(work: np.ndarray) -> np.ndarray:
    """Where to cut the rows into parts of about equal work, eight for each thread; sets the number of threads."""
    threads = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    numba.set_num_threads(threads)
    shares = np.searchsorted(work, np.linspace(0, work[-1], 8 * threads + 1))
    shares[0], shares[-1] = 0, len(work) - 1
    return shares


def _padded(x: np.ndarray, width: int) -> np.ndarray:
    """A new array in 32 bits, zeros added to make so many columns."""
    out = np.zeros((len(x), width), np.float32)
    out[:, : x.shape[1]] = x
    return out
