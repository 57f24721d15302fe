"""Blend: weights against plain NumPy and known ones, intervals, members, folders."""

import dataclasses
import itertools
import json
import os
import signal

import numpy as np
import pytest
import torch
from safetensors import torch as torch_file
from tests.test_checkpoint_edited import edit_tensors, make_fit

import recollect as rc
from recollect.errors import CheckpointError, DataError, LeakError, NotFittedError, SettingError
from recollect.memory_estimate import Shape
from recollect.models.blend import weights as w
from recollect.registry import from_text, make, settings, text_of
from recollect.run import Run
from recollect.training import snapshot_folder

PMF = "pmf factors=3 reg_user=0.3 reg_item=0.3 epochs=15"
AUTOREC = "autorec hidden=12 reg=2.0 epochs=20 refit=False"
SHORT_BAYES = "bayes_mf factors=3 epochs=8 burn_in=4 n_samples=4 refit=False"
BAYES = "bayes_mf factors=3 epochs=40 burn_in=4 n_samples=10 time=False probit=False refit=False"
VARIANTS = [
    {"refit": False},
    {"members": ("bias", BAYES)},
    {"members": (PMF, AUTOREC, "autorec side=user hidden=12 reg=1.0 epochs=60 center=True")},
]
RUN = Run(seed=4, threads=1)


@pytest.fixture(scope="module")
def parts(planted_small):
    return rc.random_split(planted_small.ratings, test=0.2, valid=0.2, seed=0)


@pytest.fixture(scope="module")
def fitted(parts):
    """Members on train, whose weights are learned from valid."""
    model = make("blend", members=("bias", AUTOREC, SHORT_BAYES), refit=False)
    return model.fit(parts.train, parts.valid, RUN)


# The weights.


def best_of_all_subsets(predicted: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Non-negative least squares, plainly: ordinary least squares with every set of members.

    Of those whose weights are all positive, the solution has the smallest error.
    """
    n_members = predicted.shape[1]
    best_error, best = np.inf, np.zeros(n_members + 1)

    for size in range(n_members + 1):
        for members in itertools.combinations(range(n_members), size):
            design = np.column_stack([predicted[:, members], np.ones(len(value))])
            solution = np.linalg.lstsq(design, value, rcond=None)[0]
            error = np.sum((value - design @ solution) ** 2)
            if (solution[:-1] >= 0).all() and error < best_error:
                best_error = error
                best = np.zeros(n_members + 1)
                best[[*members, n_members]] = solution

    return best


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_non_negative_least_squares_with_a_free_intercept(seed):
    draw = np.random.default_rng(seed)
    value = draw.normal(3.5, 1, 60)
    # The last two members go against the ratings, so that some weights are 0.
    slope = np.array([0.8, 0.5, -0.4, -1.0])
    predicted = value[:, None] * slope + draw.normal(0, 1, (60, 4)) + 2
    weights = w.least_squares(predicted, value)
    expected = best_of_all_subsets(predicted, value)
    np.testing.assert_allclose([*weights.weight, weights.intercept], expected, atol=1e-8)
    assert (weights.weight == 0).any()


def test_two_noisy_members_get_the_weights_that_their_errors_imply():
    """Of r + e with covariance C of the errors, the best weights are (11ᵀ σ² + C)⁻¹ 1 σ²."""
    draw = np.random.default_rng(0)
    variance = 1.2
    covariance = np.array([[0.5, 0.2], [0.2, 0.9]])
    value = draw.normal(3, variance**0.5, 200_000)
    errors = draw.multivariate_normal([0.3, -0.5], covariance, len(value))
    weights = w.choose_weights(value[:, None] + errors, value)
    expected = np.linalg.solve(variance + covariance, [variance, variance])
    np.testing.assert_allclose(weights.weight, expected, atol=0.01)
    # Unbiased, whatever the members' mean errors.
    assert weights.intercept == pytest.approx(3 - expected @ [3.3, 2.5], abs=0.02)


def test_few_ratings_and_overfitted_weights_leave_the_best_member_alone():
    draw = np.random.default_rng(1)
    value = draw.normal(3, 1, 30)
    good = value + draw.normal(0, 0.1, 30)
    noise = draw.normal(3, 1, (30, 12))
    for n in (30, 10):
        weights = w.choose_weights(np.column_stack([noise, good])[:n], value[:n])
        assert weights.weight.tolist() == [0.0] * 12 + [1.0]
        assert weights.intercept == 0

    assert w.choose_weights(noise[:0], value[:0]).weight.tolist() == [1 / 12] * 12


@pytest.mark.parametrize("seed", range(5))
def test_on_its_validation_ratings_it_is_no_worse_than_any_member(seed):
    def clip(ratings):
        return np.clip(ratings, 1, 5)

    draw = np.random.default_rng(seed)
    value = clip(np.round(draw.normal(4.5, 1, 25)))
    predicted = value[:, None] + draw.normal(0, 1.5, (25, 3))
    weights = w.choose_weights(predicted, value, clip)
    blended = w.mean_squared_error(clip(weights.sum(predicted)), value)
    assert blended <= min(w.mean_squared_error(clip(column), value) for column in predicted.T)


# The model.


def test_it_predicts_the_weighted_sum_of_its_members_clipped(fitted, parts, tmp_path):
    model = rc.load_model(rc.save(fitted, tmp_path / "m"))
    weight = np.array([0.2, 0.5, 0.4])
    model.net_.set(w.Weights(weight, -0.3), w.Calibration.normal())
    members = [from_text(text).fit(parts.train, parts.valid, RUN) for text in fitted.members]
    user, item = parts.test.user.astype(np.int64), parts.test.item.astype(np.int64)
    each = [member.pairs(user, item, parts.train) for member in members]
    expected = np.stack(each, axis=1) @ weight - 0.3
    warm = ~fitted.is_cold(user, item)
    predicted = model.predict(user, item)
    np.testing.assert_allclose(predicted[warm], np.clip(expected, 1, 5)[warm], atol=1e-5)
    table = np.stack([member.scores(user[:3], parts.train) for member in members], axis=2)
    np.testing.assert_allclose(
        model.scores(user[:3], model.given_), table @ weight - 0.3, atol=1e-5
    )
    rows = parts.test.by_user.take(np.arange(3))
    folded = np.stack([member.fold_in(rows) for member in members], axis=2)
    np.testing.assert_allclose(model.fold_in(rows), folded @ weight - 0.3, atol=1e-5)


def test_the_history_shows_each_members_error_and_weight(fitted, parts):
    history = fitted.history_
    assert [entry["weight"] for entry in history.epochs] == fitted.net_.weights.weight.tolist()
    errors = [entry["member_rmse"] for entry in history.epochs]
    assert errors[0] == pytest.approx(history.baseline, abs=1e-3)  # the first member is bias
    assert history.best_valid <= min(errors)
    assert len(history.members[0]) == 0
    assert len(history.members[2]) == 8


def test_refit_keeps_the_weights_and_the_best_epochs(parts):
    model = make("blend", members=("bias", AUTOREC.replace("epochs=20", "epochs=300 patience=1")))
    first = dataclasses.replace(model, refit=False).fit(parts.train, parts.valid, RUN)
    model.fit(parts.train, parts.valid, RUN)
    whole = parts.train.union(parts.valid)
    assert model.given_.fingerprint == whole.fingerprint
    np.testing.assert_array_equal(model.net_.weight, first.net_.weight)
    best = first.history_.members[1].best_epoch
    assert 0 < best < 300
    alone = make("autorec", hidden=12, reg=2.0, epochs=best).fit(whole, run=RUN)
    for name, tensor in alone.net_.state_dict().items():
        assert torch.equal(tensor, model.net_.members[1].state_dict()[name]), name


def test_a_member_never_learns_from_the_ratings_that_weights_are_learned_from(parts):
    stated = make("blend", members=("bias refit=True", PMF), refit=False)
    plain = make("blend", members=("bias", PMF), refit=False)
    for model in (stated, plain):
        model.fit(parts.train, parts.valid, RUN)
    np.testing.assert_array_equal(stated.net_.weight, plain.net_.weight)


def test_without_validation_some_ratings_are_held_out_and_members_fitted_on_all(parts, caplog):
    with caplog.at_level("INFO", logger="recollect"):
        model = make("blend", members=("bias", PMF), held_out=0.25).fit(parts.train, run=RUN)
    n_held_out = round(0.25 * len(parts.train))
    assert f"weights are learned from {n_held_out} of the {len(parts.train):,}" in caplog.text
    part, valid = rc.hold_out_validation(parts.train, valid=0.25, seed=RUN.seed)
    same = make("blend", members=("bias", PMF), refit=False).fit(part, valid, RUN)
    np.testing.assert_array_equal(model.net_.weight, same.net_.weight)
    assert model.given_ is parts.train
    bias = make("bias").fit(parts.train)
    assert torch.equal(model.net_.members[0].b_user, bias.net_.b_user)


def test_the_similarity_is_the_mean_of_the_members_by_weight(parts):
    model = make("blend", members=(PMF, AUTOREC), refit=False).fit(parts.train, parts.valid, RUN)
    weight = model.net_.weights.weight

    def cosines(vectors):
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit @ unit.T

    each = [cosines(member.vectors("item")) for member in model.fitted_members()]
    expected = (weight[0] * each[0] + weight[1] * each[1]) / weight.sum()
    np.testing.assert_allclose(cosines(model.vectors("item")), expected, atol=1e-5)


def test_members_without_vectors_have_no_similarity(parts):
    model = make("blend", members=("bias",)).fit(parts.train, parts.valid, RUN)
    assert not model.capabilities.similarity
    with pytest.raises(DataError, match="No member of this blend has vectors"):
        rc.similar(model, item_ids=["5"])


# Intervals.


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_intervals_cover_what_they_should_around_the_blends_predictions(level, parts):
    model = make("blend", members=(BAYES, PMF)).fit(parts.train, parts.valid, RUN)
    test = parts.test
    low, high = model.predict_interval(test.user, test.item, level)
    covered = np.mean((low <= test.value) & (test.value <= high))
    # 720 test ratings: the standard deviation of a share is 0.02 at most.
    assert covered == pytest.approx(level, abs=0.06)
    predicted = model.predict(test.user, test.item)
    assert ((low <= predicted) & (predicted <= high)).all()
    z = (test.value - predicted) / model.predict_std(test.user, test.item)
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1, abs=0.15)


def test_the_calibration_scales_a_members_std_to_the_blends_errors():
    draw = np.random.default_rng(0)
    std = draw.uniform(0.5, 2, 50_000)
    calibration = w.Calibration.of(0.7 * std * draw.normal(size=len(std)), std)
    assert calibration.std_scale == pytest.approx(0.7, rel=0.01)
    assert np.interp(0.9, w.LEVELS, calibration.quantile) == pytest.approx(0.7 * 1.645, rel=0.02)


def test_a_blend_whose_members_state_no_std_has_no_intervals(parts):
    model = make("blend", members=("bias",)).fit(parts.train, parts.valid, RUN)
    with pytest.raises(SettingError, match="does not estimate how sure"):
        model.predict_interval(parts.test.user, parts.test.item)


# Fitted models.


def test_fitted_models_are_blended_as_if_the_blend_had_fitted_them(fitted, parts, tmp_path):
    models = [from_text(text).fit(parts.train, parts.valid, RUN) for text in fitted.members]
    rc.save(models[1], tmp_path / "autorec")
    models[1] = rc.load_model(tmp_path / "autorec")
    blended = rc.blend(models, parts.valid)
    assert [text.split()[0] for text in blended.members] == ["bias", "autorec", "bayes_mf"]
    pairs = (parts.test.user, parts.test.item)
    np.testing.assert_array_equal(blended.predict(*pairs), fitted.predict(*pairs))
    assert blended.history_.baseline == fitted.history_.baseline
    rows = parts.test.by_user.take(np.arange(3))
    np.testing.assert_array_equal(blended.fold_in(rows), fitted.fold_in(rows))


def test_a_member_can_be_asked_and_saved_alone_on_any_scale(parts, tmp_path):
    on_hundred = [
        dataclasses.replace(part, value=(part.value - 1) * 25, scale=(0.0, 100.0)) for part in parts
    ]
    train, valid, test = on_hundred
    model = make("blend", members=("bias", AUTOREC), refit=False).fit(train, valid, RUN)
    alone = make("autorec", hidden=12, reg=2.0, epochs=20, refit=False).fit(train, valid, RUN)
    member = model.separate()[1]
    loaded = rc.load_model(rc.save(member, tmp_path / "m"))
    rows = test.by_user.take(np.arange(3))
    for each in (member, loaded):
        predicted = each.predict(test.user, test.item)
        np.testing.assert_array_equal(predicted, alone.predict(test.user, test.item))
        np.testing.assert_allclose(each.fold_in(rows), alone.fold_in(rows), rtol=1e-5)

    with pytest.raises(SettingError, match="explained by its members"):
        rc.explain.contributions(model, user_id="1", item_id="2")


def test_what_cannot_be_blended_is_refused(parts, few):
    bias = make("bias").fit(parts.train)
    with pytest.raises(LeakError, match=f"learned from {len(parts.train)} of the"):
        rc.blend([bias], parts.train)
    with pytest.raises(DataError, match="fitted on the same ratings"):
        rc.blend([bias, make("bias").fit(parts.train.union(parts.test))], parts.valid)
    with pytest.raises(DataError, match="different vocabularies"):
        rc.blend([bias], few)
    with pytest.raises(NotFittedError):
        rc.blend([make("bias")], parts.valid)
    with pytest.raises(SettingError, match="models is empty"):
        rc.blend([], parts.valid)


# Members as text.


def test_every_model_is_made_again_from_its_text():
    from tests import cases  # which reads the variants of this module

    # A member of a blend is no blend: its members have blanks.
    blends = ("blend", "rank_blend")
    variants = [variant for variant in cases.VARIANTS if variant[0] not in blends]
    for variant in variants:
        model = cases.made(variant)
        assert settings(from_text(text_of(model))) == settings(model), cases.label(variant)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ((), "members is a list of models"),
        (("",), "There is no model"),
        (("blend",), "the other models of Recollect, found 'blend'"),
        (("evil.module:Evil hidden=3",), "the other models of Recollect, found 'evil.module:Evil'"),
        (("popularity",), "predicts scores to rank by"),
        (("pmf factors=3 factors=4",), "has factors twice"),
        (("pmf factors",), "settings KEY=VALUE"),
        (("pmf factor=3",), "Did you mean 'factors'"),
    ],
)
def test_impossible_members_are_refused(members, message):
    with pytest.raises(SettingError, match=message):
        make("blend", members=members)


def test_a_blend_needs_what_its_members_need(few):
    untimed = dataclasses.replace(few, time=None)
    model = make("blend", members=("bias", "timesvdpp"))
    assert model.capabilities.needs == {"time"}
    with pytest.raises(DataError, match="needs the time of each rating"):
        model.fit(untimed)


def test_the_memory_of_a_blend_is_more_than_that_of_its_largest_member():
    shape = Shape(n_users=6_040, n_items=3_706, n_train=950_000, n_valid=50_000)
    alone = make("autorec").memory(shape).peak
    assert alone < make("blend", members=("autorec", "bayes_mf"), refit=False).memory(shape).peak


# Folders.


@pytest.fixture
def folder(fitted, tmp_path):
    return rc.save(fitted, tmp_path / "m")


def test_a_folder_that_names_a_class_from_outside_is_refused_and_not_imported(
    folder, tmp_path, monkeypatch
):
    mark = tmp_path / "code was run"
    (tmp_path / "evil_member.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()")
    monkeypatch.syspath_prepend(tmp_path)
    about = json.loads((folder / "model.json").read_text())["settings"]
    make_fit(folder, settings={**about, "members": ["evil_member:Evil"]})
    with pytest.raises(CheckpointError, match="the other models of Recollect"):
        rc.load_model(folder, trusted=["evil_member:Evil"])
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("weight", -1.0, "has a negative weight"),
        ("quantile", 50.0, "do not ascend"),
        ("weight", float("nan"), "is not finite"),
        ("members.2.n_drawn", 0, "it has 0 draws"),
    ],
)
def test_a_number_that_no_fit_leaves_is_refused(folder, name, value, said):
    def change(tensors):
        tensors[name].view(-1)[0] = value

    edit_tensors(folder, "net.safetensors", torch_file, change)
    with pytest.raises(CheckpointError, match=said):
        rc.load_model(folder)


@pytest.mark.parametrize("members", [5, ["x"], [{"epochs": 5}], [{"epochs": [{"epoch": "x"}]}]])
def test_a_history_that_no_save_writes_is_refused(folder, members):
    history = json.loads((folder / "model.json").read_text())["history"]
    make_fit(folder, history={**history, "members": members})
    with pytest.raises(CheckpointError):
        rc.load_model(folder)


def test_a_loaded_blend_folds_in_as_the_saved_one(parts, tmp_path):
    """Rows of items: the fold-in goes by the error of the member's fit."""
    model = make("blend", members=(AUTOREC, "bias")).fit(parts.train, parts.valid, RUN)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    rows = parts.test.by_user.take(np.arange(5))
    np.testing.assert_array_equal(loaded.fold_in(rows), model.fold_in(rows))
    assert loaded.history_ == model.history_


def test_an_interrupted_blend_is_resumed_to_the_bit(parts, tmp_path):
    model = make("blend", members=("bias", AUTOREC, PMF))
    whole = model.fit(parts.train, parts.valid, RUN)
    net = whole.net_

    def stop(figures):
        if figures["epoch"] == 2:  # of the members; the third is not begun
            os.kill(os.getpid(), signal.SIGINT)

    folder = tmp_path / "run"
    stopping = dataclasses.replace(RUN, folder=folder, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        model.fit(parts.train, parts.valid, stopping)

    assert (folder / "members" / "2" / "snapshot").is_dir()
    resumed = model.fit(
        parts.train, parts.valid, dataclasses.replace(RUN, folder=folder, resume=True)
    )
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, resumed.net_.state_dict()[name]), name

    assert [path.name for path in folder.iterdir()] == ["members", "refit"]
    assert not snapshot_folder.foreign_files(folder / "members")
    foreign = folder / "refit" / "members" / "1" / "notes.txt"
    foreign.parent.mkdir(exist_ok=True, parents=True)
    foreign.write_text("mine")
    assert snapshot_folder.foreign_files(folder / "refit") == ["members/1/notes.txt"]
    foreign.unlink()
    rc.save(resumed, folder)
    assert not (folder / "members").exists()


def test_watchers_hear_of_each_member(parts):
    heard = []
    run = dataclasses.replace(RUN, watchers=(heard.append,))
    make("blend", members=("bias", PMF), refit=False).fit(parts.train, parts.valid, run)
    assert [figures["epoch"] for figures in heard] == [1, 2]
