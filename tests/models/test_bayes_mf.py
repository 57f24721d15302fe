"""BayesMF: planted factors, calibration, days, categories, and the draws that are kept."""

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
from recollect.models.bayes_mf.moments import N_STEPS, Elapsed, step_of

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"bags": False, "refit": True},
]

# Numbers without days; where it matters, a test says otherwise.
PLAIN = {"time": False, "probit": False, "refit": False}
QUICK = {"factors": 3, "epochs": 80, "burn_in": 30, "n_samples": 25, **PLAIN}


def rmse(model, ratings):
    return rc.held_out(model, ratings)["rmse"]


@pytest.fixture(scope="module")
def parts():
    """Ratings of rank 3 with so much noise that choosing one set of factors costs accuracy."""
    made = planted(150, 100, 5000, rank=3, noise=0.8, seed=2, scale=(-20, 20))
    return rc.random_split(made.ratings, test=0.2, valid=0.1, seed=0)


@pytest.fixture(scope="module")
def fitted(parts):
    return rc.make("bayes_mf", **QUICK).fit(parts.train, parts.valid)


def test_the_mean_over_draws_beats_the_best_point_estimate(parts, fitted):
    errors = []
    for reg in (0.1, 0.3, 1.0, 2.0):
        model = rc.make("pmf", factors=3, reg_user=reg, reg_item=reg, reg_power=0.0)
        errors.append(rmse(model.fit(parts.train, parts.valid), parts.test))
    assert rmse(fitted, parts.test) < min(errors)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_share_of_ratings_within_an_interval_is_its_level(parts, fitted, level):
    low, high = fitted.predict_interval(parts.test.user, parts.test.item, level)
    inside = np.mean((low <= parts.test.value) & (parts.test.value <= high))
    assert inside == pytest.approx(level, abs=0.05)  # 1000 test ratings: 2 standard errors are 0.03


def test_the_precision_of_the_noise_is_recovered(fitted):
    alpha = fitted.history_.epochs[-1]["alpha"]
    assert alpha**-0.5 == pytest.approx(0.8, rel=0.1)


def test_users_with_fewer_ratings_have_wider_intervals(parts, fitted):
    count = parts.train.count("user")
    by_count = np.argsort(count)
    few = by_count[count[by_count] > 0][:20]
    many = by_count[-20:]
    items = np.flatnonzero(parts.train.count("item") > 20)[:20]

    def mean_std(users):
        pairs = np.repeat(users, len(items)), np.tile(items, len(users))
        return fitted.predict_std(*pairs).mean()

    assert mean_std(few) > mean_std(many) > 0.75


def test_a_cold_pair_has_the_standard_deviation_of_all_ratings(parts, fitted):
    std = fitted.predict_std(np.array([-1]), np.array([0]))
    assert std == pytest.approx(np.std(parts.train.value))


def ratings_of(user, item, value, *, n_users, n_items, **more):
    return Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        value.astype(np.float32),
        users=Vocab([f"u{j}" for j in range(n_users)]),
        items=Vocab([f"i{j}" for j in range(n_items)]),
        **more,
    )


def test_bags_learn_from_who_rated_what():
    """Ratings are mostly noise. Two groups of users with opposite factors rate different items, so
    which items they rated tells the groups apart.
    """
    random = np.random.default_rng(0)
    user_group = np.arange(200) % 2
    item_group = np.arange(80) % 2
    chance = np.where(user_group[:, None] == item_group, 0.25, 0.05)
    user, item = np.nonzero(random.random((200, 80)) < chance)
    likes = user_group[user] == item // 2 % 2
    noise = 1.5
    value = np.where(likes, 1.0, -1.0) + noise * random.standard_normal(len(user))
    ratings = ratings_of(user, item, value, n_users=200, n_items=80, scale=(-10.0, 10.0))
    split = rc.random_split(ratings, test=0.3, seed=0)
    with_bags = rc.make("bayes_mf", **QUICK, bags=True).fit(split.train)
    without = rc.make("bayes_mf", **QUICK, bags=False).fit(split.train)
    error_with_bags = rmse(with_bags, split.test) ** 2 - noise**2
    error_without = rmse(without, split.test) ** 2 - noise**2
    assert error_with_bags < 0.85 * error_without


def test_days_have_effects_of_their_own():
    """On odd days every rating is one higher. A day without ratings lies between."""
    random = np.random.default_rng(1)
    n = 2000
    user, item = np.divmod(random.permutation(60 * 50)[:n], 50)
    day = random.integers(0, 10, n)
    value = 3 + day % 2 + 0.2 * random.standard_normal(n)
    ratings = ratings_of(
        user, item, value, n_users=60, n_items=50, time=day * 86_400, scale=(0.0, 6.0)
    )
    model = rc.make("bayes_mf", **QUICK | {"time": True, "time_as": "day"}).fit(ratings)
    pairs = np.zeros(3, np.int64), np.zeros(3, np.int64)
    even, odd, unknown = model.predict(*pairs, times=np.array([4, 5, 77]) * 86_400)
    assert odd - even == pytest.approx(1, abs=0.1)
    assert even + 0.2 < unknown < odd - 0.2
    last_day = int(day[user == 0].max())
    expected = odd if last_day % 2 else even
    assert model.predict(*pairs)[0] == pytest.approx(expected, abs=0.2)


def test_elapsed_time_is_that_since_the_first_rating_of_the_day():
    random = np.random.default_rng(4)
    n = 600
    user, item = np.divmod(random.permutation(12 * 60)[:n], 60)
    time = random.integers(0, 3 * 86_400, n) + 11_000 * 86_400
    ratings = ratings_of(
        user, item, np.ones(n), n_users=12, n_items=60, time=time, scale=(0.0, 6.0)
    )
    elapsed = Elapsed(ratings)
    asked = random.integers(-86_400, 4 * 86_400, 200) + 11_000 * 86_400
    who = random.integers(0, 12, 200)
    expected = []
    for person, moment in zip(who, asked, strict=True):
        same = time[(user == person) & (time // 86_400 == moment // 86_400)]
        expected.append(max(0, moment - same.min()) if len(same) else 0)
    np.testing.assert_array_equal(elapsed.rows(who, asked), step_of(np.array(expected)))
    latest = []
    for person in range(12):
        newest = time[user == person].max()
        same = time[(user == person) & (time // 86_400 == newest // 86_400)]
        latest.append(newest - same.min())
    np.testing.assert_array_equal(elapsed.latest(ratings), step_of(np.array(latest)))
    steps = step_of(np.array([0, 24, 25, 60, 180, 86_399]))
    assert steps.tolist() == [0, 0, 1, 2, 4, 20]


def test_ratings_that_fall_within_a_day_are_learned():
    """The first ratings of a day are two higher than the later ones."""
    random = np.random.default_rng(1)
    user, item = np.divmod(np.arange(60 * 40), 40)
    place = np.argsort(random.random((60, 40)), axis=1).ravel()
    value = 3 + 2 * (place < 10) + 0.2 * random.standard_normal(len(user))
    time = 86_400 * user + 60 * place
    ratings = ratings_of(user, item, value, n_users=60, n_items=40, time=time, scale=(0.0, 6.0))
    split = rc.random_split(ratings, test=0.2, seed=0)
    errors = {
        time_as: rmse(
            rc.make("bayes_mf", **QUICK | {"time": True, "time_as": time_as}).fit(split.train),
            split.test,
        )
        for time_as in ("day", "elapsed")
    }
    assert errors["elapsed"] < 0.55
    assert errors["day"] > 0.8


@pytest.fixture(scope="module")
def stars():
    """One to five stars, the lowest rare: far from a normal distribution."""
    made = planted(150, 100, 5000, rank=2, noise=0.8, seed=5, step=1.0)
    return rc.random_split(made.ratings, test=0.2, valid=0.1, seed=0)


@pytest.fixture(scope="module")
def probit(stars):
    return rc.make("bayes_mf", **QUICK | {"probit": True}).fit(stars.train, stars.valid)


def test_categories_predict_as_well_as_numbers(stars, probit):
    gaussian = rc.make("bayes_mf", **QUICK).fit(stars.train)
    assert rmse(probit, stars.test) == pytest.approx(rmse(gaussian, stars.test), rel=0.03)
    assert rmse(probit, stars.valid) == pytest.approx(probit.history_.best_valid, abs=0.01)


def test_cut_points_ascend_in_every_draw(probit):
    assert (probit.net_.cut.diff(dim=1) > 0).all()


def test_a_category_has_the_probability_of_a_normal_number_between_its_cut_points(probit):
    x = torch.tensor([0.3])
    cut = probit.net_.cut[0]
    probabilities = probit.net_.probabilities(x, cut)[0].numpy()
    edges = np.concatenate([[-np.inf], cut, [np.inf]])
    np.testing.assert_allclose(probabilities, np.diff(ndtr(edges - 0.3)), atol=1e-6)
    expected = probit.net_.expected(x, cut).item()
    assert expected == pytest.approx(probabilities @ np.arange(1, 6), abs=1e-5)


def test_the_moments_are_those_of_the_mean_probabilities(stars, probit):
    user, item = (torch.from_numpy(x[:50]).long() for x in (stars.test.user, stars.test.item))
    net = probit.net_
    probabilities = np.zeros((50, 5))
    for s, x in enumerate(net.latent(user, item)):
        probabilities += net.probabilities(x, net.cut[s]).numpy() / int(net.n_drawn)
    categories = np.arange(1, 6)
    expected_mean = probabilities @ categories
    expected_std = np.sqrt(probabilities @ categories**2 - expected_mean**2)
    mean, std = (x.numpy() for x in net.moments(user, item))
    np.testing.assert_allclose(mean, expected_mean, atol=1e-4)
    np.testing.assert_allclose(std, expected_std, atol=1e-3)


def test_the_share_of_categories_within_an_interval_is_its_level(stars, probit):
    low, high = probit.predict_interval(stars.test.user, stars.test.item)
    inside = np.mean((low <= stars.test.value) & (stars.test.value <= high))
    assert inside == pytest.approx(0.9, abs=0.05)
    assert probit.predict_interval(np.array([-1]), np.array([0]))[0] < 3


def test_a_new_user_with_a_fitted_user_s_categories_gets_about_their_predictions(stars, probit):
    user = np.argsort(-stars.train.count("user"))[:5]
    folded_in = probit.fold_in(stars.train.by_user.take(user))
    fitted = probit.scores(user, stars.train)
    assert np.abs(folded_in - fitted).mean() < 0.15


def test_a_saved_model_of_categories_predicts_the_same(stars, probit, tmp_path):
    rc.save(probit, tmp_path / "m")
    pairs = stars.test.user, stars.test.item
    loaded = rc.load_model(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(*pairs), probit.predict(*pairs))


SHORT = {"factors": 2, "epochs": 6, "burn_in": 2, "n_samples": 4}


def test_by_default_levels_are_categories_and_times_are_moments(stars, parts):
    of_levels = rc.make("bayes_mf", **SHORT).fit(stars.train)
    assert of_levels.net_.categories.tolist() == [1, 2, 3, 4, 5]
    assert len(of_levels.net_.moment_numbers) == N_STEPS
    on_days = dataclasses.replace(stars.train, time=stars.train.time // 86_400 * 86_400)
    of_days = rc.make("bayes_mf", **SHORT).fit(on_days)
    assert len(of_days.net_.moment_numbers) == len(np.unique(stars.train.time // 86_400))
    of_numbers = rc.make("bayes_mf", **SHORT).fit(dataclasses.replace(parts.train, time=None))
    assert len(of_numbers.net_.categories) == len(of_numbers.net_.moment_numbers) == 0


def test_a_stated_precision_of_the_noise_means_numbers(stars):
    model = rc.make("bayes_mf", **SHORT, alpha=2.0).fit(stars.train)
    assert len(model.net_.categories) == 0


def test_ratings_with_too_many_values_are_no_categories(parts):
    with pytest.raises(DataError, match="probit needs ratings with 2 to 100 different values"):
        rc.make("bayes_mf", **QUICK | {"probit": True}).fit(parts.train)


def test_days_need_times(parts):
    with pytest.raises(DataError, match="needs the time"):
        rc.make("bayes_mf", **QUICK | {"time": True}).fit(
            dataclasses.replace(parts.train, time=None)
        )


def test_kept_draws_are_evenly_spaced_and_include_the_last(parts):
    settings = {"factors": 2, "epochs": 11, "burn_in": 1, "n_samples": 4}
    model = rc.make("bayes_mf", **settings).fit(parts.train)
    assert int(model.net_.n_drawn) == len(model.net_.alpha) == 4
    std = model.net_.std * model.unit_.size  # in rating points
    last_alpha = model.net_.alpha[-1] / std**2
    assert last_alpha == pytest.approx(model.history_.epochs[-1]["alpha"])


def test_an_item_without_ratings_is_cold_and_its_vectors_are_finite(few):
    model = rc.make("bayes_mf", factors=2, epochs=6, burn_in=2, n_samples=4).fit(few)
    assert torch.isfinite(model.net_.item[:, 3]).all()
    assert model.is_cold(np.array([0]), np.array([3])).all()


def test_validation_is_of_the_mean_over_the_draws_so_far(parts, fitted):
    errors = [error for _, error in fitted.history_.column("valid_rmse")]
    assert errors[-1] < errors[29] - 0.05  # one draw is much worse
    all_kept = rc.make("bayes_mf", **QUICK | {"n_samples": 50}).fit(parts.train, parts.valid)
    assert rmse(all_kept, parts.valid) == pytest.approx(all_kept.history_.best_valid, abs=1e-3)


@pytest.mark.parametrize("changes", [{}, {"probit": True}, {"time": True, "bags": False}])
def test_an_interrupted_fit_resumes_to_the_bit(stars, changes, tmp_path):
    settings = {"factors": 3, "epochs": 12, "burn_in": 4, "n_samples": 6, **PLAIN, **changes}

    def stop(figures):
        if figures["epoch"] == 7:
            raise KeyboardInterrupt

    whole = rc.make("bayes_mf", **settings).fit(stars.train, stars.valid)
    stopping = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("bayes_mf", **settings).fit(stars.train, stars.valid, stopping)
    resuming = rc.Run(folder=tmp_path, resume=True)
    resumed = rc.make("bayes_mf", **settings).fit(stars.train, stars.valid, resuming)
    for name, x in whole.net_.state_dict().items():
        np.testing.assert_array_equal(x, resumed.net_.state_dict()[name])
    assert whole.history_.best_valid == resumed.history_.best_valid


def test_products_of_vectors_are_means_over_draws(fitted, parts):
    vectors = fitted.vectors("item")
    item = fitted.net_.item[:, :, :-1].float().numpy()
    is_rated = parts.train.count("item") > 0
    item = item - item[:, is_rated].mean(axis=1, keepdims=True)
    expected = np.mean([draw[3] @ draw[4] for draw in item])
    np.testing.assert_allclose(vectors[3] @ vectors[4], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factors": 0}, "factors must be at least 1"),
        ({"burn_in": -1}, "burn_in must be at least 0"),
        ({"burn_in": 200}, "no draw would count"),
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"init": 0.0}, "init must be above 0"),
        ({"alpha": 1.0, "probit": True}, "leave alpha out"),
        ({"n_samples": 0}, "n_samples must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        rc.make("bayes_mf", **settings)


def test_a_level_that_is_no_probability_is_refused():
    with pytest.raises(SettingError, match="level must be a probability"):
        rc.make("bayes_mf").predict_interval(np.array([0]), np.array([0]), 90.0)


def test_the_former_name_of_n_samples_is_accepted():
    assert rc.make("bayes_mf", kept=7).n_samples == 7


def test_with_refit_one_fit_learns_from_validation_ratings_too(parts):
    both = rc.make("bayes_mf", **QUICK | {"refit": True}).fit(parts.train, parts.valid)
    assert len(both.given_) == len(parts.train) + len(parts.valid)
    assert len(both.history_) == both.epochs
    plain = rc.make("bayes_mf", **QUICK).fit(parts.train.union(parts.valid))
    pairs = parts.test.user, parts.test.item
    np.testing.assert_array_equal(both.predict(*pairs), plain.predict(*pairs))
