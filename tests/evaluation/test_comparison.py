"""Models on the same splits."""

import dataclasses

import numpy as np
import pytest
from tests.events import events_in_groups

import recollect as rc
from recollect.errors import SettingError, TrainingError
from recollect.evaluation.comparison.candidates import Candidate
from recollect.evaluation.comparison.compare import compare_models
from recollect.evaluation.significance import (
    mean_interval,
    paired_bootstrap,
    resampled_t,
    wilcoxon,
)
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


def fitted_on(events, name, seed):
    split = rc.random_split(events, test=0.2, seed=seed)
    model = rc.make(name).fit(split.train, run=rc.Run(seed=seed))
    return rc.full_ranking(model, split.test, n=5, relevant=0), split


@pytest.mark.usefixtures("in_this_process")
def test_models_of_events_are_compared_by_ndcg_over_the_users_of_one_split():
    """On planted groups EASE beats popularity, and both tests say so."""
    events = events_in_groups()
    compared = rc.compare(["ease"], events, test=0.2, valid=0, seeds=[3], n=5)
    assert (compared.metric, compared.over) == ("ndcg@5", "users")
    assert list(compared.models) == ["ease", "popularity"]
    ease, _ = fitted_on(events, "ease", 3)
    floor, _ = fitted_on(events, "popularity", 3)
    figure = compared.models["ease"]["figure"]
    interval = ease.interval("ndcg@5")
    assert (figure["value"], figure["low"], figure["high"]) == pytest.approx(interval)

    [row] = compared.differences
    assert (row["model"], row["other"]) == ("ease", "popularity")
    values, of_floor = ease.of("ndcg@5"), floor.of("ndcg@5")
    both = np.isfinite(values)
    expected = paired_bootstrap(values[both], of_floor[both])
    assert [row[key] for key in ("difference", "low", "high", "p")] == pytest.approx(expected)
    assert row["p_wilcoxon"] == pytest.approx(wilcoxon(values[both], of_floor[both]))
    assert row["difference"] > 0.1
    assert row["significant"]
    assert row["p_wilcoxon_holm"] < 0.05


@pytest.mark.usefixtures("in_this_process")
def test_over_the_users_of_several_splits_a_users_value_is_the_mean():
    events = events_in_groups()
    arguments = {"test": 0.2, "valid": 0, "seeds": [0, 1], "n": 5, "metric": "recall"}
    compared = rc.compare(["ease"], events, over="users", **arguments)
    by_user = [{}, {}]
    for seed in (0, 1):
        for values_of, name in zip(by_user, ("ease", "popularity"), strict=True):
            scores, split = fitted_on(events, name, seed)
            people = np.flatnonzero(split.test.count("user") > 0)
            for user, value in zip(people.tolist(), scores.of("recall@5"), strict=True):
                values_of.setdefault(user, []).append(value)
    own, floor = ([np.mean(found[user]) for user in sorted(found)] for found in by_user)
    assert compared.models["ease"]["figure"]["value"] == pytest.approx(np.mean(own))
    [row] = compared.differences
    expected = paired_bootstrap(own, floor)
    assert [row[key] for key in ("difference", "low", "high", "p")] == pytest.approx(expected)


@pytest.mark.usefixtures("in_this_process")
def test_over_splits_lists_have_the_corrected_t_test():
    events = events_in_groups()
    arguments = {"test": 0.2, "valid": 0, "seeds": [0, 1, 2], "n": 5}
    compared = rc.compare(["ease"], events, metric="coverage", **arguments)
    figures = {
        name: [fitted_on(events, name, seed)[0]["coverage@5"] for seed in (0, 1, 2)]
        for name in ("ease", "popularity")
    }
    [row] = compared.differences
    expected = resampled_t(figures["ease"], figures["popularity"], test_share=0.2)
    assert row["difference"] == pytest.approx(expected.difference)
    assert row["p"] == pytest.approx(expected.p)
    assert "p_wilcoxon" not in row
    figure = compared.models["ease"]["figure"]
    expected = mean_interval(figures["ease"], test_share=0.2)
    assert (figure["value"], figure["low"], figure["high"]) == pytest.approx(expected)


@pytest.mark.usefixtures("in_this_process")
def test_models_of_ratings_are_judged_as_lists_of_high_ratings():
    ratings = rc.load("planted/tiny")
    compared = rc.compare(["bias"], ratings, test=0.2, valid=0, seeds=[3], metric="ndcg")
    split = rc.random_split(ratings, test=0.2, seed=3)
    scores = rc.full_ranking(rc.make("bias").fit(split.train), split.test, relevant=4)
    assert compared.relevant_from == 4
    assert compared.models["bias"]["figure"]["value"] == pytest.approx(scores["ndcg@10"])
    assert compared.models["bias"]["rmse"]["value"] > 0
    assert [(row["model"], row["other"]) for row in compared.differences] == [
        ("bias", "popularity")
    ]
    lower = rc.compare(["bias"], ratings, test=0.2, valid=0, seeds=[3], metric="hit", relevant=5)
    expected = rc.full_ranking(rc.make("bias").fit(split.train), split.test, relevant=5)
    assert lower.models["bias"]["figure"]["value"] == pytest.approx(expected["hit@10"])


@pytest.mark.usefixtures("in_this_process")
def test_errors_over_users_are_those_of_all_splits():
    ratings = rc.load("planted/tiny")
    arguments = {"test": 0.2, "valid": 0, "seeds": [0, 1]}
    compared = rc.compare(SHY, ratings, over="users", **arguments)
    errors = {"bias": [], "shy": []}
    users = []
    for seed in (0, 1):
        split = rc.random_split(ratings, test=0.2, seed=seed)
        users.append(split.test.user)
        for name, reg in (("bias", {}), ("shy", {"reg_user": 50.0})):
            model = rc.make("bias", **reg).fit(split.train)
            errors[name].append(rc.held_out(model, split.test).values["rmse"])
    expected = paired_bootstrap(
        np.concatenate(errors["bias"]),
        np.concatenate(errors["shy"]),
        statistic="root_mean",
        group=np.concatenate(users),
    )
    [row] = compared.differences
    assert [row[key] for key in ("difference", "low", "high", "p")] == pytest.approx(expected)


@pytest.mark.usefixtures("in_this_process")
def test_popularity_stands_beside_lists_once_and_under_a_free_name():
    events = events_in_groups()
    arguments = {"valid": 0, "seeds": [0]}
    named = rc.compare({"floor": "popularity", "ease": "ease"}, events, **arguments)
    assert list(named.models) == ["floor", "ease"]
    taken = rc.compare({"popularity": "ease"}, events, **arguments)
    assert {name: found["model"] for name, found in taken.models.items()} == {
        "popularity": "ease",
        "popularity (baseline)": "popularity",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "rmse"}, "metric=rmse is of predicted ratings, and these are events"),
        ({"metric": "gini", "seeds": [0]}, "gini is one figure of all lists"),
        ({"metric": "ndgc"}, "no metric 'ndgc'.*mean 'ndcg'"),
        ({"metric": "miscalibration"}, "miscalibration is computed from genres"),
        ({"metric": "sampled_ndcg"}, "Krichene and Rendle"),
        ({"over": "ratings"}, "no kind of repetition 'ratings'"),
        ({"n": 0}, "1 or more; found 0"),
    ],
)
def test_what_events_cannot_be_compared_by_is_refused_before_any_fit(arguments, message):
    with pytest.raises(SettingError, match=message):
        rc.compare(["ease"], events_in_groups(), **arguments)


def test_models_of_events_alone_are_not_compared_by_errors():
    with pytest.raises(SettingError, match="none of the models predicts any"):
        rc.compare(["ease"], rc.load("planted/tiny"), metric="mae")


def test_cross_validation_of_a_model_of_events_on_ratings_finds_the_high_ones():
    ratings = rc.load("planted/tiny")
    table = rc.cross_validate("popularity", ratings, k=4, seed=2, n=5)
    first = next(iter(rc.k_folds(ratings, k=4, seed=2)))
    fitted = rc.make("popularity").fit(first.train.events())
    expected = rc.full_ranking(fitted, first.test, n=5, relevant=4)
    assert table["ndcg@5"][0] == pytest.approx(expected["ndcg@5"])
    assert table["n_test"].sum() == len(ratings)
    all_of_them = rc.cross_validate("popularity", ratings, k=4, seed=2, n=5, relevant=1)
    assert all_of_them["hit@5"][0] > table["hit@5"][0]


def test_cross_validation_tests_every_event_once():
    events = events_in_groups()
    table = rc.cross_validate("ease", events, k=3, n=5)
    assert table["n_test"].sum() == len(events)
    floor = rc.cross_validate("popularity", events, k=3, n=5)
    assert (table["ndcg@5"] > floor["ndcg@5"]).all()
    assert (table["diversity@5"] < floor["diversity@5"]).all()


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


def test_each_users_share_and_lists_by_rating_alone_can_be_asked_for():
    ratings = rc.load("planted/tiny")
    settings = {
        "test": 0.2,
        "seeds": [0],
        "ranking": True,
        "how": "per_user",
        "run": rc.Run(threads=1),
    }
    by_rating = compare_models(["bias"], ratings, rank_by="rating", **settings).models["bias"]
    by_both = compare_models(["bias"], ratings, rank_by="both", **settings).models["bias"]
    split = rc.per_user_split(ratings, test=0.2, valid=0.05, seed=0)
    model = rc.make("bias").fit(split.train, split.valid)
    lists = rc.full_ranking(model, split.test, n=10, relevant=4, rank_by="rating")
    assert by_rating["ranking"]["ndcg@10"] == pytest.approx(lists["ndcg@10"])
    assert by_rating["rmse"] == by_both["rmse"]
    assert by_rating["ranking"]["ndcg@10"] != by_both["ranking"]["ndcg@10"]


@pytest.mark.parametrize("asked", [{"how": "time"}, {"rank_by": "popularity"}])
def test_other_splits_and_ways_to_rank_are_refused(asked):
    with pytest.raises(SettingError, match=next(iter(asked.values()))):
        compare_models(["bias"], rc.load("planted/tiny"), **asked)
