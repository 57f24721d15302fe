"""RRN: two LSTMs by hand, what they must not see, and what they find that factors cannot."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.calendar import SECONDS
from recollect.data.rating_unit import RatingUnit
from recollect.errors import DataError, SettingError
from recollect.models.rrn import dynamic_factors
from recollect.models.rrn.network import OTHER, SIDES
from recollect.models.rrn.subspace_descent import SubspaceDescent, SubspaceOptions

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"step_days": 1, "refit": True},
]

SETTINGS = {
    "factors": 3,
    "hidden": 5,
    "embedding": 4,
    "dynamic": 2,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "epochs": 3,
    "step_days": 5,
    "clip": False,
}


@pytest.fixture(scope="module")
def drifting(planted_small):
    """Ratings of 100 days. Those of even items rise by 6 points on a scale from -2 to 8 in that
    time, those of odd ones fall by 6; then the scale is made 1 to 5."""
    ratings = planted_small.ratings
    day = np.random.default_rng(0).integers(0, 100, len(ratings))
    drift = 3 * (day - 50) / 50 * np.where(ratings.item % 2, -1, 1)
    return replace(
        ratings,
        value=RatingUnit.of((-2.0, 8.0)).standard((ratings.value + drift).astype(np.float32)),
        time=day.astype(np.int64) * SECONDS + 7,
        scale=(1.0, 5.0),
    )


@pytest.fixture(scope="module")
def fitted(drifting):
    return rc.make("rrn", **SETTINGS).fit(drifting)


@pytest.fixture
def learning(drifting):
    """A fitted model that the test may train further."""
    return rc.make("rrn", **SETTINGS).fit(drifting)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(weights, y, h, c):
    gates = weights["input.weight"] @ y + weights["input.bias"] + weights["recur.weight"] @ h
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def expected_factors(model, ratings, side, row, time):
    """ũ of a user or m̃ of an item at a time, from all ratings of earlier steps, step by step."""
    state = model.net_.dynamic[side].state_dict()
    weights = {name: x.double().numpy() for name, x in state.items()}
    rows, columns = ratings.user, ratings.item
    if side == "item":
        rows, columns = columns, rows
    days = model.step_days * SECONDS
    first = ratings.time.min() // days
    n_steps = ratings.time.max() // days - first + 1
    step = ratings.time // days - first
    last = time // days - first
    h = c = np.zeros(model.hidden)
    before = None
    x = np.zeros(len(weights["ratings"]))
    for now in [*(s for s in np.unique(step[rows == row]) if s < last), last]:
        clock = [1, now / n_steps, 0] if before is None else [0, now / n_steps, before / n_steps]
        y = x @ weights["ratings"] + weights["clock.weight"] @ clock + weights["clock.bias"]
        h, c = lstm_step(weights, y, h, c)
        of_step = (rows == row) & (step == now)
        centered = ratings.value[of_step] - ratings.mean
        x = np.bincount(columns[of_step], weights=centered, minlength=len(x))
        before = now
    return weights["out.weight"] @ h + weights["out.bias"]


@pytest.mark.parametrize("day", [-20, 0, 31, 99, 140])
def test_a_rating_is_what_the_equations_say(fitted, drifting, day):
    user, item = 7, 3
    time = day * SECONDS
    stationary = fitted.net_.stationary
    u = stationary.user[user].numpy()
    m = stationary.item[item].numpy()
    dynamic_user = expected_factors(fitted, drifting, "user", user, time)
    dynamic_item = expected_factors(fitted, drifting, "item", item, time)
    expected = drifting.mean + u[-1] + m[-1] + u[:-1] @ m[:-1] + dynamic_user @ dynamic_item
    predicted = fitted.predict(np.array([user]), np.array([item]), times=np.array([time]))
    np.testing.assert_allclose(predicted, expected, rtol=1e-4)


def at_their_time(model, ratings):
    return model.predict(ratings.user, ratings.item, times=ratings.time)


def reading(model, ratings):
    """The fitted weights with LSTMs that read these ratings instead; nothing is computed yet."""
    other = replace(model)
    other.given_ = ratings
    other.net_ = other.build(ratings.n_users, ratings.n_items)
    other.net_.load_state_dict(model.net_.state_dict())
    other.net_.eval()
    other._forget()
    return other


def test_no_prediction_sees_its_own_step_or_later_ones(fitted, drifting):
    now = 50 * SECONDS
    is_later = drifting.time >= now
    shifted = replace(drifting, value=drifting.value + 5 * is_later.astype(np.float32))
    before = at_their_time(fitted, drifting)
    after = at_their_time(reading(fitted, shifted), drifting)
    is_early = drifting.time < now + 5 * SECONDS  # the step that begins now included
    np.testing.assert_allclose(before[is_early], after[is_early], atol=1e-6)
    assert np.abs(before - after)[~is_early].max() > 2e-5


def test_factors_are_the_same_one_by_one_and_together(fitted, drifting):
    for side in SIDES:
        factors = fitted.dynamic_factors(side)
        one_by_one = factors.at(factors.steps.row, factors.steps.step)
        np.testing.assert_allclose(factors.at_slots(), one_by_one, atol=1e-6)


def test_factors_are_the_same_if_states_do_not_fit_together(fitted, drifting, monkeypatch):
    together = at_their_time(fitted, drifting)
    monkeypatch.setattr(dynamic_factors, "SLOTS_AT_ONCE", 70)
    monkeypatch.setattr(dynamic_factors, "KEPT_SLOTS", 500)
    apart = at_their_time(reading(fitted, drifting), drifting)
    np.testing.assert_allclose(apart, together, atol=1e-5)


@pytest.mark.parametrize("kept", [dynamic_factors.KEPT_SLOTS, 500])
def test_many_threads_get_the_same_answer(fitted, drifting, monkeypatch, kept):
    expected = at_their_time(fitted, drifting)
    monkeypatch.setattr(dynamic_factors, "KEPT_SLOTS", kept)
    served = reading(fitted, drifting)
    start = threading.Barrier(4)
    answers = []

    def ask():
        start.wait()
        answers.append(at_their_time(served, drifting))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for answer in answers:
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_states_are_computed_once_for_all_threads(fitted, drifting, monkeypatch):
    served = reading(fitted, drifting)
    computed = []
    states_of = dynamic_factors.DynamicFactors._states_of

    def counting(factors, rows):
        computed.append(rows)
        return states_of(factors, rows)

    monkeypatch.setattr(dynamic_factors.DynamicFactors, "_states_of", counting)
    threads = [
        threading.Thread(target=served.scores, args=(np.arange(20), drifting)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(computed) == 2  # of users and of items


@pytest.mark.slow
def test_drift_is_learned(drifting):
    # Steeper than ratings can be: neither checked nor clipped.
    value = RatingUnit.of((-2.0, 8.0)).points(drifting.value)
    steep = replace(drifting, value=value, checked=True)
    split = rc.time_split(steep, test=0.2)
    settings = SETTINGS | {"epochs": 15, "batch_size": 64, "learning_rate": 0.03, "decay": 0.9}
    with_time = rc.make("rrn", **settings).fit(split.train)
    without = rc.make(
        "pmf", factors=5, reg_user=0.3, reg_item=0.3, reg_power=0.0, epochs=20, clip=False
    )
    without.fit(split.train)
    error = rc.held_out(with_time, split.test)["rmse"]
    assert error < 0.7 * rc.held_out(without, split.test)["rmse"]


def descent(model, ratings, *, leave_one_out=True):
    options = SubspaceOptions(
        learning_rate=0.01,
        decay=1.0,
        batch_size=30,
        batch_slots=100,
        reg=0.0,
        leave_one_out=leave_one_out,
    )
    learner = SubspaceDescent(
        model.net_,
        ratings,
        model.steps,
        options,
        reg_user=model.stationary_reg("user", ratings.count("user")),
        reg_item=model.stationary_reg("item", ratings.count("item")),
    )
    learner.pretrain(0)
    return learner


def test_a_turn_changes_one_side_only(learning, drifting):
    learner = descent(learning, drifting)
    for side in SIDES:
        before = {name: x.clone() for name, x in learning.net_.state_dict().items()}
        learner.turn(side)
        after = learning.net_.state_dict()
        changed = {name for name, x in after.items() if not torch.equal(x, before[name])}
        of_lstm = {name for name in before if name.startswith(f"dynamic.{side}")}
        assert changed == {f"stationary.{side}", *of_lstm}
        assert not any(OTHER[side] in name for name in changed)


def test_turns_lower_the_error(learning, drifting):
    learner = descent(learning, drifting, leave_one_out=False)
    errors = [learner.turn(side) for _ in range(4) for side in SIDES]
    assert errors[-1] < 0.9 * errors[0]


def test_the_error_without_a_rating_follows_from_its_leverage(fitted, drifting):
    """The error of a ridge regression without a rating is its error with it / (1 − leverage)."""
    leverage = descent(fitted, drifting).leverage("user")
    of_user = np.flatnonzero(drifting.user == 4)
    features = fitted.net_.stationary.features("item").numpy()
    F = features[drifting.item[of_user]].astype(float)
    value = drifting.value[of_user].astype(float)

    def error(j, used):
        f = F[used]
        x = np.linalg.solve(f.T @ f + 0.3 * np.eye(4), f.T @ value[used])
        return value[j] - F[j] @ x

    everything = np.ones(len(of_user), bool)
    for j in (0, 5):
        without = everything.copy()
        without[j] = False
        expected = error(j, everything) / (1 - float(leverage[of_user[j]]))
        assert error(j, without) == pytest.approx(expected, rel=1e-4)


def test_without_times_it_predicts_for_the_last_day(fitted, drifting):
    user = item = np.arange(20)
    last = np.array([drifting.time[drifting.user == u].max() for u in user])
    predicted = fitted.predict(user, item)
    np.testing.assert_array_equal(predicted, fitted.predict(user, item, times=last))
    assert np.abs(predicted - fitted.predict(user, item, times=last * 0)).max() > 0


def test_an_interrupted_fit_resumes_to_the_bit(drifting, tmp_path):
    split = rc.random_split(drifting, test=0.1, valid=0.1, seed=0)
    settings = SETTINGS | {"epochs": 5}
    whole = rc.make("rrn", **settings).fit(split.train, split.valid)

    def stop(figures):
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    stopping = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("rrn", **settings).fit(split.train, split.valid, stopping)
    resuming = rc.Run(folder=tmp_path, resume=True)
    resumed = rc.make("rrn", **settings).fit(split.train, split.valid, resuming)
    for name, x in whole.net_.state_dict().items():
        np.testing.assert_array_equal(x, resumed.net_.state_dict()[name])


def test_a_saved_model_predicts_the_same(fitted, drifting, tmp_path):
    rc.save(fitted, tmp_path / "m")
    loaded = rc.load_model(tmp_path / "m")
    np.testing.assert_array_equal(at_their_time(fitted, drifting), at_their_time(loaded, drifting))


def test_states_are_computed_anew_after_the_network_has_learned(learning, drifting):
    first = at_their_time(learning, drifting)
    descent(learning, drifting).epoch(1)
    learning.net_.eval()
    assert np.abs(at_their_time(learning, drifting) - first).max() > 0


def test_it_needs_times(drifting):
    with pytest.raises(DataError, match="needs the time of each rating"):
        rc.make("rrn").fit(replace(drifting, time=None))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_days": 0}, "step_days must be at least 1"),
        ({"reg_user": 0.0}, "reg_user must be above 0"),
        ({"reg": -1.0}, "reg must be at least 0"),
        ({"pretrain_epochs": -1}, "pretrain_epochs must be at least 0"),
        ({"reg_power": 1.5}, "reg_power must be at least 0 and at most 1"),
        ({"decay": 1.5}, "decay must be above 0 and at most 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        rc.make("rrn", **settings)


def test_the_former_name_of_leave_one_out_is_accepted():
    assert not rc.make("rrn", left_out=False).leave_one_out
