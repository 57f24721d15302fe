"""The loops of `llorma`, compiled by Numba. Arrays only, everything float32; no index is checked.

Tables are models × rows × width, width a multiple of 16. A rating's weight in a local model is the product of the weights of its
user and its item there.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.ridge import PACK, _add_products, _clear_below, _factor, _solve
from recollect.kernels.compiled.sgd import shuffle
from recollect.kernels.compiled.simd import fma, load, peek, splat, store, total, zero


@njit
@no_type_check
def _times(f, at, x, to, width):
    """The product of two rows."""
    dot = zero()
    for lane in range(0, width, 16):
        dot = fma(load(f, at + lane), load(x, to + lane), dot)
    return total(dot)


@njit
@no_type_check
def _step(u, x, v, y, width, move, keep_p, keep_q):
    """p and q become keep_p p + move q and keep_q q + move p."""
    move, keep_p, keep_q = splat(move), splat(keep_p), splat(keep_q)
    for lane in range(0, width, 16):
        p, q = load(u, x + lane), load(v, y + lane)
        store(u, x + lane, fma(move, q, fma(keep_p, p, zero())))
        store(v, y + lane, fma(move, p, fma(keep_q, q, zero())))


@njit(parallel=True, cache=True, nogil=True, boundscheck=False)
@no_type_check
def alone(
    user,
    item,
    value,
    weight_user,
    weight_item,
    scale,
    U,
    V,
    b_user,
    b_item,
    reg_user,
    reg_item,
    rate,
    offset_rate,
):
    """Every local model takes a step on each rating, rate times the rating's weight; a model is one thread's.

    The sum over models of weighted squared errors, each before its step, and that of the weights.
    """
    models, n, width = len(U), len(user), U.shape[2]
    errors, weights = np.zeros(models), np.zeros(models)
    for t in prange(models):
        u, v = U[t].reshape(-1), V[t].reshape(-1)
        for c in range(n):
            j = c + t * n // models  # no two models begin with the same ratings
            j = j - n if j >= n else j
            a, b = np.int64(user[j]), np.int64(item[j])
            w = weight_user[t, a] * weight_item[t, b] * scale[t]
            if not w > 0:
                continue
            x, y = a * width, b * width
            error = value[j] - b_user[t, a] - b_item[t, b] - _times(u, x, v, y, width)
            errors[t] += np.float64(w) * error * error
            weights[t] += w
            b_user[t, a] += offset_rate * w * (error - reg_user[t, a] * b_user[t, a])
            b_item[t, b] += offset_rate * w * (error - reg_item[t, b] * b_item[t, b])
            w *= rate
            _step(
                u,
                x,
                v,
                y,
                width,
                w * error,
                np.float32(1 - w * reg_user[t, a]),
                np.float32(1 - w * reg_item[t, b]),
            )
    return errors.sum(), weights.sum()


@njit(parallel=True, cache=True, nogil=True, boundscheck=False)
@no_type_check
def joint(
    cells,
    user,
    item,
    value,
    weight_user,
    weight_item,
    U,
    V,
    b_user,
    b_item,
    reg_user,
    reg_item,
    rate,
    offset_rate,
    seed,
    groups,
):
    """On each rating all local models take a step together, on the error of their weighted mean.

    `cells` are those of `descent_loops.descend`. With a the models' shares, which sum to 1, a step is rate · a / Σ a²: it moves
    the mean as far as that of one model would move its own prediction. The sum of squared errors, each before its step, and how
    many there were: a rating that no model reaches has none.
    """
    models, width = len(U), U.shape[2]
    n_users, n_items, u, v = U.shape[1], V.shape[1], U.reshape(-1), V.reshape(-1)
    errors, seen = np.zeros(groups * groups), np.zeros(groups * groups)
    for diagonal in range(groups):
        for g in prange(groups):
            cell = g * groups + (g + diagonal) % groups
            first, n = cells[cell], cells[cell + 1] - cells[cell]
            order, share = np.empty(n, np.int32), np.empty(models, np.float32)
            shuffle(
                order,
                (np.uint64(seed) + np.uint64(cell + 1)) * np.uint64(0x9E3779B97F4A7C15)
                | np.uint64(1),
            )
            for j in order:
                a, b = np.int64(user[first + j]), np.int64(item[first + j])
                sum_, square, said = np.float32(0), np.float32(0), np.float32(0)
                for t in range(models):
                    w = share[t] = weight_user[t, a] * weight_item[t, b]
                    if w > 0:
                        sum_ += w
                        square += w * w
                        said += w * (
                            b_user[t, a]
                            + b_item[t, b]
                            + _times(
                                u, (t * n_users + a) * width, v, (t * n_items + b) * width, width
                            )
                        )
                if not sum_ > 0:
                    continue
                error = value[first + j] - said / sum_
                errors[cell] += np.float64(error) * error
                seen[cell] += 1
                for t in range(models):
                    if share[t] > 0:
                        w = share[t] * sum_ / square
                        b_user[t, a] += offset_rate * w * (error - reg_user[t, a] * b_user[t, a])
                        b_item[t, b] += offset_rate * w * (error - reg_item[t, b] * b_item[t, b])
                        w *= rate
                        _step(
                            u,
                            (t * n_users + a) * width,
                            v,
                            (t * n_items + b) * width,
                            width,
                            w * error,
                            np.float32(1 - w * reg_user[t, a]),
                            np.float32(1 - w * reg_item[t, b]),
                        )
    return errors.sum(), seen.sum()


@njit(parallel=True, cache=True, nogil=True)
@no_type_check
def turn(
    start,
    column,
    value,
    share,
    said,
    weight_row,
    weight_column,
    features,
    offset,
    factors,
    k,
    reg,
    together,
    shares,
    rooms,
    bad,
):
    """factors[j] minimizes, over row j's cells of weight w = weight_row[j] · weight_column[column] above 0,

        Σ w (value − x · f − offset)² + λ ‖x‖², λ = reg[j] Σ w                     each model alone
        Σ (value − said + a (old · f) − a (x · f))² + λ ‖x‖², λ = reg[j] Σ a       together: what the others leave over

    a being w · share; `said`, what all models say together, is then told of the new x. Rooms are those of `ridge_loops`; a row
    that 32 bits cannot solve is left as it was, and is `bad`.
    """
    width = features.shape[1]
    source, flat = features.reshape(-1), factors.reshape(-1)
    for t in prange(len(shares) - 1):
        a, pack = rooms[t, : width * width], rooms[t, width * width : width * (width + PACK)]
        x, least = (
            rooms[t, width * (width + PACK) : width * (width + PACK + 1)],
            rooms[t, width * (width + PACK + 1) :],
        )
        for j in range(shares[t], shares[t + 1]):
            a[:] = 0
            x[:] = 0
            n, sum_ = 0, np.float32(0)
            for c in range(start[j], start[j + 1]):
                other = np.int64(peek(column, c))
                w = weight_row[j] * peek(weight_column, other)
                if not w > 0:
                    continue
                at = other * width
                if together:
                    s = w * peek(share, c)
                    y = (
                        peek(value, c)
                        - peek(said, c)
                        + s * _times(source, at, flat, j * width, width)
                    )
                    sum_ += s
                else:
                    s = np.float32(np.sqrt(w))
                    y = s * (peek(value, c) - peek(offset, other))
                    sum_ += w
                for lane in range(0, width, 16):
                    f = fma(splat(s), load(source, at + lane), zero())
                    store(pack, n * width + lane, f)
                    store(x, lane, fma(splat(y), f, load(x, lane)))
                n += 1
                if n == PACK:
                    _add_products(a, width, k, pack, n)
                    n = 0
            if not sum_ > 0:
                continue
            _add_products(a, width, k, pack, n)
            for i in range(k):
                a[i * width + i] += reg[j] * sum_
                least[i] = np.float32(1e-6) * a[i * width + i]
            bad[j] = not _factor(a, width, k, least)
            if bad[j]:
                continue
            _clear_below(a, width, k)
            _solve(a, width, k, x)
            if together:
                for c in range(start[j], start[j + 1]):
                    other = np.int64(peek(column, c))
                    s = weight_row[j] * peek(weight_column, other) * peek(share, c)
                    if s > 0:
                        at = other * width
                        said[c] += s * (
                            _times(source, at, x, 0, width)
                            - _times(source, at, flat, j * width, width)
                        )
            factors[j] = x
