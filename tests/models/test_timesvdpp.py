"""TimeSVDpp: users and items that change with time, and what is left when they do not."""

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import recollect as rc
from recollect.data.calendar import SECONDS, Days
from recollect.errors import DataError, SettingError
from recollect.kernels.reference import timesvdpp as reference

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
NO_STEP = (0.0, 0.0)
WITHOUT_TIME = {
    "step_slope": NO_STEP,
    "step_day": NO_STEP,
    "step_bin": NO_STEP,
    "step_scale": NO_STEP,
    "step_scale_day": NO_STEP,
    "step_drift": NO_STEP,
}


@pytest.fixture(scope="module")
def changing(planted_small):
    """Every user rates on 6 days of 100. Ratings of the second half of the time are one lower,
    those of even items two.
    """
    ratings = planted_small.ratings
    random = np.random.default_rng(0)
    days = random.integers(0, 100, (ratings.n_users, 6))
    day = days[ratings.user, random.integers(0, 6, len(ratings))]
    value = ratings.value - (day >= 50) * np.where(ratings.item % 2, 1, 2)
    return replace(
        ratings,
        value=value.astype(np.float32),
        time=day.astype(np.int64) * SECONDS,
        scale=(-20.0, 20.0),
    )


def rmse(model, split):
    return rc.held_out(model.fit(split.train), split.test)["rmse"]


def test_without_change_it_is_svdpp(changing):
    split = rc.random_split(changing, test=0.1, seed=0)
    constant = rc.make("timesvdpp", **SETTINGS, **WITHOUT_TIME)
    plain = rc.make("svdpp", **SETTINGS)
    assert rmse(constant, split) == pytest.approx(rmse(plain, split), rel=1e-3)
    np.testing.assert_allclose(constant.net_.y, plain.net_.y, atol=1e-3)


@pytest.mark.parametrize("changes", [{}, {"day_factors": True}, {"frequency": True}], ids=str)
def test_a_rating_is_what_the_equations_say(changing, changes):
    model = rc.make("timesvdpp", **SETTINGS, **changes, clip=False, bins=5)
    model = model.fit(changing).inner  # on 1 to 5, the unit of the equations
    changing = model.given_
    days = model.days
    user = 7
    item = 3
    day = int(days.day[days.user == user][2])
    slot = int(np.flatnonzero((days.user == user) & (days.day == day))[0])
    from_mean = day - days.mean[user]
    moment = reference.Moment(
        slot,
        deviation=float(np.sign(from_mean) * abs(from_mean) ** 0.4),
        bin=min((day - days.first) * 5 // (days.last - days.first + 1), 4),
        frequency=int(np.log(days.count[slot]) / np.log(6.76)),
    )
    arrays = SimpleNamespace(**{name: x.numpy() for name, x in model.net_.arrays().items()})
    rated = changing.item[changing.user == user]

    predicted = model.predict(
        np.array([user]), np.array([item]), times=np.array([day * SECONDS + 99])
    )

    expected = changing.mean + reference.predict(arrays, user, item, rated, moment)
    np.testing.assert_allclose(predicted, expected, rtol=1e-5)
    assert arrays.b_item_frequency.any() == changes.get("frequency", False)


def test_what_changes_is_learned(changing):
    split = rc.random_split(changing, test=0.1, seed=0)
    steps = {
        "bins": 2,
        "step_day": (0.02, 0.05),
        "step_bin": (0.02, 0.01),
        "step_slope": (1e-3, 0.1),
    }
    timed = rmse(rc.make("timesvdpp", **SETTINGS, **steps), split)
    assert timed < 0.8 * rmse(rc.make("svdpp", **SETTINGS), split)


def test_without_times_it_predicts_for_the_last_day(changing):
    model = rc.make("timesvdpp", **SETTINGS).fit(changing)
    user = np.arange(20)
    item = np.arange(20)
    last = np.array([changing.time[changing.user == u].max() for u in user])
    predicted = model.predict(user, item)
    np.testing.assert_array_equal(predicted, model.predict(user, item, times=last))
    assert np.abs(predicted - model.predict(user, item, times=last * 0)).max() > 0


def test_days_without_ratings_have_no_terms_of_their_own(changing):
    model = rc.make("timesvdpp", **SETTINGS, day_factors=True).fit(changing)
    last_slot = len(model.days)
    assert not model.net_.b_user_day[last_slot]
    assert not model.net_.p_day[last_slot].any()
    outside = np.array([-5, 10**6]) * SECONDS
    predicted = model.predict(np.array([0, 0]), np.array([1, 1]), times=outside)
    assert np.isfinite(predicted).all()


def test_a_refit_counts_the_days_of_all_ratings(changing):
    split = rc.random_split(changing, test=0.1, valid=0.1, seed=0)
    model = rc.make("timesvdpp", **SETTINGS, refit=True).fit(split.train, split.valid)
    assert len(model.net_.b_user_day) == len(model.days) + 1
    predicted = model.predict(split.test.user, split.test.item, times=split.test.time)
    assert predicted.std() > 0


def test_an_interrupted_fit_resumes_to_the_bit(changing, tmp_path):
    settings = SETTINGS | {"epochs": 6, "day_factors": True}
    whole = rc.make("timesvdpp", **settings).fit(changing)

    def interrupt(figures):
        if figures["epoch"] == 3:
            raise KeyboardInterrupt

    run = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(interrupt,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("timesvdpp", **settings).fit(changing, run=run)
    resumed = rc.make("timesvdpp", **settings).fit(
        changing, run=rc.Run(folder=tmp_path, resume=True)
    )
    np.testing.assert_array_equal(whole.net_.p_day, resumed.net_.p_day)


def test_a_saved_model_knows_the_days(changing, tmp_path):
    model = rc.make("timesvdpp", **SETTINGS).fit(changing)
    rc.save(model, tmp_path / "m")
    loaded = rc.load_model(tmp_path / "m")
    user = changing.user[:50]
    item = changing.item[:50]
    times = changing.time[:50]
    np.testing.assert_array_equal(
        model.predict(user, item, times=times), loaded.predict(user, item, times=times)
    )


def test_threads_that_ask_together_have_the_days_looked_up_once(changing, monkeypatch):
    model = rc.make("timesvdpp", **SETTINGS | {"epochs": 1}).fit(changing)
    model._forget()
    lookups = []
    days_of = Days.of

    def slow_days_of(ratings):
        lookups.append(ratings)
        time.sleep(0.05)  # long enough for the other threads to ask meanwhile
        return days_of(ratings)

    monkeypatch.setattr(Days, "of", slow_days_of)
    start = threading.Barrier(4)
    days = [None] * 4

    def ask(number):
        start.wait()
        days[number] = model.days

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lookups) == 1
    assert all(entry is days[0] for entry in days)


def test_it_needs_times(changing):
    with pytest.raises(DataError, match="needs the time of each rating"):
        rc.make("timesvdpp").fit(replace(changing, time=None))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"bins": 0}, "bins must be at least 1"),
        ({"step_day": (0.1,)}, "step_day is a learning rate and a λ"),
        ({"step_bin": (-0.1, 0.0)}, "step_bin must be at least 0"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(setting, message):
    with pytest.raises(SettingError, match=message):
        rc.make("timesvdpp", **setting)
