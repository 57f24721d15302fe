"""SVD++ by descent: steps by hand and in plain NumPy, as the papers write them."""

import numpy as np
import pytest
import torch

from recollect.kernels.svdpp import StepSizes, SVDppArrays, TimeSlots

STEP, REG = 0.05, 0.2  # of what changes with time, in the tests


def made(start, item, value, *, factors=3, n_items=6, rate=0.05, reg=0.1, time=None, seed=0):
    n_users, item = len(start) - 1, np.array(item, np.int32)
    steps = StepSizes(
        rate=rate,
        reg_user=np.full(n_users, reg, np.float32),
        reg_item=np.full(n_items, reg, np.float32),
        reg_y=reg / 2,
        reg_offset=reg / 4,
    )
    visits = SVDppArrays(
        np.array(start, np.int64),
        item,
        np.array(value, np.float32),
        n_items=n_items,
        factors=factors,
        steps=steps,
        time=time,
    )
    random = np.random.default_rng(seed)
    for name in ("own", "item", "implied", *(("drift", "day") if time else ())):
        array = getattr(visits, name)
        array[:, :factors] = random.normal(size=(len(array), factors))
    return visits


def moments(slots, ratings_slot, *, step=STEP, reg=REG, day_factors=True):
    return TimeSlots(
        slot=np.array(ratings_slot, np.int32),
        drift=np.linspace(-1, 2, slots).astype(np.float32),
        bin=np.arange(slots, dtype=np.int32) % 2,
        level=np.arange(slots, dtype=np.int32) // 2 % 2,
        n_bins=2,
        n_levels=2,
        steps=np.full((8, 2), (step, reg), np.float32),
        day_factors=day_factors,
    )


def everything(n_users=30, n_items=20, n=300, seed=0):
    pair = np.sort(np.random.default_rng(seed).choice(n_users * n_items, n, replace=False))
    user, item = np.divmod(pair, n_items)
    start = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))])
    return start, item, np.random.default_rng(seed + 1).normal(size=n)


def test_one_rating_by_hand():
    """N(u) = {0}: taste = p + y = 3, error = 4 − 1 · 3 = 1, step 0.1 without λ: p 1.1, y 2.1, q 1.3, offsets 0.1."""
    visits = made([0, 1], [0], [4.0], factors=1, n_items=1, rate=0.1, reg=0.0)
    visits.own[0, 0], visits.item[0, 0], visits.implied[0, 0] = 1, 1, 2
    assert visits.descend(shrink=1.0, seed=0) == 1
    found = (
        visits.own[0, 0],
        visits.implied[0, 0],
        visits.item[0, 0],
        visits.b_user[0],
        visits.b_item[0],
    )
    np.testing.assert_allclose(found, [1.1, 2.1, 1.3, 0.1, 0.1], rtol=1e-6)


def test_the_steps_are_the_papers_though_y_is_written_once():
    """A user with two ratings, whatever their order: each step of Koren 2008, section 4, in NumPy, on every y_j at once."""
    visits = made([0, 2], [0, 3], [1.0, -2.0])
    orders = []
    for order in ((0, 1), (1, 0)):
        p, q, y = visits.own[0, :3].copy(), visits.item[:, :3].copy(), visits.implied[:, :3].copy()
        b_user, b_item, n = 0.0, np.zeros(6), [0, 3]
        for j in order:
            i, r = n[j], (1.0, -2.0)[j]
            taste = p + y[n].sum(axis=0) / np.sqrt(2)
            e = r - b_user - b_item[i] - q[i] @ taste
            b_user, b_item[i] = (
                b_user + 0.05 * (e - 0.025 * b_user),
                b_item[i] + 0.05 * (e - 0.025 * b_item[i]),
            )
            old = q[i].copy()
            q[i] += 0.05 * (e * taste - 0.1 * q[i])
            p = p + 0.05 * (e * old - 0.1 * p)
            y[n] += 0.05 * (e / np.sqrt(2) * old - 0.05 * y[n])
        orders.append((p, q, y))
    visits.descend(shrink=1.0, seed=0)
    found = visits.own[0, :3], visits.item[:, :3], visits.implied[:, :3]
    assert any(
        all(np.allclose(a, b, atol=1e-6) for a, b in zip(found, expected, strict=True))
        for expected in orders
    )


def test_tastes_are_own_factors_and_the_scaled_sum_of_what_was_rated():
    visits = made([0, 2, 2, 3], [0, 3, 5], [1, 2, 3])
    expected = visits.own.copy()
    expected[0] += (visits.implied[0] + visits.implied[3]) / np.sqrt(2)
    expected[2] += visits.implied[5]
    np.testing.assert_allclose(visits.tastes(), expected, rtol=1e-5)


def test_without_a_step_the_errors_are_those_of_every_rating_once():
    start, item, value = everything()
    visits = made(start, item, value, n_items=20, rate=0.0)
    user = np.repeat(np.arange(30), np.diff(start))
    errors = value - (visits.tastes()[user] * visits.item[item]).sum(axis=1)
    assert visits.descend(shrink=1.0, seed=0) == pytest.approx((errors**2).sum(), rel=1e-4)


def test_a_step_with_time_by_hand():
    """Koren 2009, equations 10 to 14, one rating: every parameter from the same error."""
    visits = made([0, 1], [2], [2.5], factors=3, time=moments(2, [1]))
    visits.b_user[0], visits.b_item[2], visits.slope[0], visits.b_day[1], visits.b_bin[2, 1] = (
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
    )
    visits.scale[0], visits.scale_day[1], visits.b_often[2, 0] = 0.9, 0.2, 0.6
    p, q, y, a, d = (
        x.copy()[:, :3] for x in (visits.own, visits.item, visits.implied, visits.drift, visits.day)
    )
    t, b, c = 2.0, 0.2 + 0.5, 0.9 + 0.2
    taste = p[0] + y[2] + t * a[0] + d[1]
    e = 2.5 - (0.1 + 0.3 * t + 0.4) - b * c - 0.6 - q[2] @ taste
    assert visits.descend(shrink=1.0, seed=0) == pytest.approx(e**2, rel=1e-5)
    expected = {
        "b_user": 0.1 + 0.05 * (e - 0.025 * 0.1),
        "slope": 0.3 + STEP * (e * t - REG * 0.3),
        "b_day": 0.4 + STEP * (e - REG * 0.4),
        "b_item": 0.2 + 0.05 * (e * c - 0.025 * 0.2),
        "b_bin": 0.5 + STEP * (e * c - REG * 0.5),
        "scale": 0.9 + STEP * (e * b - REG * (0.9 - 1)),
        "scale_day": 0.2 + STEP * (e * b - REG * 0.2),
        "b_often": 0.6 + STEP * (e - REG * 0.6),
    }
    at = {
        "b_user": 0,
        "slope": 0,
        "b_day": 1,
        "b_item": 2,
        "b_bin": (2, 1),
        "scale": 0,
        "scale_day": 1,
        "b_often": (2, 0),
    }
    found = {name: getattr(visits, name)[where] for name, where in at.items()}
    assert found == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(
        visits.drift[0, :3], a[0] + STEP * (e * t * q[2] - REG * a[0]), rtol=1e-4
    )
    np.testing.assert_allclose(visits.day[1, :3], d[1] + STEP * (e * q[2] - REG * d[1]), rtol=1e-4)
    np.testing.assert_allclose(visits.own[0, :3], p[0] + 0.05 * (e * q[2] - 0.1 * p[0]), rtol=1e-4)
    np.testing.assert_allclose(
        visits.item[2, :3], q[2] + 0.05 * (e * taste - 0.1 * q[2]), rtol=1e-4
    )


def test_without_steps_in_time_it_is_the_static_model():
    start, item, value = everything()
    slot = np.repeat(np.arange(30), np.diff(start))
    static = made(start, item, value, n_items=20)
    timed = made(
        start, item, value, n_items=20, time=moments(31, slot, step=0.0, day_factors=False)
    )
    timed.drift[:] = 0
    for epoch in range(3):
        errors = [visits.descend(shrink=1.0, seed=epoch) for visits in (static, timed)]
        assert errors[0] == pytest.approx(errors[1], rel=1e-4)
    np.testing.assert_allclose(timed.implied, static.implied, atol=1e-4)


def test_columns_that_were_added_stay_zero():
    start, item, value = everything()
    visits = made(
        start, item, value, n_items=20, time=moments(31, np.repeat(np.arange(30), np.diff(start)))
    )
    visits.descend(shrink=1.0, seed=0)
    assert visits.item.shape[1] == 16
    assert not any(
        x[:, 3:].any() for x in (visits.own, visits.item, visits.implied, visits.drift, visits.day)
    )


def test_the_same_seed_visits_in_the_same_order_and_another_in_another():
    found = []
    for seed in (3, 3, 4):
        visits = made(*everything(), n_items=20)
        visits.descend(shrink=1.0, seed=seed)
        found.append(visits.item)
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0


def test_threads_change_nothing_to_the_bit():
    before, found, visits = torch.get_num_threads(), [], made(*everything(), n_items=20)
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(visits.tastes())
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)
