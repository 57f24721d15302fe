"""Models on the same splits."""

import dataclasses

import pytest

import recollect as rc
from recollect.errors import SettingError, TrainingError
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


@pytest.mark.usefixtures("in_this_process")
def test_a_model_that_fails_is_named_and_the_others_are_kept():
    """pmf without validation ratings is fine; rrn needs times, which these ratings lack."""
    ratings = rc.load("planted/tiny")
    without_times = dataclasses.replace(ratings, time=None)
    steps = []
    compared = rc.compare(
        ["bias", "rrn", "popularity"],
        without_times,
        seeds=[0, 1],
        progress=lambda done, label: steps.append(done),
    )
    assert list(compared.models) == ["bias", "popularity"]
    assert compared.failed["rrn"].startswith("rrn, seed 0: RRN needs the time of each rating")
    assert steps == [0, 1, 2, 3, 4, 5, 6]
    assert "rrn: failed, rrn, seed 0" in repr(compared)


@pytest.mark.usefixtures("in_this_process")
def test_popularity_is_the_floor_of_the_ranking_columns():
    ratings = rc.load("planted/tiny")
    models = {"floor": "popularity", "bias": rc.make("bias", reg_user=1.0)}
    compared = rc.compare(models, ratings, test=0.2, valid=0, seeds=[3])
    split = rc.random_split(ratings, test=0.2, seed=3)
    floor = rc.make("popularity").fit(split.train.events())
    expected = rc.full_ranking(floor, split.test, relevant=4)
    assert compared.models["floor"]["rmse"] is None
    assert compared.models["floor"]["ranking"]["ndcg@10"] == pytest.approx(expected["ndcg@10"])
    assert compared.models["bias"]["settings"]["reg_user"] == 1.0
    assert compared.models["bias"]["ranking"]
    assert compared.differences == []


@pytest.mark.usefixtures("in_this_process")
def test_models_of_events_are_compared_on_events():
    events = rc.load("planted/tiny").events(from_=4)
    compared = rc.compare(["popularity"], events, seeds=[0])
    assert compared.models["popularity"]["ranking"]["ndcg@10"] > 0


@pytest.mark.usefixtures("in_this_process")
def test_if_all_fail_it_is_an_error_with_the_reasons():
    with pytest.raises(TrainingError, match=r"None of the models .* bias: bias, seed 0: Bias"):
        rc.compare({"bias": "bias"}, rc.load("planted/tiny").events(), seeds=[0])


def test_cross_validation_tests_every_rating_once():
    ratings = rc.load("planted/tiny")
    model = rc.make("bias", reg_user=1.0)
    table = rc.cross_validate(model, ratings, k=4, seed=2, ranking=True, n=5)
    assert table["n_test"].sum() == len(ratings)
    assert not hasattr(model, "net_")
    first = next(iter(rc.k_folds(ratings, k=4, seed=2)))
    fitted = rc.make("bias", reg_user=1.0).fit(first.train)
    assert table["rmse"][0] == pytest.approx(rc.held_out(fitted, first.test)["rmse"])
    assert table["ndcg@5"][0] == pytest.approx(rc.full_ranking(fitted, first.test, n=5)["ndcg@5"])
    assert rc.cross_validate("popularity", ratings.events(), k=2)["hit@10"].is_finite().all()
