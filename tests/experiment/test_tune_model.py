"""Tuning from Python, on ratings in memory."""

import pytest

import recollect as rc
from recollect.errors import SettingError

SEARCH = {"reg_user": {"low": 0.01, "high": 100.0, "log": True}, "factors": {"choices": [2, 3]}}


@pytest.fixture(scope="module")
def split():
    return rc.random_split(rc.load("planted/tiny"), test=0.2, valid=0.2, seed=0)


def tuned(split, **changes):
    return rc.tune(
        "pmf", split.train, split.valid, SEARCH, settings={"epochs": 4}, threads=1, **changes
    )


@pytest.mark.slow
def test_the_best_candidate_has_the_lowest_error_of_a_fit_by_hand(split):
    seen = []
    study = tuned(split, trials=4, watch=lambda done, outcome: seen.append(done))
    assert seen == [1, 2, 3, 4]
    assert study.best.figure == min(trial.figure for trial in study.trials if trial.state == "done")
    model = rc.make("pmf", epochs=4, **study.best.settings)
    model.fit(split.train, split.valid, rc.Run(threads=1))
    assert model.history_.best_valid_rmse == pytest.approx(study.best.figure)


@pytest.mark.slow
def test_the_same_call_goes_on_with_a_study_that_is_kept(split, tmp_path):
    path = tmp_path / "study.journal"
    first = tuned(split, trials=2, storage=path)
    both = tuned(split, trials=3, storage=str(path))
    assert [trial.settings for trial in both.trials[:2]] == [
        trial.settings for trial in first.trials
    ]
    at_once = tuned(split, trials=3)
    assert [trial.figure for trial in at_once.trials] == [trial.figure for trial in both.trials]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pmf", {}), 'search={"reg"'),
        (("pmf", {"reg_user": {"low": 2, "high": 1}}), "low is below high"),
        (("pmf", {"regg": {"low": 1, "high": 2}}), "regg"),
        (("popularity", {"epochs": {"choices": [1, 2]}}), "epochs"),
        (("deeprec", {"loss": {"choices": ["multinomial"]}}), "learns from events"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_before_anything_is_fitted(split, arguments, said):
    model, search = arguments
    with pytest.raises(SettingError, match=said):
        rc.tune(model, split.train, split.valid, search)
