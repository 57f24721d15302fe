"""BiasedMF: equation 4, and where it meets PMF and the bias model."""

import numpy as np
import pytest
import torch
from tests.visiting_order import visiting_order

import recollect as rc
from recollect.errors import SettingError
from recollect.nn import Factors
from recollect.training.sgd import FactorSGD

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


def test_an_epoch_is_a_step_on_every_rating(few):
    """Equation 5 by a plain loop: e = r - mu - b_u - b_i - q p, then steps by the gradients.

    A row's lambda is divided among its n ratings: each brings lambda n^(reg_power - 1) of it.
    """
    settings = {"factors": 2, "init": 0.3, "learning_rate": 0.05, "decay": 0.8, "epochs": 3}
    lambdas = {"reg_user": 0.4, "reg_item": 0.2, "reg_power": 0.5}
    model = rc.make("biased_mf", **settings, **lambdas)
    model.given_ = few
    arrays = FactorSGD(
        Factors(few.n_users, few.n_items, 2, offsets=True),
        few,
        reg_user=torch.ones(few.n_users),
        reg_item=torch.ones(few.n_items),
        learning_rate=1.0,
    ).arrays
    with torch.random.fork_rng():
        torch.manual_seed(rc.Run().seed)
        start = model.build(few.n_users, few.n_items)
        orders = [visiting_order(arrays, int(torch.randint(2**62, ()))) for _ in range(3)]

    user, item = start.user.double().numpy(), start.item.double().numpy()
    lambda_user = 0.4 * few.count("user") ** -0.5
    lambda_item = 0.2 * np.maximum(few.count("item"), 1) ** -0.5
    for rate, order in zip((0.05, 0.04, 0.032), orders, strict=True):
        for j in order:
            u, i, r = arrays.user[j], arrays.item[j], arrays.value[j]
            (*p, b_u), (*q, b_i) = user[u].copy(), item[i].copy()
            p, q = np.array(p), np.array(q)
            e = r - few.mean - b_u - b_i - q @ p
            user[u] += rate * np.array([*(e * q - lambda_user[u] * p), e - lambda_user[u] * b_u])
            item[i] += rate * np.array([*(e * p - lambda_item[i] * q), e - lambda_item[i] * b_i])

    fitted = rc.make("biased_mf", **settings, **lambdas).fit(few).net_
    assert np.abs(user - start.user.numpy()).max() > 0.02
    np.testing.assert_allclose(fitted.user, user, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fitted.item, item, rtol=1e-5, atol=1e-6)


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
