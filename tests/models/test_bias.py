"""Bias beside the ridge regression that it solves."""

import numpy as np

from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.models.bias import Bias


def test_it_solves_the_ridge_regression(few):
    """Σ (r − mu − b_u − b_i)² + 2 Σ b_u² + 3 Σ b_i², by its normal equations."""
    model = Bias(reg_user=2.0, reg_item=3.0, epochs=500).fit(few)
    design = np.zeros((7, 3 + 4))
    design[np.arange(7), few.user] = 1
    design[np.arange(7), 3 + few.item] = 1
    reg = np.diag([2.0] * 3 + [3.0] * 4)
    solution = np.linalg.solve(design.T @ design + reg, design.T @ (few.value - few.mean))
    np.testing.assert_allclose(model.net_.b_user, solution[:3], atol=1e-5)
    np.testing.assert_allclose(model.net_.b_item, solution[3:], atol=1e-5)


def test_it_recovers_planted_offsets():
    random = np.random.default_rng(0)
    b_user = random.normal(size=30) * 0.5
    b_item = random.normal(size=20) * 0.5
    user = np.repeat(np.arange(30, dtype=np.int32), 20)
    item = np.tile(np.arange(20, dtype=np.int32), 30)
    value = (3 + b_user[user] + b_item[item]).astype(np.float32)
    ratings = Ratings(user, item, value, Vocab(range(30)), Vocab(range(20)), scale=(-9.0, 9.0))
    model = Bias(reg_user=0.0, reg_item=0.0, epochs=100).fit(ratings)
    np.testing.assert_allclose(model.predict(user, item), value, atol=1e-4)


def test_an_item_without_ratings_gets_the_mean_and_the_users_offset(few):
    model = Bias().fit(few)
    predicted = model.predict(np.array([0, -1]), np.array([3, 3]))
    expected = [few.mean + float(model.net_.b_user[0]), few.mean]
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
