"""Stochastic gradient descent on factors: the compiled loops beside the step in plain NumPy."""

import copy

import numpy as np
import pytest
import torch
from tests.visiting_order import visiting_order

from recollect.kernels.reference import sgd as reference
from recollect.kernels.sgd import GROUPS, FactorArrays, balanced_groups


def random_arrays(n_users=90, n_items=70, n_ratings=2000, factors=5, seed=0):
    random = np.random.default_rng(seed)
    pair = random.choice(n_users * n_items, n_ratings, replace=False)
    user, item = np.divmod(pair, n_items)
    arrays = FactorArrays(
        user.astype(np.int32),
        item.astype(np.int32),
        random.normal(size=n_ratings).astype(np.float32),
        n_users=n_users,
        n_items=n_items,
        factors=factors,
    )
    arrays.p[:, :factors] = random.normal(size=(n_users, factors))
    arrays.q[:, :factors] = random.normal(size=(n_items, factors))
    return arrays


def descend(arrays, *, rate=0.01, seed=1, offsets=True, reg=0.1):
    return arrays.descend(
        reg_user=np.full(len(arrays.p), reg, np.float32),
        reg_item=np.full(len(arrays.q), reg, np.float32),
        rate=rate,
        seed=seed,
        offsets=offsets,
    )


def test_one_rating_by_hand():
    """error = 3 − 2 · 1 = 1: p = 2 + 0.1 (1 · 1 − 0.5 · 2) = 2, q = 1 + 0.1 (1 · 2 − 0.5 · 1) =
    1.15, each offset 0.1.
    """
    zero = np.array([0], np.int32)
    value = np.array([3.0], np.float32)
    arrays = FactorArrays(zero, zero, value, n_users=1, n_items=1, factors=1)
    arrays.p[0, 0] = 2
    arrays.q[0, 0] = 1
    assert descend(arrays, rate=0.1, reg=0.5) == 1
    learned = [arrays.p[0, 0], arrays.q[0, 0], arrays.b_user[0], arrays.b_item[0]]
    np.testing.assert_allclose(learned, [2, 1.15, 0.1, 0.1], rtol=1e-6)


def test_a_pass_is_the_steps_of_the_paper_in_the_same_order():
    arrays = random_arrays()
    expected = copy.deepcopy(arrays)
    order = visiting_order(arrays, seed=1)
    np.testing.assert_array_equal(np.sort(order), np.arange(2000))  # every rating once

    squares = descend(arrays, rate=0.02, seed=1, reg=0.1)

    by_numpy = reference.descend(expected, order, rate=0.02, reg_user=0.1, reg_item=0.1)
    assert squares == pytest.approx(by_numpy, rel=1e-4)
    for name in ("p", "q", "b_user", "b_item"):
        np.testing.assert_allclose(getattr(arrays, name), getattr(expected, name), atol=1e-4)


def test_steps_lower_the_error():
    arrays = random_arrays()
    errors = [descend(arrays, rate=0.02, seed=epoch) for epoch in range(30)]
    assert errors[-1] < 0.3 * errors[0]


def test_without_offsets_they_stay_zero():
    arrays = random_arrays()
    descend(arrays, offsets=False)
    assert not arrays.b_user.any()
    assert not arrays.b_item.any()


def test_columns_that_were_added_stay_zero():
    arrays = random_arrays(factors=5)
    descend(arrays)
    assert arrays.p.shape[1] == 16
    assert not arrays.p[:, 5:].any()


def test_threads_change_nothing_to_the_bit():
    before = torch.get_num_threads()
    learned = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            arrays = random_arrays()
            descend(arrays)
            learned.append(arrays.p)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*learned)


def test_the_order_of_the_ratings_does_not_matter():
    start = random_arrays()
    learned = []
    for order in (slice(None), slice(None, None, -1)):
        ratings = (start.user[order], start.item[order], start.value[order])
        arrays = FactorArrays(*ratings, n_users=90, n_items=70, factors=5)
        arrays.p[:] = start.p
        arrays.q[:] = start.q
        descend(arrays)
        learned.append(arrays.p)
    np.testing.assert_array_equal(*learned)


def test_groups_have_about_as_many_ratings():
    row = np.random.default_rng(0).zipf(1.7, 20_000) % 500
    load = np.bincount(balanced_groups(row.astype(np.int32), 500)[row], minlength=GROUPS)
    assert load.max() <= max(np.bincount(row).max(), 1.1 * load.mean())
