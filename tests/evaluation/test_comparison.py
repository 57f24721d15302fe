"""Models on the same splits."""

import pytest

import recollect as rc
from recollect.errors import SettingError
from recollect.evaluation.comparison import Candidate, compare_models
from recollect.evaluation.significance import mean_interval
from recollect.system import processes


@pytest.fixture
def in_this_process(monkeypatch):
    run_each = processes.run_each
    monkeypatch.setattr(
        processes, "run_each", lambda function, inputs, processes: run_each(function, inputs)
    )


SHY = {"bias": Candidate("bias"), "shy": Candidate("bias", {"reg_user": 50.0})}


@pytest.mark.usefixtures("in_this_process")
def test_figures_are_means_over_the_splits():
    ratings = rc.load("planted/tiny")
    compared = compare_models(SHY, ratings, test=0.2, valid=0, seeds=[3, 4])
    errors = []
    for seed in (3, 4):
        split = rc.random_split(ratings, test=0.2, seed=seed)
        model = rc.make("bias", reg_user=50.0).fit(split.train, run=rc.Run(seed=seed))
        errors.append(rc.held_out(model, split.test)["rmse"])
    rmse = compared.models["shy"]["rmse"]
    expected = mean_interval(errors, test_share=0.2)
    assert (rmse["value"], rmse["low"], rmse["high"]) == pytest.approx(expected)
    assert [(row["model"], row["other"]) for row in compared.differences] == [("bias", "shy")]


@pytest.mark.usefixtures("in_this_process")
def test_on_one_split_the_interval_is_that_of_its_users():
    ratings = rc.load("planted/tiny")
    compared = compare_models(SHY, ratings, test=0.2, valid=0, seeds=[3])
    split = rc.random_split(ratings, test=0.2, seed=3)
    scores = rc.held_out(rc.make("bias").fit(split.train), split.test)
    rmse = compared.models["bias"]["rmse"]
    assert (rmse["value"], rmse["low"], rmse["high"]) == pytest.approx(scores.interval("rmse"))


@pytest.mark.usefixtures("in_this_process")
def test_progress_names_the_next_fit():
    steps = []
    compare_models(
        SHY,
        rc.load("planted/tiny"),
        seeds=[0, 1],
        progress=lambda done, label: steps.append((done, label)),
    )
    assert steps == [
        (0, "bias, seed 0"),
        (1, "shy, seed 0"),
        (2, "bias, seed 1"),
        (3, "shy, seed 1"),
        (4, ""),
    ]


@pytest.mark.parametrize(
    ("candidates", "test", "message"),
    [
        (SHY, 0, "test=0 is not a share"),
        ({"x": Candidate("bias", {"nothing": 1})}, 0.1, "no setting of bias 'nothing'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_fit(candidates, test, message):
    with pytest.raises(SettingError, match=message):
        compare_models(candidates, rc.load("planted/tiny"), test=test)
