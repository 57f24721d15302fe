"""BayesMF: planted factors, calibration, days, and what is kept."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import ndtr

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"bags": False, "refit": True},
]

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
    chosen = [
        rc.make("pmf", factors=3, reg_user=reg, reg_item=reg, reg_power=0.0).fit(
            parts.train, parts.valid
        )
        for reg in (0.1, 0.3, 1.0, 2.0)
    ]
    best = min(rc.held_out(model, parts.test)["rmse"] for model in chosen)
    assert rc.held_out(fitted, parts.test)["rmse"] < best


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_so_many_ratings_lie_in_the_interval_as_it_says(parts, fitted, level):
    low, high = fitted.predict_interval(parts.test.user, parts.test.item, level)
    inside = np.mean((low <= parts.test.value) & (parts.test.value <= high))
    assert inside == pytest.approx(
        level, abs=0.05
    )  # 1000 test ratings: two standard errors are 0.03


def test_the_noise_is_found(parts, fitted):
    assert fitted.history_.epochs[-1]["alpha"] ** -0.5 == pytest.approx(0.8, rel=0.1)


def test_fewer_ratings_make_wider_intervals(parts, fitted):
    count = parts.train.count("user")
    some = np.argsort(count)
    few, many = some[count[some] > 0][:20], some[-20:]
    items = np.flatnonzero(parts.train.count("item") > 20)[:20]
    std = [
        fitted.predict_std(np.repeat(users, len(items)), np.tile(items, len(users))).mean()
        for users in (few, many)
    ]
    assert std[0] > std[1] > 0.75


def test_a_cold_pair_is_as_uncertain_as_all_ratings(parts, fitted):
    assert fitted.predict_std(np.array([-1]), np.array([0])) == pytest.approx(
        np.std(parts.train.value)
    )


def test_who_rated_what_tells_tastes_apart():
    """Ratings are mostly noise, and two camps, which like the contrary, watch different films: bags see who is in which."""
    random, camp, group = np.random.default_rng(0), np.arange(200) % 2, np.arange(80) % 2
    user, item = np.nonzero(random.random((200, 80)) < np.where(camp[:, None] == group, 0.25, 0.05))
    value = np.where(camp[user] == item // 2 % 2, 1.0, -1.0) + 1.5 * random.standard_normal(
        len(user)
    )
    ratings = Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        value.astype(np.float32),
        scale=(-10.0, 10.0),
        users=Vocab([f"u{j}" for j in range(200)]),
        items=Vocab([f"i{j}" for j in range(80)]),
    )
    split = rc.random_split(ratings, test=0.3, seed=0)
    with_bags, without = (
        rc.held_out(rc.make("bayes_mf", **QUICK, bags=bags).fit(split.train), split.test)["rmse"]
        for bags in (True, False)
    )
    assert with_bags**2 - 1.5**2 < 0.85 * (without**2 - 1.5**2)


def test_a_good_day_is_seen():
    """On odd days every rating is one higher. A day without ratings is as any other."""
    random, n = np.random.default_rng(1), 2000
    pair = random.permutation(60 * 50)[:n]
    day = random.integers(0, 10, n)
    ratings = Ratings(
        (pair // 50).astype(np.int32),
        (pair % 50).astype(np.int32),
        (3 + day % 2 + 0.2 * random.standard_normal(n)).astype(np.float32),
        Vocab([f"u{j}" for j in range(60)]),
        Vocab([f"i{j}" for j in range(50)]),
        time=day * 86_400,
        scale=(0.0, 6.0),
    )
    model = rc.make("bayes_mf", **QUICK, time=True).fit(ratings)
    pairs = np.zeros(3, np.int64), np.zeros(3, np.int64)
    even, odd, other = model.predict(*pairs, times=np.array([4, 5, 77]) * 86_400)
    assert odd - even == pytest.approx(1, abs=0.1)
    assert even + 0.2 < other < odd - 0.2
    last = int(day[ratings.user == 0].max())
    assert model.predict(*pairs)[0] == pytest.approx(odd if last % 2 else even, abs=0.2)


@pytest.fixture(scope="module")
def stars():
    """Five stars, the lowest rare: not normal at all."""
    made = planted(150, 100, 5000, rank=2, noise=0.8, seed=5, step=1.0)
    return rc.random_split(made.ratings, test=0.2, valid=0.1, seed=0)


@pytest.fixture(scope="module")
def probit(stars):
    return rc.make("bayes_mf", **QUICK, probit=True).fit(stars.train, stars.valid)


def test_levels_between_cut_points_predict_as_well_as_numbers(stars, probit):
    plain = rc.make("bayes_mf", **QUICK).fit(stars.train)
    assert rc.held_out(probit, stars.test)["rmse"] == pytest.approx(
        rc.held_out(plain, stars.test)["rmse"], rel=0.03
    )
    assert rc.held_out(probit, stars.valid)["rmse"] == pytest.approx(
        probit.history_.best_valid, abs=0.01
    )


def test_cut_points_ascend_in_every_draw(probit):
    assert (probit.net_.cut.diff(dim=1) > 0).all()


def test_chances_of_levels_are_those_of_a_normal_number_between_cut_points(probit):
    chance = probit.net_.chances(torch.tensor([0.3]), probit.net_.cut[0])[0].numpy()
    edges = np.concatenate([[-np.inf], probit.net_.cut[0], [np.inf]])
    np.testing.assert_allclose(chance, np.diff(ndtr(edges - 0.3)), atol=1e-6)
    expected = probit.net_.expected(torch.tensor([0.3]), probit.net_.cut[0])
    assert expected.item() == pytest.approx(chance @ np.arange(1, 6), abs=1e-5)


def test_the_moments_are_those_of_the_chances(stars, probit):
    user, item = (torch.from_numpy(x[:50]).long() for x in (stars.test.user, stars.test.item))
    net, levels = probit.net_, np.arange(1, 6)
    chance = sum(
        net.chances(latent, net.cut[s]) for s, latent in enumerate(net.latent(user, item))
    ).numpy() / int(net.n)
    mean, std = (x.numpy() for x in probit.net_.moments(user, item))
    np.testing.assert_allclose(mean, chance @ levels, atol=1e-4)
    np.testing.assert_allclose(std, np.sqrt(chance @ levels**2 - (chance @ levels) ** 2), atol=1e-3)


def test_intervals_of_levels_hold_as_many_ratings_as_they_say(stars, probit):
    low, high = probit.predict_interval(stars.test.user, stars.test.item)
    assert np.mean((low <= stars.test.value) & (stars.test.value <= high)) == pytest.approx(
        0.9, abs=0.05
    )
    assert probit.predict_interval(np.array([-1]), np.array([0]))[0] < 3


def test_someone_new_is_told_by_their_levels(stars, probit):
    user = np.argsort(-stars.train.count("user"))[:5]
    folded, fitted = (
        probit.fold_in(stars.train.by_user.take(user)),
        probit.scores(user, stars.train),
    )
    assert np.abs(folded - fitted).mean() < 0.15


def test_a_saved_model_of_levels_predicts_the_same(stars, probit, tmp_path):
    rc.save(probit, tmp_path / "m")
    np.testing.assert_array_equal(
        rc.load_model(tmp_path / "m").predict(stars.test.user, stars.test.item),
        probit.predict(stars.test.user, stars.test.item),
    )


def test_ratings_without_steps_have_no_levels(parts):
    with pytest.raises(DataError, match="takes ratings in steps"):
        rc.make("bayes_mf", **QUICK, probit=True).fit(parts.train)


def test_days_need_times(parts):
    with pytest.raises(DataError, match="needs the time"):
        rc.make("bayes_mf", **QUICK, time=True).fit(dataclasses.replace(parts.train, time=None))


def test_kept_draws_are_spread_and_the_last_is_among_them(parts):
    model = rc.make("bayes_mf", factors=2, epochs=11, burn_in=1, kept=4).fit(parts.train)
    assert int(model.net_.n) == len(model.net_.alpha) == 4
    assert model.net_.alpha[-1] / model.net_.spread**2 == pytest.approx(
        model.history_.epochs[-1]["alpha"]
    )


def test_an_item_without_ratings_is_what_the_prior_says(few):
    model = rc.make("bayes_mf", factors=2, epochs=6, burn_in=2, kept=4).fit(few)
    assert (model.net_.item[:, 3] == model.net_.item[:, 3]).all()
    assert model.is_cold(np.array([0]), np.array([3])).all()


def test_validation_is_of_the_mean_over_the_draws_so_far(parts, fitted):
    told = fitted.history_.column("valid_rmse")
    assert told[-1][1] < told[29][1] - 0.05  # one draw is much worse
    every = rc.make("bayes_mf", **QUICK | {"kept": 50}).fit(parts.train, parts.valid)
    assert rc.held_out(every, parts.valid)["rmse"] == pytest.approx(
        every.history_.best_valid, abs=1e-3
    )


@pytest.mark.parametrize("more", [{}, {"probit": True}, {"time": True, "bags": False}])
def test_an_interrupted_fit_goes_on_to_the_bit(stars, more, tmp_path):
    parts, settings = stars, {"factors": 3, "epochs": 12, "burn_in": 4, "kept": 6, **more}

    def stop(figures):
        if figures["epoch"] == 7:
            raise KeyboardInterrupt

    whole = rc.make("bayes_mf", **settings).fit(parts.train, parts.valid)
    keep = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("bayes_mf", **settings).fit(parts.train, parts.valid, keep)
    again = rc.make("bayes_mf", **settings).fit(
        parts.train, parts.valid, rc.Run(folder=tmp_path, resume=True)
    )
    for name, x in whole.net_.state_dict().items():
        np.testing.assert_array_equal(x, again.net_.state_dict()[name])
    assert whole.history_.best_valid == again.history_.best_valid


def test_likeness_is_that_of_the_draws(fitted, parts):
    vectors, net = fitted.vectors("item"), fitted.net_
    item = net.item[:, :, :-1].float().numpy()
    item = item - item[:, parts.train.count("item") > 0].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        vectors[3] @ vectors[4], np.mean([x[3] @ x[4] for x in item]), rtol=1e-4
    )


def test_settings_that_cannot_work_are_refused():
    for bad, told in (
        ({"factors": 0}, "factors is 1 or more"),
        ({"burn_in": 200}, "no draw would count"),
        ({"alpha": 0.0}, "above 0"),
        ({"alpha": 1.0, "probit": True}, "leave alpha out"),
        ({"kept": 0}, "kept is 1 or more"),
    ):
        with pytest.raises(SettingError, match=told):
            rc.make("bayes_mf", **bad)
    with pytest.raises(SettingError, match="level is a probability"):
        rc.make("bayes_mf").predict_interval(np.array([0]), np.array([0]), 90.0)


def test_with_refit_validation_ratings_are_learned_from_at_once(parts):
    both = rc.make("bayes_mf", **QUICK, refit=True).fit(parts.train, parts.valid)
    assert len(both.given_) == len(parts.train) + len(parts.valid)
    assert len(both.history_) == both.epochs
    plain = rc.make("bayes_mf", **QUICK).fit(parts.train.union(parts.valid))
    np.testing.assert_array_equal(
        both.predict(parts.test.user, parts.test.item),
        plain.predict(parts.test.user, parts.test.item),
    )
