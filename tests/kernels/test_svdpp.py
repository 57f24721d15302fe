"""SVD++ and timeSVD++ by descent: the compiled loops beside the papers' steps in plain NumPy."""

import copy

import numpy as np
import pytest
import torch

from recollect.kernels.compiled.sgd import random_state, shuffle
from recollect.kernels.reference import svdpp, timesvdpp
from recollect.kernels.svdpp import TIME_PARAMETERS, StepSizes, SVDppArrays, TimeSlots

RATE, REG = 0.05, 0.1
TIME_STEP = (0.05, 0.2)  # learning rate and λ of all that changes with time
STATIC = ("p", "q", "y", "b_user", "b_item")


def arrays_of(start, item, value, *, factors=3, n_items=6, rate=RATE, reg=REG, time=None):
    n_users = len(start) - 1
    steps = StepSizes(
        rate=rate,
        reg_user=np.full(n_users, reg, np.float32),
        reg_item=np.full(n_items, reg, np.float32),
        reg_y=reg / 2,
        reg_offset=reg / 4,
    )
    arrays = SVDppArrays(
        np.array(start, np.int64),
        np.array(item, np.int32),
        np.array(value, np.float32),
        n_items=n_items,
        factors=factors,
        steps=steps,
        time=time,
    )
    random = np.random.default_rng(0)
    for name in ("p", "q", "y", "alpha_p", "p_day") if time else ("p", "q", "y"):
        array = getattr(arrays, name)
        array[:, :factors] = random.normal(size=(len(array), factors))
    return arrays


def time_slots(n_slots, slot_of_ratings, *, step=TIME_STEP, day_factors=True):
    slots = np.arange(n_slots, dtype=np.int32)
    return TimeSlots(
        slot=np.array(slot_of_ratings, np.int32),
        deviation=np.linspace(-1, 2, n_slots).astype(np.float32),
        bin=slots % 2,
        frequency=slots // 2 % 2,
        n_bins=2,
        n_frequencies=2,
        steps=np.full((8, 2), step, np.float32),
        day_factors=day_factors,
    )


def random_ratings(n_users=30, n_items=20, n_ratings=300):
    """Ratings sorted by user: where each user's begin, items and values."""
    pair = np.sort(np.random.default_rng(0).choice(n_users * n_items, n_ratings, replace=False))
    user, item = np.divmod(pair, n_items)
    start = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))])
    return start, item, np.random.default_rng(1).normal(size=n_ratings)


def visiting_order(start, seed):
    """Pairs of a user and a rating as the loops visit them."""
    state = np.uint64(random_state(seed, 0))
    users = np.empty(len(start) - 1, np.int32)
    shuffle(users, state)
    order = []
    for user in users.tolist():
        within = np.empty(start[user + 1] - start[user], np.int32)
        shuffle(within, np.uint64(random_state(state, user + 1)))
        order += [(user, int(start[user]) + j) for j in within.tolist()]
    return order


def step_by_numpy(arrays, user, rating):
    """Take one step of the paper on copies' arrays; returns the error before it."""
    rated = arrays.item[arrays.start[user] : arrays.start[user + 1]]
    pair = (user, int(arrays.item[rating]), float(arrays.value[rating]), rated)
    if arrays.time is None:
        return svdpp.step(arrays, *pair, arrays.steps)
    time = arrays.time
    slot = int(time.slot[rating])
    moment = timesvdpp.Moment(
        slot, float(time.deviation[slot]), int(time.bin[slot]), int(time.frequency[slot])
    )
    rates = [tuple(pair) for pair in time.steps.tolist()]
    time_steps = dict(zip(TIME_PARAMETERS, rates, strict=True))
    return timesvdpp.step(arrays, *pair, moment, arrays.steps, time_steps)


def assert_close(arrays, expected, names):
    for name in names:
        np.testing.assert_allclose(
            getattr(arrays, name), getattr(expected, name), atol=2e-4, err_msg=name
        )


def test_one_rating_by_hand():
    """N(u) = {0}: p + y = 3, error = 4 − 1 · 3 = 1, step 0.1 without λ: p 1.1, y 2.1, q 1.3,
    offsets 0.1.
    """
    arrays = arrays_of([0, 1], [0], [4.0], factors=1, n_items=1, rate=0.1, reg=0.0)
    arrays.p[0, 0] = 1
    arrays.q[0, 0] = 1
    arrays.y[0, 0] = 2
    assert arrays.descend(shrink=1.0, seed=0) == 1
    learned = [getattr(arrays, name).ravel()[0] for name in STATIC]
    np.testing.assert_allclose(learned, [1.1, 1.3, 2.1, 0.1, 0.1], rtol=1e-6)


def test_a_pass_is_the_steps_of_the_paper_though_y_is_written_once_a_user():
    start, item, value = random_ratings()
    arrays = arrays_of(start, item, value, n_items=20)
    expected = copy.deepcopy(arrays)
    order = visiting_order(start, seed=5)
    assert sorted(rating for _, rating in order) == list(range(300))  # every rating once

    squares = arrays.descend(shrink=1.0, seed=5)

    errors = [step_by_numpy(expected, user, rating) for user, rating in order]
    assert squares == pytest.approx(np.square(errors).sum(), rel=1e-4)
    assert_close(arrays, expected, STATIC)


@pytest.mark.parametrize("day_factors", [True, False])
def test_a_pass_with_time_is_the_steps_of_the_paper(day_factors):
    start, item, value = random_ratings()
    slot = np.arange(300) // 4
    time = time_slots(76, slot, day_factors=day_factors)
    arrays = arrays_of(start, item, value, n_items=20, time=time)
    expected = copy.deepcopy(arrays)

    squares = arrays.descend(shrink=1.0, seed=5)

    errors = [step_by_numpy(expected, *pair) for pair in visiting_order(start, seed=5)]
    assert squares == pytest.approx(np.square(errors).sum(), rel=1e-4)
    assert_close(arrays, expected, (*STATIC, *TIME_PARAMETERS))


def test_user_factors_are_p_and_the_scaled_sum_of_y_over_what_was_rated():
    arrays = arrays_of([0, 2, 2, 3], [0, 3, 5], [1, 2, 3])
    expected = arrays.p.copy()
    expected[0] += (arrays.y[0] + arrays.y[3]) / np.sqrt(2)
    expected[2] += arrays.y[5]
    np.testing.assert_allclose(arrays.user_factors(), expected, rtol=1e-5)


def test_without_steps_in_time_it_is_the_static_model():
    start, item, value = random_ratings()
    slot = np.repeat(np.arange(30), np.diff(start))
    time = time_slots(31, slot, step=(0.0, 0.2), day_factors=False)
    static = arrays_of(start, item, value, n_items=20)
    timed = arrays_of(start, item, value, n_items=20, time=time)
    timed.alpha_p[:] = 0
    for epoch in range(3):
        squares = static.descend(shrink=1.0, seed=epoch)
        assert timed.descend(shrink=1.0, seed=epoch) == pytest.approx(squares, rel=1e-4)
    np.testing.assert_allclose(timed.y, static.y, atol=1e-4)


def test_columns_that_were_added_stay_zero():
    start, item, value = random_ratings()
    time = time_slots(31, np.repeat(np.arange(30), np.diff(start)))
    arrays = arrays_of(start, item, value, n_items=20, time=time)
    arrays.descend(shrink=1.0, seed=0)
    assert arrays.q.shape[1] == 16
    for name in ("p", "q", "y", "alpha_p", "p_day"):
        assert not getattr(arrays, name)[:, 3:].any()


def test_the_seed_decides_the_order():
    learned = []
    for seed in (3, 3, 4):
        arrays = arrays_of(*random_ratings(), n_items=20)
        arrays.descend(shrink=1.0, seed=seed)
        learned.append(arrays.q)
    np.testing.assert_array_equal(learned[0], learned[1])
    assert np.abs(learned[0] - learned[2]).max() > 0


def test_threads_change_nothing_to_the_bit():
    arrays = arrays_of(*random_ratings(), n_items=20)
    before = torch.get_num_threads()
    factors = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            factors.append(arrays.user_factors())
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*factors)
