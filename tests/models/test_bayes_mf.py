"""BayesMF: planted factors, calibration, days, and what is kept."""

import dataclasses

import numpy as np
import pytest

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError

QUICK = {"factors": 3, "epochs": 80, "burn_in": 30, "kept": 25}


@pytest.fixture(scope="module")
def parts():
    """Ratings of rank 3 with noise: choosing one set of factors costs something."""
    made = planted(150, 100, 5000, rank=3, noise=0.8, seed=2, scale=(-20, 20))
    return rc.random_split(made.ratings, test=0.2, valid=0.1, seed=0)


@pytest.fixture(scope="module")
def fitted(parts):
    return rc.make("bayes_mf", **QUICK).fit(parts.train, parts.valid)


def test_the_mean_over_draws_beats_the_best_factors(parts, fitted):
    chosen = [rc.make("pmf", factors=3, reg_user=reg, reg_item=reg, reg_power=0.0).fit(parts.train, parts.valid)
              for reg in (0.1, 0.3, 1.0, 2.0)]
    best = min(rc.held_out(model, parts.test)["rmse"] for model in chosen)
    assert rc.held_out(fitted, parts.test)["rmse"] < best


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_so_many_ratings_lie_in_the_interval_as_it_says(parts, fitted, level):
    low, high = fitted.predict_interval(parts.test.user, parts.test.item, level)
    inside = np.mean((low <= parts.test.value) & (parts.test.value <= high))
    assert inside == pytest.approx(level, abs=0.05)      # 1000 test ratings: two standard errors are 0.03


def test_the_noise_is_found(parts, fitted):
    assert fitted.history_.epochs[-1]["alpha"] ** -0.5 == pytest.approx(0.8, rel=0.1)


def test_fewer_ratings_make_wider_intervals(parts, fitted):
    count = parts.train.count("user")
    some = np.argsort(count)
    few, many = some[count[some] > 0][:20], some[-20:]
    items = np.flatnonzero(parts.train.count("item") > 20)[:20]
    std = [fitted.predict_std(np.repeat(users, len(items)), np.tile(items, len(users))).mean() for users in (few, many)]
    assert std[0] > std[1] > 0.75


def test_a_cold_pair_is_as_uncertain_as_all_ratings(parts, fitted):
    assert fitted.predict_std(np.array([-1]), np.array([0])) == pytest.approx(np.std(parts.train.value))


def test_who_rated_what_tells_tastes_apart():
    """Ratings are mostly noise, and two camps, which like the contrary, watch different films: bags see who is in which."""
    random, camp, group = np.random.default_rng(0), np.arange(200) % 2, np.arange(80) % 2
    user, item = np.nonzero(random.random((200, 80)) < np.where(camp[:, None] == group, 0.25, 0.05))
    value = np.where(camp[user] == item // 2 % 2, 1.0, -1.0) + 1.5 * random.standard_normal(len(user))
    ratings = Ratings(user.astype(np.int32), item.astype(np.int32), value.astype(np.float32), scale=(-10.0, 10.0),
                      users=Vocab([f"u{j}" for j in range(200)]), items=Vocab([f"i{j}" for j in range(80)]))
    split = rc.random_split(ratings, test=0.3, seed=0)
    with_bags, without = (rc.held_out(rc.make("bayes_mf", **QUICK, bags=bags).fit(split.train), split.test)["rmse"]
                          for bags in (True, False))
    assert with_bags ** 2 - 1.5 ** 2 < 0.85 * (without ** 2 - 1.5 ** 2)


def test_a_good_day_is_seen():
    """On odd days every rating is one higher. A day without ratings is as any other."""
    random, n = np.random.default_rng(1), 2000
    pair = random.permutation(60 * 50)[:n]
    day = random.integers(0, 10, n)
    ratings = Ratings((pair // 50).astype(np.int32), (pair % 50).astype(np.int32),
                      (3 + day % 2 + 0.2 * random.standard_normal(n)).astype(np.float32), Vocab([f"u{j}" for j in range(60)]),
                      Vocab([f"i{j}" for j in range(50)]), time=day * 86_400, scale=(0.0, 6.0))
    model = rc.make("bayes_mf", **QUICK, time=True).fit(ratings)
    pairs = np.zeros(3, np.int64), np.zeros(3, np.int64)
    even, odd, other = model.predict(*pairs, times=np.array([4, 5, 77]) * 86_400)
    assert odd - even == pytest.approx(1, abs=0.1)
    assert even + 0.2 < other < odd - 0.2
    last = int(day[ratings.user == 0].max())
    assert model.predict(*pairs)[0] == pytest.approx(odd if last % 2 else even, abs=0.2)


def test_days_need_times(parts):
    with pytest.raises(DataError, match="needs the time"):
        rc.make("bayes_mf", **QUICK, time=True).fit(dataclasses.replace(parts.train, time=None))


def test_kept_draws_are_spread_and_the_last_is_among_them(parts):
    model = rc.make("bayes_mf", factors=2, epochs=11, burn_in=1, kept=4).fit(parts.train)
    assert int(model.net_.n) == len(model.net_.alpha) == 4
    assert model.net_.alpha[-1] / model.net_.spread**2 == pytest.approx(model.history_.epochs[-1]["alpha"])


def test_an_item_without_ratings_is_what_the_prior_says(few):
    model = rc.make("bayes_mf", factors=2, epochs=6, burn_in=2, kept=4).fit(few)
    assert (model.net_.item[:, 3] == model.net_.item[:, 3]).all()
    assert model.is_cold(np.array([0]), np.array([3])).all()


def test_validation_is_of_the_mean_over_the_draws_so_far(parts, fitted):
    told = fitted.history_.column("valid_rmse")
    assert told[-1][1] < told[29][1] - 0.05                # one draw is much worse
    every = rc.make("bayes_mf", **QUICK | {"kept": 50}).fit(parts.train, parts.valid)
    assert rc.held_out(every, parts.valid)["rmse"] == pytest.approx(every.history_.best_valid, abs=1e-3)


def test_an_interrupted_fit_goes_on_to_the_bit(parts, tmp_path):
    settings = {"factors": 3, "epochs": 12, "burn_in": 4, "kept": 6}

    def stop(figures):
        if figures["epoch"] == 7:
            raise KeyboardInterrupt

    whole = rc.make("bayes_mf", **settings).fit(parts.train, parts.valid)
    keep = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("bayes_mf", **settings).fit(parts.train, parts.valid, keep)
    again = rc.make("bayes_mf", **settings).fit(parts.train, parts.valid, rc.Run(folder=tmp_path, resume=True))
    for name, x in whole.net_.state_dict().items():
        np.testing.assert_array_equal(x, again.net_.state_dict()[name])
    assert whole.history_.best_valid == again.history_.best_valid


def test_likeness_is_that_of_the_draws(fitted, parts):
    vectors, net = fitted.vectors("item"), fitted.net_
    item = net.item[:, :, :-1].float().numpy()
    item = item - item[:, parts.train.count("item") > 0].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(vectors[3] @ vectors[4], np.mean([x[3] @ x[4] for x in item]), rtol=1e-4)


def test_settings_that_cannot_work_are_refused():
    for bad, told in (({"factors": 0}, "factors is 1 or more"), ({"burn_in": 200}, "no draw would count"),
                      ({"alpha": 0.0}, "above 0"), ({"kept": 0}, "kept is 1 or more")):
        with pytest.raises(SettingError, match=told):
            rc.make("bayes_mf", **bad)
    with pytest.raises(SettingError, match="level is a probability"):
        rc.make("bayes_mf").predict_interval(np.array([0]), np.array([0]), 90.0)
