"""Bias, against the ridge problem it solves."""

import numpy as np

from recollect.models.bias import Bias


def test_solves_the_ridge_problem(few):
    """Σ (r − mu − b_u − b_i)² + 2 Σ b_u² + 3 Σ b_i², by its normal equations."""
    model = Bias(reg_user=2.0, reg_item=3.0, epochs=500).fit(few)
    design = np.zeros((7, 3 + 4))
    design[np.arange(7), few.user] = 1
    design[np.arange(7), 3 + few.item] = 1
    solution = np.linalg.solve(
        design.T @ design + np.diag([2.0] * 3 + [3.0] * 4), design.T @ (few.value - few.mean)
    )
    np.testing.assert_allclose(model.net_.b_user, solution[:3], atol=1e-5)
    np.testing.assert_allclose(model.net_.b_item, solution[3:], atol=1e-5)


def test_finds_planted_offsets():
    from recollect.data.ratings import Ratings
    from recollect.data.vocab import Vocab

    random = np.random.default_rng(0)
    a, b = random.normal(size=30) * 0.5, random.normal(size=20) * 0.5
    user, item = (x.ravel() for x in np.meshgrid(np.arange(30), np.arange(20), indexing="ij"))
    value = (3 + a[user] + b[item]).astype(np.float32)
    ratings = Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        value,
        Vocab(range(30)),
        Vocab(range(20)),
        scale=(-9.0, 9.0),
    )
    model = Bias(reg_user=0.0, reg_item=0.0, epochs=100).fit(ratings)
    np.testing.assert_allclose(model.predict(user, item), value, atol=1e-4)


def test_an_item_that_nobody_rated_gets_the_mean_and_the_users_offset(few):
    model = Bias().fit(few)
    predicted = model.predict(np.array([0, -1]), np.array([3, 3]))
    np.testing.assert_allclose(
        predicted, [few.mean + float(model.net_.b_user[0]), few.mean], atol=1e-6
    )
