"""TimeSVDpp: users and items that change, and what is left when they do not."""

from dataclasses import replace

import numpy as np
import pytest

import recollect as rc
from recollect.data.calendar import SECONDS
from recollect.errors import DataError, SettingError

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"day_factors": True, "frequency": True, "refit": True},
]

SETTINGS = {
    "factors": 4,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "init": 0.1,
    "epochs": 40,
    "decay": 1.0,
}
STILL = {
    f"step_{name}": (0.0, 0.0) for name in ("slope", "day", "bin", "scale", "scale_day", "drift")
}


@pytest.fixture(scope="module")
def turning(planted_small):
    """Every user rates on 6 days of 100; all ratings of the second half of the time are one lower, items of even number two."""
    ratings, random = planted_small.ratings, np.random.default_rng(0)
    days = random.integers(0, 100, (ratings.n_users, 6))
    day = days[ratings.user, random.integers(0, 6, len(ratings))]
    value = ratings.value - (day >= 50) * np.where(ratings.item % 2, 1, 2)
    return replace(
        ratings,
        value=value.astype(np.float32),
        time=day.astype(np.int64) * SECONDS,
        scale=(-20.0, 20.0),
    )


def test_without_change_it_is_svdpp(turning):
    split = rc.random_split(turning, test=0.1, seed=0)
    still = rc.make("timesvdpp", **SETTINGS, **STILL).fit(split.train)
    plain = rc.make("svdpp", **SETTINGS).fit(split.train)
    np.testing.assert_allclose(still.net_.implied, plain.net_.implied, atol=1e-3)
    assert rc.held_out(still, split.test)["rmse"] == pytest.approx(
        rc.held_out(plain, split.test)["rmse"], rel=1e-3
    )


@pytest.mark.parametrize("more", [{}, {"day_factors": True}, {"frequency": True}], ids=str)
def test_a_rating_is_what_the_equations_say(turning, more):
    model = rc.make("timesvdpp", **SETTINGS, **more, clip=False, bins=5).fit(turning)
    net, days, user, item = model.net_, model.days, 7, 3
    day = days.day[days.user == user][2]
    slot, part = (
        days.slot(np.array([user]), np.array([day]))[0],
        min((day - days.first) * 5 // (days.last - days.first + 1), 4),
    )
    far = np.sign(day - days.middle[user]) * abs(day - days.middle[user]) ** 0.4
    rated = turning.item[turning.user == user]
    b_user = net.user[user, -1] + net.slope[user] * far + net.b_day[slot]
    b_item = (net.item[item, -1] + net.b_bin[item, part]) * (net.scale[user] + net.scale_day[slot])
    b_often = net.b_often[item, int(np.log(days.count[slot]) / np.log(6.76))]
    taste = (
        net.own[user] + far * net.drift[user] + net.implied[rated].sum(dim=0) / np.sqrt(len(rated))
    )
    taste = taste + net.day[slot] if more.get("day_factors") else taste
    by_hand = turning.mean + b_user + b_item + b_often + net.item[item, :-1] @ taste
    found = model.predict(np.array([user]), np.array([item]), times=np.array([day * SECONDS + 99]))
    np.testing.assert_allclose(found, by_hand.numpy(), rtol=1e-5)
    assert bool(net.b_often.any()) == more.get("frequency", False)


def test_what_changes_is_learned(turning):
    split = rc.random_split(turning, test=0.1, seed=0)
    steps = {
        "bins": 2,
        "step_day": (0.02, 0.05),
        "step_bin": (0.02, 0.01),
        "step_slope": (1e-3, 0.1),
    }
    timed = rc.held_out(rc.make("timesvdpp", **SETTINGS, **steps).fit(split.train), split.test)[
        "rmse"
    ]
    plain = rc.held_out(rc.make("svdpp", **SETTINGS).fit(split.train), split.test)["rmse"]
    assert timed < 0.8 * plain


def test_without_times_it_predicts_for_the_last_day(turning):
    model = rc.make("timesvdpp", **SETTINGS).fit(turning)
    user, item = np.arange(20), np.arange(20)
    last = np.array([turning.time[turning.user == u].max() for u in user])
    np.testing.assert_array_equal(model.predict(user, item), model.predict(user, item, times=last))
    assert np.abs(model.predict(user, item) - model.predict(user, item, times=last * 0)).max() > 0


def test_a_day_that_was_not_seen_has_no_terms_of_its_own(turning):
    model = rc.make("timesvdpp", **SETTINGS, day_factors=True).fit(turning)
    slots = len(model.days)
    assert not model.net_.b_day[slots]
    assert not model.net_.day[slots].any()
    assert np.isfinite(
        model.predict(np.array([0, 0]), np.array([1, 1]), times=np.array([-5, 10**6]) * SECONDS)
    ).all()


def test_a_refit_counts_the_days_of_all_ratings(turning):
    split = rc.random_split(turning, test=0.1, valid=0.1, seed=0)
    model = rc.make("timesvdpp", **SETTINGS, refit=True).fit(split.train, split.valid)
    assert len(model.net_.b_day) == len(model.days) + 1
    assert model.predict(split.test.user, split.test.item, times=split.test.time).std() > 0


def test_an_interrupted_fit_goes_on_to_the_bit(turning, tmp_path):
    settings = SETTINGS | {"epochs": 6, "day_factors": True}
    whole = rc.make("timesvdpp", **settings).fit(turning)

    def stop(figures):
        if figures["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rc.make("timesvdpp", **settings).fit(
            turning, run=rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
        )
    again = rc.make("timesvdpp", **settings).fit(turning, run=rc.Run(folder=tmp_path, resume=True))
    np.testing.assert_array_equal(whole.net_.day, again.net_.day)


def test_a_saved_model_knows_the_days(turning, tmp_path):
    model = rc.make("timesvdpp", **SETTINGS).fit(turning)
    rc.save(model, tmp_path / "m")
    loaded = rc.load_model(tmp_path / "m")
    asked = {"user": turning.user[:50], "item": turning.item[:50], "times": turning.time[:50]}
    np.testing.assert_array_equal(model.predict(**asked), loaded.predict(**asked))


def test_it_needs_times(turning):
    with pytest.raises(DataError, match="needs the time of each rating"):
        rc.make("timesvdpp").fit(replace(turning, time=None))


def test_settings_that_cannot_work_are_refused():
    for bad, told in (
        ({"bins": 0}, "bins is 1 or more"),
        ({"step_day": (0.1,)}, "step_day is a step and a λ"),
        ({"step_bin": (-0.1, 0.0)}, "each 0 or more"),
    ):
        with pytest.raises(SettingError, match=told):
            rc.make("timesvdpp", **bad)
