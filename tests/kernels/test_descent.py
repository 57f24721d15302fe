"""Stochastic gradient descent on factors: a step by hand, every rating once, and the same numbers whatever the threads."""

import numpy as np
import torch

from recollect.kernels.sgd import GROUPS, Cells, _groups


def made(n_users=90, n_items=70, n=2000, factors=5, seed=0):
    random = np.random.default_rng(seed)
    pair = random.choice(n_users * n_items, n, replace=False)
    user, item = (x.astype(np.int32) for x in np.divmod(pair, n_items))
    value = random.normal(size=n).astype(np.float32)
    cells = Cells(user, item, value, n_users=n_users, n_items=n_items, factors=factors)
    cells.user[:, :factors], cells.item[:, :factors] = (
        random.normal(size=(rows, factors)) for rows in (n_users, n_items)
    )
    return cells


def descend(cells, *, rate=0.01, seed=1, offsets=True, reg=0.1):
    return cells.descend(
        reg_user=np.full(len(cells.user), reg, np.float32),
        reg_item=np.full(len(cells.item), reg, np.float32),
        rate=rate,
        seed=seed,
        offsets=offsets,
    )


def test_one_rating_by_hand():
    """error = 3 − 2 · 1 = 1: u = 2 + 0.1 (1 · 1 − 0.5 · 2) = 2, v = 1 + 0.1 (1 · 2 − 0.5 · 1) = 1.15, each offset 0.1."""
    cells = Cells(
        np.array([0], np.int32),
        np.array([0], np.int32),
        np.array([3.0], np.float32),
        n_users=1,
        n_items=1,
        factors=1,
    )
    cells.user[0, 0], cells.item[0, 0] = 2, 1
    assert descend(cells, rate=0.1, reg=0.5) == 1
    found = cells.user[0, 0], cells.item[0, 0], cells.b_user[0], cells.b_item[0]
    np.testing.assert_allclose(found, [2, 1.15, 0.1, 0.1], rtol=1e-6)


def test_without_a_step_the_errors_are_those_of_every_rating_once():
    cells = made()
    expected = cells._value - (cells.user[cells._user] * cells.item[cells._item]).sum(axis=1)
    np.testing.assert_allclose(
        descend(cells, rate=0.0), (expected.astype(float) ** 2).sum(), rtol=1e-4
    )


def test_steps_lower_the_error():
    cells = made()
    errors = [descend(cells, rate=0.02, seed=j) for j in range(30)]
    assert errors[-1] < 0.3 * errors[0]


def test_without_offsets_there_are_none():
    cells = made()
    descend(cells, offsets=False)
    assert not cells.b_user.any()
    assert not cells.b_item.any()


def test_columns_that_were_added_stay_zero():
    cells = made(factors=5)
    descend(cells)
    assert cells.user.shape[1] == 16
    assert not cells.user[:, 5:].any()


def test_threads_change_nothing_to_the_bit():
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            cells = made()
            descend(cells)
            found.append(cells.user)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_the_order_of_the_ratings_does_not_matter():
    first, found = made(), []
    for order in (slice(None), slice(None, None, -1)):
        cells = Cells(
            first._user[order],
            first._item[order],
            first._value[order],
            n_users=90,
            n_items=70,
            factors=5,
        )
        cells.user[:], cells.item[:] = first.user, first.item
        descend(cells)
        found.append(cells.user)
    np.testing.assert_array_equal(*found)


def test_groups_have_about_as_many_ratings():
    row = np.random.default_rng(0).zipf(1.7, 20_000) % 500
    load = np.bincount(_groups(row, 500)[row], minlength=GROUPS)
    assert load.max() <= max(np.bincount(row).max(), 1.1 * load.mean())
