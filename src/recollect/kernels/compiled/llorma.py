"""The loops of `kernels.llorma`, compiled by Numba. Arrays only, everything float32; no index is
checked.

Tables are models × rows × width, width a multiple of 16. A rating's weight in a local model is the
weight of its user times that of its item there.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.inlined import inlined
from recollect.kernels.compiled.sgd import random_state, shuffle
from recollect.kernels.compiled.simd import fma, load, splat, store, total, zero


@inlined
@no_type_check
def _product(f, at, x, to, width):
    """The inner product of two rows."""
    dot = zero()
    for lane in range(0, width, 16):
        dot = fma(load(f, at + lane), load(x, to + lane), dot)
    return total(dot)


@inlined
@no_type_check
def _step(u, x, v, y, width, move, keep_p, keep_q):
    """p and q become keep_p p + move q and keep_q q + move p."""
    move = splat(move)
    keep_p = splat(keep_p)
    keep_q = splat(keep_q)

    for lane in range(0, width, 16):
        # Both are loaded before either is stored: each step uses the other's old factors.
        p = load(u, x + lane)
        q = load(v, y + lane)
        kept_p = fma(keep_p, p, zero())
        kept_q = fma(keep_q, q, zero())
        store(u, x + lane, fma(move, q, kept_p))
        store(v, y + lane, fma(move, p, kept_q))


@inlined
@no_type_check
def _step_of_model(
    t,
    user_row,
    item_row,
    w,
    error,
    u,
    v,
    width,
    b_user,
    b_item,
    reg_user,
    reg_item,
    rate,
    offset_rate,
):
    """A step of one model's factors and offsets, w times as long as the rates say."""
    reg_of_user = reg_user[t, user_row]
    reg_of_item = reg_item[t, item_row]
    change_user = error - reg_of_user * b_user[t, user_row]
    change_item = error - reg_of_item * b_item[t, item_row]
    b_user[t, user_row] += offset_rate * w * change_user
    b_item[t, item_row] += offset_rate * w * change_item

    w *= rate
    # In tables of models × rows × width, taken as one array.
    x = (t * b_user.shape[1] + user_row) * width
    y = (t * b_item.shape[1] + item_row) * width
    # p += w (error q − λ p) is (1 − w λ) p + w error q: one multiplication, one fused addition.
    keep_p = np.float32(1 - w * reg_of_user)
    keep_q = np.float32(1 - w * reg_of_item)
    _step(u, x, v, y, width, w * error, keep_p, keep_q)


@njit(
    parallel=True,
    cache=True,
    nogil=True,
    boundscheck=False,
)
@no_type_check
def descend_alone(
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
    """Every local model takes a step on each rating, as long as the rating weighs; a model is one
    thread's. Returns the sum of weighted squared errors, each before its step, and of the weights.

    Args:
        user: row number of the user of each rating.
        item: row number of the item.
        value: what is to be predicted.
        weight_user: models × users, weights.
        weight_item: models × items, weights.
        scale: 1 / the mean weight of each model's ratings.
        U: models × users × width, factors.
        V: models × items × width, factors.
        b_user: models × users, offsets.
        b_item: models × items, offsets.
        reg_user: λ of each user for a rating of weight 1.
        reg_item: λ of each item for a rating of weight 1.
        rate: learning rate of factors.
        offset_rate: learning rate of offsets; 0: they stay as they are.
    """
    n_models = len(U)
    n = len(user)
    width = U.shape[2]
    u = U.reshape(-1)
    v = V.reshape(-1)
    errors = np.zeros(n_models)
    weights = np.zeros(n_models)

    for t in prange(n_models):
        for c in range(n):
            # Models begin at different ratings, so that they are not all biased to the same last
            # ones.
            j = c + t * n // n_models
            j = j - n if j >= n else j
            user_row = np.int64(user[j])
            item_row = np.int64(item[j])
            w = weight_user[t, user_row] * weight_item[t, item_row] * scale[t]
            # A model of compact support does not reach most ratings.
            if not w > 0:
                continue

            x = (t * b_user.shape[1] + user_row) * width
            y = (t * b_item.shape[1] + item_row) * width
            product = _product(u, x, v, y, width)
            error = value[j] - b_user[t, user_row] - b_item[t, item_row] - product
            errors[t] += np.float64(w) * error * error
            weights[t] += w
            _step_of_model(
                t,
                user_row,
                item_row,
                w,
                error,
                u,
                v,
                width,
                b_user,
                b_item,
                reg_user,
                reg_item,
                rate,
                offset_rate,
            )

    return errors.sum(), weights.sum()


@inlined
@no_type_check
def _weigh(user_row, item_row, weight_user, weight_item, u, v, width, b_user, b_item, weight):
    """Fill in the weight of a rating in each model; returns Σ w, Σ w² and Σ w r̂_t."""
    weights = np.float32(0)
    squares = np.float32(0)
    weighted = np.float32(0)

    for t in range(len(weight)):
        w = weight_user[t, user_row] * weight_item[t, item_row]
        weight[t] = w
        if w > 0:
            weights += w
            squares += w * w
            x = (t * b_user.shape[1] + user_row) * width
            y = (t * b_item.shape[1] + item_row) * width
            product = _product(u, x, v, y, width)
            weighted += w * (b_user[t, user_row] + b_item[t, item_row] + product)

    return weights, squares, weighted


@njit(
    parallel=True,
    cache=True,
    nogil=True,
    boundscheck=False,
)
@no_type_check
def descend_jointly(
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
    """All local models take a step together on each rating, on the error of their weighted mean.

    With a the models' shares, which sum to 1, a step is rate · a / Σ a²: it moves the mean as far
    as that of one model would move its own prediction. Returns the sum of squared errors, each
    before its step, and the number of ratings that a model reaches.

    Args:
        cells: the first rating of each cell, as in `compiled.sgd.descend`.
        user: row number of the user of each rating.
        item: row number of the item.
        value: what is to be predicted.
        weight_user: models × users, weights.
        weight_item: models × items, weights.
        U: models × users × width, factors.
        V: models × items × width, factors.
        b_user: models × users, offsets.
        b_item: models × items, offsets.
        reg_user: λ of each user for a rating of weight 1.
        reg_item: λ of each item for a rating of weight 1.
        rate: learning rate of factors.
        offset_rate: learning rate of offsets; 0: they stay as they are.
        seed: of the order within each cell.
        groups: of users and of items.
    """
    n_models = len(U)
    width = U.shape[2]
    u = U.reshape(-1)
    v = V.reshape(-1)
    errors = np.zeros(groups * groups)
    reached = np.zeros(groups * groups)

    for diagonal in range(groups):
        for g in prange(groups):
            # The cells of a diagonal share neither users nor items.
            cell = g * groups + (g + diagonal) % groups
            first = cells[cell]
            order = np.empty(cells[cell + 1] - first, np.int32)
            weight = np.empty(n_models, np.float32)
            shuffle(order, random_state(seed, cell + 1))

            for j in order:
                a = np.int64(user[first + j])
                b = np.int64(item[first + j])
                weights, squares, weighted = _weigh(
                    a, b, weight_user, weight_item, u, v, width, b_user, b_item, weight
                )

                # No model reaches the rating, and a mean over none is 0 / 0.
                if not weights > 0:
                    continue

                error = value[first + j] - weighted / weights
                errors[cell] += np.float64(error) * error
                reached[cell] += 1

                for t in range(n_models):
                    if weight[t] > 0:
                        # a / Σ a² with a = weight / weights
                        w = weight[t] * weights / squares
                        _step_of_model(
                            t,
                            a,
                            b,
                            w,
                            error,
                            u,
                            v,
                            width,
                            b_user,
                            b_item,
                            reg_user,
                            reg_item,
                            rate,
                            offset_rate,
                        )

    return errors.sum(), reached.sum()
