"""PMF: matrix factorization by alternating least squares and by gradient descent."""

import numpy as np
import pytest

import recollect as rc
from recollect.data.sources.planted import planted
from recollect.errors import DataError, SettingError

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"offsets": False, "center": True},
    {"absent_weight": 0.1, "offsets": False},
    {"reg_power": 0.5, "refit": True},
    {"solver": "sgd", "learning_rate": 0.02, "epochs": 60},
]


def test_without_noise_it_recovers_the_planted_ratings():
    no_noise = planted(
        200, 100, 6000, rank=2, noise=0.0, seed=3, popularity=0, activity=0, scale=(-20, 20)
    )
    split = rc.random_split(no_noise.ratings, test=0.1, seed=0)
    model = rc.make("pmf", factors=2, offsets=True, reg_user=1e-3, reg_item=1e-3, epochs=60)
    model.fit(split.train)
    # Not 0: the planted ratings are cut to their scale.
    assert rc.held_out(model, split.test)["rmse"] < 0.05 * np.std(split.test.value)


def test_the_lambda_of_a_row_grows_with_its_ratings_to_the_power():
    model = rc.make("pmf", reg_user=2.0, reg_power=0.5)
    np.testing.assert_allclose(model.reg("user", np.array([0, 1, 4])), [2, 2, 4])


def test_a_new_user_with_the_ratings_of_a_fitted_one_gets_their_scores(planted_small):
    train = planted_small.ratings
    model = rc.make("pmf", factors=3, offsets=True, reg_user=0.3, reg_item=0.3, epochs=200)
    model.fit(train)
    folded = model.fold_in(train.by_user.take(np.array([5])))
    np.testing.assert_allclose(folded, model.scores(np.array([5]), train), atol=0.02)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"factors": 0}, "factors must be at least 1"),
        ({"reg_user": 0}, "reg_user must be above 0"),
        ({"absent_weight": 1.0}, "absent_weight must be at least 0 and below 1"),
        ({"absent_weight": 0.1, "offsets": True}, "set offsets=False"),
        ({"reg_power": 2.0}, "reg_power must be at least 0 and at most 1"),
        ({"solver": "adam"}, "als"),
        ({"solver": "sgd", "offsets": False, "absent_weight": 0.1}, 'use solver="als"'),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(setting, message):
    with pytest.raises(SettingError, match=message):
        rc.make("pmf", **setting)


def test_an_interrupted_fit_resumes_to_the_bit(planted_small, tmp_path):
    split = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    settings = {
        "factors": 3,
        "offsets": True,
        "reg_user": 0.3,
        "reg_item": 0.3,
        "patience": None,
        "epochs": 8,
    }
    whole = rc.make("pmf", **settings).fit(split.train, split.valid)

    def interrupt(figures):
        if figures["epoch"] == 4:
            raise KeyboardInterrupt

    run = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(interrupt,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("pmf", **settings).fit(split.train, split.valid, run)
    resumed = rc.make("pmf", **settings).fit(
        split.train, split.valid, rc.Run(folder=tmp_path, resume=True)
    )
    np.testing.assert_array_equal(whole.net_.item, resumed.net_.item)


def test_vectors_leave_offsets_out(few):
    model = rc.make("pmf", factors=2, offsets=True, epochs=2).fit(few)
    assert model.vectors("item").shape == (4, 2)


def test_it_does_not_take_ratings_for_events(few):
    with pytest.raises(DataError, match="learns from events"):
        rc.make("pmf", absent_weight=0.1, offsets=False).fit(few)


def test_gradient_descent_is_as_good_as_least_squares(planted_small):
    split = rc.random_split(planted_small.ratings, test=0.1, seed=0)
    settings = {"factors": 2, "offsets": True, "reg_user": 0.5, "reg_item": 0.5, "reg_power": 0.0}
    sgd_settings = {"solver": "sgd", "learning_rate": 0.02, "decay": 0.99, "epochs": 300}
    als = rc.make("pmf", **settings, epochs=60).fit(split.train)
    sgd = rc.make("pmf", **settings, **sgd_settings).fit(split.train)
    als_rmse = rc.held_out(als, split.test)["rmse"]
    assert rc.held_out(sgd, split.test)["rmse"] == pytest.approx(als_rmse, rel=0.05)


def test_a_fit_that_diverges_says_to_lower_the_learning_rate(planted_small):
    with pytest.raises(rc.RecollectError, match="lower learning_rate"):
        rc.make("pmf", solver="sgd", learning_rate=5.0).fit(planted_small.ratings)
