"""Tuning: search spaces, resuming a study, and that test ratings have no part in it."""

import polars as pl
import pytest

import recollect as rc
from recollect.errors import SettingError, SizeError, TrainingError
from recollect.experiment import tune

SPACE = """
data = "{data}"
split = {{ how = "random", test = 0.3, valid = 0.2, repeat = {repeat} }}
model = "bias"
trials = 4
seed = 1
epochs = 8
[search]
reg_item = {{ choices = [1.0, 2.5, 10.0] }}
reg_user = {{ low = 0.1, high = 100.0, log = true }}
"""
AUTO = (
    SPACE.partition("model")[0]
    + """
model = "autorec"
trials = 8
seed = 1
epochs = 8
validate_every = 1
offsets = false
[search]
hidden = {{ choices = [[3], [4, 2]] }}
reg = {{ choices = [1.0, 1000000.0] }}
"""
)


def written(folder, text=SPACE, data="planted/tiny", repeat=1):
    path = folder / "space.toml"
    path.write_text(text.format(data=data, repeat=repeat))
    return path


def found(study):
    return [(trial.settings, trial.state, trial.figure) for trial in study.trials]


@pytest.mark.slow
def test_the_same_seed_tries_the_same_and_another_does_not(tmp_path):
    space = tune.read(written(tmp_path))
    first, second = (tune.tune(space, tmp_path / f"{name}.journal", threads=1) for name in "ab")
    assert found(first) == found(second)
    other = tune.tune(
        tune.read(written(tmp_path, SPACE.replace("seed = 1", "seed = 2"))),
        tmp_path / "a.journal",
        threads=1,
    )
    assert [trial.settings for trial in other.trials] != [trial.settings for trial in first.trials]


@pytest.mark.slow
def test_an_interrupted_study_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    """Stopped in the third candidate; also beyond the random ones, where the sampler learns."""
    monkeypatch.setattr(tune, "STARTUP", 2)
    space = tune.read(written(tmp_path))
    whole = tune.tune(space, tmp_path / "whole.journal", threads=1)

    judged, calls = tune._judge, []

    def stops(*args, **more):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return judged(*args, **more)

    monkeypatch.setattr(tune, "_judge", stops)
    with pytest.raises(KeyboardInterrupt):
        tune.tune(space, tmp_path / "parts.journal", threads=1)
    again = tune.tune(space, tmp_path / "parts.journal", threads=1)
    assert len(calls) == 5  # two finished, one interrupted, and only the two that were left
    assert found(again) == found(whole)


def test_a_finished_study_is_not_gone_on_with_unless_more_candidates_are_asked_for(
    tmp_path, monkeypatch
):
    space = tune.read(written(tmp_path))
    first = tune.tune(space, tmp_path / "s.journal", trials=2, threads=1)
    monkeypatch.setattr(tune, "_judge", lambda *args, **more: 0.5)
    assert found(tune.tune(space, tmp_path / "s.journal", trials=2)) == found(first)
    assert found(tune.tune(space, tmp_path / "s.journal", trials=3))[:2] == found(first)


def test_test_ratings_make_no_difference(tmp_path):
    """With other values of the ratings in test, every candidate and every figure stays."""
    ratings = rc.load("planted/tiny")
    test = (
        rc.random_split(ratings, test=0.3, seed=0)
        .test.frame()
        .select("user_id", "item_id", turned=True)
    )
    turned = (
        ratings.frame()
        .join(test, on=["user_id", "item_id"], how="left")
        .select(
            "user_id",
            "item_id",
            pl.when(pl.col("turned"))
            .then(6 - pl.col("rating"))
            .otherwise("rating")
            .alias("rating"),
        )
    )
    ratings.frame().select("user_id", "item_id", "rating").write_csv(tmp_path / "as_is.csv")
    turned.write_csv(tmp_path / "turned.csv")
    studies = [
        tune.tune(
            tune.read(written(tmp_path, data=tmp_path / f"{name}.csv")),
            tmp_path / f"{name}.journal",
            threads=1,
        )
        for name in ("as_is", "turned")
    ]
    assert (turned["rating"] != ratings.frame()["rating"]).sum() > 100
    assert found(studies[0]) == found(studies[1])


@pytest.mark.slow
def test_every_candidate_sees_the_same_splits_and_seeds(tmp_path, monkeypatch):
    seen = []

    def judged(optuna, trial, model, fold, threads, *, may_stop, metric):
        seen.append((fold.train.fingerprint, fold.valid.fingerprint, fold.seed, may_stop))
        return 1.0 + fold.seed

    monkeypatch.setattr(tune, "_judge", judged)
    study = tune.tune(tune.read(written(tmp_path, repeat=2)), tmp_path / "s.journal")
    assert [trial.figure for trial in study.trials] == [1.5] * 4
    assert len(seen) == 8
    assert len(set(seen)) == 2
    assert [(seed, first) for _, _, seed, first in seen[:2]] == [(0, True), (1, False)]


def test_the_figure_is_the_validation_error_of_a_fit_by_hand(tmp_path):
    study = tune.tune(
        tune.read(written(tmp_path, AUTO)), tmp_path / "s.journal", trials=1, threads=1
    )
    split = rc.random_split(rc.load("planted/tiny"), test=0.3, valid=0.2, seed=0)
    model = rc.make("autorec", epochs=8, validate_every=1, offsets=False, **study.best.settings)
    assert model.fit(
        split.train, split.valid, rc.Run(threads=1)
    ).history_.best_valid_rmse == pytest.approx(study.best.figure)


@pytest.mark.slow
def test_candidates_are_numbers_of_three_digits_within_the_bounds(tmp_path):
    narrow, wide = (
        tune.read(
            written(tmp_path, SPACE.split("reg_item")[0] + f"reg_user = {{{{ {bounds} }}}}\n")
        )
        for bounds in ("low = 0.99941, high = 0.99999", "low = 0.1, high = 9.0, log = true")
    )
    for trial in tune.tune(narrow, tmp_path / "s.journal", threads=1).trials:
        assert trial.settings["reg_user"] in (0.99941, 0.99999)
    for trial in tune.tune(wide, tmp_path / "s.journal", threads=1).trials:
        assert len(str(trial.settings["reg_user"]).replace(".", "").strip("0")) <= 3


@pytest.mark.parametrize(
    ("problem", "state"),
    [
        (TrainingError("The objective became nan"), "failed"),
        (SizeError("It would need 5 TB"), "too large"),
    ],
)
def test_a_candidate_that_cannot_be_fitted_is_kept_with_the_reason_and_the_others_go_on(
    tmp_path, monkeypatch, problem, state
):
    judged, calls = tune._judge, []

    def fails_first(*args, **more):
        calls.append(1)
        if len(calls) == 1:
            raise problem
        return judged(*args, **more)

    monkeypatch.setattr(tune, "_judge", fails_first)
    study = tune.tune(tune.read(written(tmp_path)), tmp_path / "s.journal", trials=2, threads=1)
    assert [(trial.state, trial.why) for trial in study.trials] == [
        (state, str(problem)),
        ("done", ""),
    ]


@pytest.mark.slow
def test_a_candidate_that_is_worse_than_most_is_stopped_early(tmp_path, monkeypatch):
    """With λ of a million nothing is learned: it is stopped at the first epoch that counts."""
    monkeypatch.setattr(tune, "UNPRUNED", 1)
    study = tune.tune(tune.read(written(tmp_path, AUTO)), tmp_path / "s.journal", threads=1)
    assert {trial.settings["reg"] for trial in study.trials if trial.state == "stopped early"} == {
        1e6
    }
    assert study.best.settings["reg"] == 1.0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "reg_user =",
            "reg_usr =",
            "There is no setting of bias 'reg_usr'. Did you mean 'reg_user'?",
        ),
        ("epochs =", "epoch =", "There is no setting of bias 'epoch'. Did you mean 'epochs'?"),
        ("low = 0.1", "low = 200.0", "search reg_user: low is below high"),
        ("low = 0.1", "low = 0", "with log above 0"),
        ("low = 0.1", "low = -1.0", "with log above 0"),
        ("log = true", "logs = true", "There is no key of a range 'logs'. Did you mean 'log'?"),
        ("choices = [1.0, 2.5, 10.0]", "choices = []", "choices is a list of values"),
        ("choices = [1.0, 2.5, 10.0]", "choice = 2", "A setting has low and high, or choices"),
        ("2.5, 10.0]", "-10.0]", "reg_item must be at least 0, found -10.0"),
        ('"bias"', '"bais"', "There is no model 'bais'"),
        ("trials = 4", 'metric = "mae"', "judged by the validation RMSE"),
        ("low = 0.1", 'low = "a"', "low and high are numbers"),
    ],
)
def test_what_is_wrong_with_a_space_is_told_before_anything_is_fitted(tmp_path, old, new, said):
    with pytest.raises(SettingError) as told:
        tune.read(written(tmp_path, SPACE.replace(old, new)))
    assert said in str(told.value)


def test_without_validation_ratings_there_is_nothing_to_judge_by(tmp_path):
    with pytest.raises(SettingError, match=r"give it valid = 0\.05"):
        tune.tune(
            tune.read(written(tmp_path, SPACE.replace("valid = 0.2, ", ""))), tmp_path / "s.journal"
        )


def test_a_study_may_have_texts(tmp_path):
    """They are part of what is kept: the study of a file with texts is another one."""
    plain = tune.read(written(tmp_path))
    text = tune.read(written(tmp_path, SPACE.replace("trials", 'text = "plot.item"\ntrials')))
    assert text.part.texts.text == "plot.item"
    assert text.key != plain.key
