"""RRN: two LSTMs by hand, what they may not see, and what they find that factors cannot."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.calendar import SECONDS
from recollect.errors import DataError, SettingError
from recollect.models.rrn import recurrent
from recollect.models.rrn.recurrent import Packed, Reader, TimeSteps
from recollect.models.rrn.subspace_descent import SIDES, SubspaceDescent, SubspaceOptions

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
def moving(planted_small):
    """Ratings of 100 days. Even items rise by 3 on the way, odd ones fall by 3."""
    ratings, random = planted_small.ratings, np.random.default_rng(0)
    day = random.integers(0, 100, len(ratings))
    value = ratings.value + 3 * (day - 50) / 50 * np.where(ratings.item % 2, -1, 1)
    return replace(
        ratings,
        value=value.astype(np.float32),
        time=day.astype(np.int64) * SECONDS + 7,
        scale=(-20.0, 20.0),
    )


@pytest.fixture
def fitted(moving):
    return rc.make("rrn", **SETTINGS).fit(moving)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(model, ratings, side, row, time):
    """ũ of a user or m̃ of an item at a time, from all ratings of earlier steps, one step after the other."""
    net = {name: x.double().numpy() for name, x in model.net_.moving[side].state_dict().items()}
    days, zero = model.step_days * SECONDS, ratings.time.min() // (model.step_days * SECONDS)
    ours, theirs = (ratings.user, ratings.item) if side == "user" else (ratings.item, ratings.user)
    step, n_steps, when = (
        ratings.time // days - zero,
        (ratings.time.max() // days - zero) + 1,
        time // days - zero,
    )
    steps = [s for s in np.unique(step[ours == row]) if s < when]
    h = c = np.zeros(model.hidden)
    before, x = None, np.zeros(len(net["ratings"]))
    for now in [*steps, when]:
        clock = [before is None, now / n_steps, 0 if before is None else before / n_steps]
        y = x @ net["ratings"] + net["clock.weight"] @ clock + net["clock.bias"]
        i, f, g, o = np.split(
            net["input.weight"] @ y + net["input.bias"] + net["recur.weight"] @ h, 4
        )
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        here = (ours == row) & (step == now)
        before, x = (
            now,
            np.bincount(theirs[here], weights=ratings.value[here] - ratings.mean, minlength=len(x)),
        )
    return net["out.weight"] @ h + net["out.bias"]


@pytest.mark.parametrize("day", [-20, 0, 31, 99, 140])
def test_a_rating_is_what_the_equations_say(fitted, moving, day):
    user, item, time = 7, 3, day * SECONDS
    still = fitted.net_.still
    expected = (
        moving.mean
        + still.user[user, -1]
        + still.item[item, -1]
        + still.user[user, :-1] @ still.item[item, :-1]
        + by_hand(fitted, moving, "user", user, time) @ by_hand(fitted, moving, "item", item, time)
    )
    found = fitted.predict(np.array([user]), np.array([item]), times=np.array([time]))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4)


def at_their_time(model, ratings):
    return model.predict(ratings.user, ratings.item, times=ratings.time)


def shown(model, ratings):
    """The fitted network, its LSTMs reading these ratings."""
    other = replace(model)
    other.net_, other.given_ = model.net_, ratings
    other.net_.eval()
    return other


def test_no_prediction_sees_its_own_time_or_what_comes_after(fitted, moving):
    now = 50 * SECONDS
    later = moving.time >= now
    shifted = replace(moving, value=moving.value + 5 * later.astype(np.float32))
    before, after = at_their_time(fitted, moving), at_their_time(shown(fitted, shifted), moving)
    in_the_step = moving.time < now + 5 * SECONDS
    np.testing.assert_allclose(before[in_the_step], after[in_the_step], atol=1e-6)
    assert np.abs(before - after)[~in_the_step].max() > 2e-5


def test_states_are_the_same_one_by_one_and_together(fitted, moving, monkeypatch):
    whole = at_their_time(fitted, moving)
    for side in SIDES:
        reader = fitted.reader(side)
        steps = reader.steps
        np.testing.assert_allclose(reader.table(), reader.at(steps.row, steps.step), atol=1e-6)
    monkeypatch.setattr(recurrent, "SLOTS", 7)
    monkeypatch.setattr(recurrent, "KEPT", 50)
    np.testing.assert_allclose(at_their_time(shown(fitted, moving), moving), whole, atol=1e-5)


def test_slots_are_read_the_longest_row_first(few):
    steps = TimeSteps.of(
        replace(few, time=np.array([0, 1, 1, 5, 5, 5, 2]) * SECONDS), "user", days=1, mean=0.0
    )
    assert steps.start.tolist() == [0, 2, 3, 4]
    packed = Packed.of(steps, np.array([2, 0, 1]))
    assert packed.slot.tolist() == [0, 3, 2, 1]
    assert packed.sizes == [3, 1]
    assert steps.before.tolist() == [-1, 0, -1, -1]
    assert steps.last_before(np.array([0, 0, 0, 0]), np.array([-3, 0, 1, 9])).tolist() == [
        -1,
        -1,
        0,
        1,
    ]


def test_what_moves_is_learned(moving):
    split = rc.time_split(moving, test=0.2)
    settings = SETTINGS | {"epochs": 40, "batch_size": 32, "learning_rate": 0.01, "decay": 0.97}
    timed = rc.held_out(rc.make("rrn", **settings).fit(split.train), split.test)["rmse"]
    still = rc.held_out(
        rc.make("pmf", factors=5, reg_user=0.3, reg_item=0.3, reg_power=0.0, epochs=20).fit(
            split.train
        ),
        split.test,
    )["rmse"]
    assert timed < 0.7 * still


def subspaces(model, ratings, **more):
    plan = SubspaceOptions(
        **{
            "learning_rate": 0.01,
            "decay": 1.0,
            "batch_size": 30,
            "batch_slots": 100,
            "reg": 0.0,
            "left_out": True,
            **more,
        }
    )
    learner = SubspaceDescent(
        model.net_,
        ratings,
        model.steps,
        plan,
        reg_user=model.lambdas("user", ratings.count("user")),
        reg_item=model.lambdas("item", ratings.count("item")),
    )
    learner.begin(0)
    return learner


def test_a_turn_changes_one_side_only(fitted, moving):
    learner = subspaces(fitted, moving)
    for side, other in (SIDES, SIDES[::-1]):
        before = {name: x.clone() for name, x in fitted.net_.state_dict().items()}
        learner.turn(side)
        changed = {
            name for name, x in fitted.net_.state_dict().items() if not torch.equal(x, before[name])
        }
        assert changed == {
            f"still.{side}",
            *(name for name in before if name.startswith(f"moving.{side}")),
        }
        assert not any(other in name for name in changed)


def test_turns_lower_the_error(fitted, moving):
    learner = subspaces(fitted, moving, left_out=False)
    totals = [learner.turn(side) for _ in range(10) for side in SIDES]
    assert totals[-1] < 0.9 * totals[0]


def test_a_rating_is_left_out_of_the_factors_that_the_lstm_learns_beside(fitted, moving):
    """The error of a ridge regression without a rating is its error with it, divided by 1 − leverage."""
    pull = subspaces(fitted, moving)._leverage("user")
    mine = np.flatnonzero(moving.user == 4)
    features = fitted.net_.still.features("item").numpy()[moving.item[mine]].astype(float)
    value, doubt = moving.value[mine].astype(float), 0.3 * np.eye(4)

    def left(kept, asked):
        f = features[kept]
        return value[asked] - features[asked] @ np.linalg.solve(f.T @ f + doubt, f.T @ value[kept])

    everything = np.ones(len(mine), bool)
    for j in (0, 5):
        without = everything.copy()
        without[j] = False
        assert left(without, j) == pytest.approx(
            left(everything, j) / (1 - float(pull[mine[j]])), rel=1e-4
        )


def test_without_times_it_predicts_for_the_last_day(fitted, moving):
    user, item = np.arange(20), np.arange(20)
    last = np.array([moving.time[moving.user == u].max() for u in user])
    np.testing.assert_array_equal(
        fitted.predict(user, item), fitted.predict(user, item, times=last)
    )
    assert np.abs(fitted.predict(user, item) - fitted.predict(user, item, times=last * 0)).max() > 0


def test_an_interrupted_fit_goes_on_to_the_bit(moving, tmp_path):
    split = rc.random_split(moving, test=0.1, valid=0.1, seed=0)
    settings = SETTINGS | {"epochs": 5}
    whole = rc.make("rrn", **settings).fit(split.train, split.valid)

    def stop(figures):
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rc.make("rrn", **settings).fit(
            split.train, split.valid, rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
        )
    again = rc.make("rrn", **settings).fit(
        split.train, split.valid, rc.Run(folder=tmp_path, resume=True)
    )
    for name, x in whole.net_.state_dict().items():
        np.testing.assert_array_equal(x, again.net_.state_dict()[name])


def test_a_saved_model_reads_what_it_has_read(fitted, moving, tmp_path):
    rc.save(fitted, tmp_path / "m")
    np.testing.assert_array_equal(
        at_their_time(fitted, moving), at_their_time(rc.load_model(tmp_path / "m"), moving)
    )


def test_states_are_kept_until_the_network_learns_on(fitted, moving):
    first = at_their_time(fitted, moving)
    subspaces(fitted, moving).epoch(1)
    fitted.net_.eval()
    assert np.abs(at_their_time(fitted, moving) - first).max() > 0
    assert isinstance(fitted.reader("user"), Reader)


def test_it_needs_times(moving):
    with pytest.raises(DataError, match="needs the time of each rating"):
        rc.make("rrn").fit(replace(moving, time=None))


def test_settings_that_cannot_work_are_refused():
    for bad, told in (
        ({"step_days": 0}, "step_days is 1 or more"),
        ({"reg_user": 0.0}, "reg_user is above 0"),
        ({"reg": -1.0}, "reg and pretrain_epochs are 0 or more"),
        ({"decay": 1.5}, "decay is above 0"),
    ):
        with pytest.raises(SettingError, match=told):
            rc.make("rrn", **bad)
