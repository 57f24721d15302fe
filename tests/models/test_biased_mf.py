"""BiasedMF: equation 4, and where it meets PMF and the bias model."""

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.errors import SettingError

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"solver": "als", "reg_power": 0.5, "refit": True},
]


def test_a_rating_is_the_mean_two_offsets_and_a_product(few):
    """Equation 4 by hand: mu + b_i + b_u + q_i · p_u."""
    model = rc.make("biased_mf", factors=2, epochs=3, clip=False).fit(few)
    user = model.net_.user.numpy()
    item = model.net_.item.numpy()
    expected = few.mean + item[1, 2] + user[0, 2] + item[1, :2] @ user[0, :2]
    np.testing.assert_allclose(model.predict(np.array([0]), np.array([1])), expected, rtol=1e-5)


def test_it_is_pmf_with_offsets_by_gradient_descent(few):
    settings = {
        "factors": 2,
        "reg_user": 0.1,
        "reg_item": 0.1,
        "epochs": 5,
        "learning_rate": 0.02,
        "reg_power": 1.0,
        "init": 0.1,
        "decay": 0.9,
    }
    biased_mf = rc.make("biased_mf", **settings).fit(few)
    pmf = rc.make("pmf", solver="sgd", offsets=True, **settings).fit(few)
    np.testing.assert_array_equal(biased_mf.net_.user, pmf.net_.user)


def test_gradient_descent_is_as_good_as_least_squares(planted_small):
    split = rc.random_split(planted_small.ratings, test=0.1, seed=0)
    settings = {"factors": 2, "reg_user": 0.02, "reg_item": 0.02, "reg_power": 1.0}
    sgd_settings = {"learning_rate": 0.02, "decay": 0.99, "epochs": 300}
    als = rc.make("biased_mf", **settings, solver="als", epochs=60).fit(split.train)
    sgd = rc.make("biased_mf", **settings, **sgd_settings).fit(split.train)
    als_rmse = rc.held_out(als, split.test)["rmse"]
    assert rc.held_out(sgd, split.test)["rmse"] == pytest.approx(als_rmse, rel=0.05)


def test_large_lambdas_leave_little_but_the_mean(few):
    model = rc.make(
        "biased_mf", reg_user=90.0, reg_item=90.0, reg_power=1.0, solver="als", epochs=5
    ).fit(few)
    np.testing.assert_allclose(model.predict(few.user, few.item), few.mean, atol=0.05)


def test_without_offsets_it_would_be_pmf():
    with pytest.raises(SettingError, match="use pmf"):
        rc.make("biased_mf", offsets=False)


def test_threads_change_nothing_to_the_bit(planted_small):
    before = torch.get_num_threads()
    learned = []
    try:
        for threads in (1, 2):
            model = rc.make("biased_mf", epochs=3)
            model.fit(planted_small.ratings, run=rc.Run(threads=threads))
            learned.append(model.net_.item)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*learned)
