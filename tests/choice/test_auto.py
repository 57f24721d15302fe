"""auto: what is tried, what is chosen, and what there is no time for."""

import dataclasses

import numpy as np
import pytest

import recollect as rc
from recollect.choice import auto, candidates, timed_fit
from recollect.choice.auto import choose
from recollect.choice.candidates import Candidate, candidates_for
from recollect.data.sources.planted import planted
from recollect.errors import DataError, LeakError, SettingError
from recollect.models.blend.model import Blend
from recollect.ranking import mean_ndcg
from recollect.registry import from_text, make, name_of, settings
from recollect.run import Run

RUN = Run(seed=0, threads=1)
QUICK = (
    Candidate("bias", 1.0),
    Candidate("bayes_mf factors=3 epochs=40 burn_in=4 n_samples=10", 0.6),
    Candidate("pmf factors=3 reg_user=0.3 reg_item=0.3 epochs=15", 0.5),
)
QUICK_EVENTS = (
    Candidate("popularity", 1.0),
    Candidate("pmf factors=3 absent_weight=0.1 offsets=False center=False epochs=10", 0.5),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Small models in place of the real ones."""
    monkeypatch.setattr(
        auto, "candidates_for", lambda ratings: QUICK_EVENTS if ratings.implicit else QUICK
    )


def rmse(model, test) -> float:
    error = model.predict(test.user, test.item) - test.value
    return float(np.sqrt(np.mean(error**2)))


def test_it_is_a_blend_like_any_other_fitted_on_all_ratings(planted_small, tmp_path):
    train, _, test = rc.random_split(planted_small.ratings, test=0.2, seed=0)
    tried = []
    model = rc.auto(train, minutes=60, threads=1, watch=tried.append)
    assert name_of(model) == "blend"
    assert model.given_.fingerprint == train.fingerprint
    assert rmse(model, test) < 0.9 * rmse(make("bias").fit(train), test)
    assert [candidate.model for candidate in tried] == [candidate.text for candidate in QUICK]
    # The last fit has all draws, the trial had half of them.
    assert any("bayes_mf" in text and "epochs=40" in text for text in model.members)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    pairs = (test.user, test.item)
    np.testing.assert_array_equal(loaded.predict(*pairs), model.predict(*pairs))
    folded = [rc.fold_in(each, {"3": 5, "5": 1})["prediction"] for each in (model, loaded)]
    assert folded[0].equals(folded[1])


TABLES = {
    "tiny": lambda: planted(12, 9, 50, noise=1.0, seed=1).ratings,
    "noise alone": lambda: planted(60, 40, 700, rank=1, noise=3.0, seed=2).ratings,
    "four ratings": lambda: planted(60, 40, 700, seed=2).ratings.where(np.arange(0, 700, 175)),
    "all equal": lambda: dataclasses.replace(
        (ratings := planted(30, 20, 300, seed=3).ratings), value=np.full_like(ratings.value, 4)
    ),
    "0 to 100": lambda: rc.from_frame(
        (frame := planted(60, 40, 900, seed=4).ratings.frame()).with_columns(
            rating=(frame["rating"] - 1) * 25
        ),
        scale=(0, 100),
    ),
}


@pytest.mark.parametrize("table", TABLES)
def test_on_validation_it_is_never_worse_than_bias(table, caplog):
    choice = choose(TABLES[table](), run=RUN)
    assert "worse than bias" not in caplog.text
    assert choice.tried[0].model == "bias"
    assert choice.figure <= choice.tried[0].figure + 1e-6
    weights = [tried.weight for tried in choice.tried if tried.weight]
    assert np.isfinite(weights).all()
    assert len(choice.model.members) == max(1, len(weights))


def test_of_events_it_takes_the_model_with_the_highest_ndcg(planted_small):
    events = planted_small.ratings.events(from_=planted_small.ratings.mean)
    train, valid = rc.hold_out_validation(events, valid=0.2, seed=0)
    choice = choose(train, valid, run=RUN)
    figures = {tried.model: tried.figure for tried in choice.tried}
    best = max(figures, key=figures.get)
    assert name_of(choice.model) == best.split()[0]
    assert choice.model.given_.fingerprint == events.fingerprint
    popularity = make("popularity").fit(train)
    assert figures["popularity"] == mean_ndcg(popularity, valid, train, n=auto.N)
    assert choice.figure == max(figures.values())


def test_validation_ratings_may_be_given_and_are_no_training_ratings(planted_small):
    train, valid = rc.hold_out_validation(planted_small.ratings, valid=0.1, seed=1)
    choice = choose(train, valid, run=RUN)
    assert choice.n_valid == len(valid)
    assert choice.figure == choice.model.history_.best_valid
    with pytest.raises(LeakError):
        choose(train, train, run=RUN)


def test_a_model_that_cannot_learn_from_the_ratings_is_left_out(monkeypatch, planted_small):
    models = (*QUICK[:1], Candidate("ctr", 0.5), *QUICK[2:])
    monkeypatch.setattr(auto, "candidates_for", lambda ratings: models)
    choice = choose(planted_small.ratings, run=RUN)
    assert "left out: CTR needs the items' texts" in choice.tried[1].note
    assert choice.tried[2].weight > 0


def test_ratings_that_nothing_can_learn_from_are_an_error(few):
    with pytest.raises(DataError, match="at least 2 users"):
        choose(few.where(np.array([0, 1])), run=RUN)


@pytest.mark.parametrize("minutes", [0, -1])
def test_an_impossible_time_is_refused(minutes, few):
    with pytest.raises(SettingError, match="minutes must be above 0"):
        rc.auto(few, minutes=minutes)


# What there is time for.


class Time:
    """A clock that is a second later each time that it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def halves(monkeypatch, planted_small):
    """Training and validation ratings; an epoch takes a second of the clock."""
    monkeypatch.setattr(timed_fit, "time", Time())
    return rc.hold_out_validation(planted_small.ratings, valid=0.1, seed=0)


def fit(epochs: int, halves, *, seconds: float, least_epochs: float = 0.15):
    recipe = make("pmf", factors=2, epochs=epochs, patience=None)
    return timed_fit.fit_within(recipe, *halves, RUN, seconds=seconds, least_epochs=least_epochs)


def test_a_fit_for_which_there_is_time_is_as_it_would_be(halves):
    outcome = fit(20, halves, seconds=60)
    assert (len(outcome.model.history_), outcome.note) == (20, "")


def test_a_fit_that_would_take_too_long_begins_anew_with_fewer_epochs(halves):
    outcome = fit(40, halves, seconds=30)
    n_epochs = len(outcome.model.history_)
    assert 8 <= n_epochs < 30
    assert outcome.note == f"{n_epochs} epochs instead of 40, for want of time"


def test_a_fit_that_would_have_hardly_any_epochs_is_left_out(halves):
    outcome = fit(400, halves, seconds=30)
    assert outcome.model is None
    assert outcome.note == "left out: would take about 400 s"


def test_a_fit_that_needs_nearly_all_of_its_epochs_is_left_out_without(halves):
    assert fit(40, halves, seconds=30, least_epochs=0.9).model is None


def test_a_model_that_never_stops_early_is_tried_with_half_of_its_epochs():
    bayes = make("bayes_mf", epochs=80)
    trial = timed_fit.trial_of(bayes)
    assert trial.epochs == 40
    shortened = make("bayes_mf", epochs=25)
    assert timed_fit.final_of(trial, bayes).epochs == 80
    assert timed_fit.final_of(shortened, bayes).epochs == 50
    pmf = make("pmf")
    assert timed_fit.trial_of(pmf) is pmf
    assert settings(timed_fit.trial_of(make("bias"))) == settings(make("bias"))


def test_the_time_and_the_validation_share_go_by_the_number_of_ratings(planted_small, few):
    assert candidates.default_seconds(few) == 20
    assert auto.budget_for(planted_small.ratings, 3) == 180
    share = candidates.default_valid_share
    assert [share(n) for n in (100, 8_000, 10**5, 10**6)] == [0.2, 0.125, 0.05, 0.02]


def test_times_and_levels_are_used_where_there_is_much_time(planted_small):
    stars = planted(30, 20, 300, step=1.0, seed=1).ratings
    timed = [candidate.text for candidate in candidates_for(stars)]
    assert timed == [
        "bias",
        "svdpp",
        "bayes_mf probit=True time=True",
        "bayes_mf probit=False time=True",
        "autorec",
    ]
    real = dataclasses.replace(planted_small.ratings, time=None)
    assert "bayes_mf probit=True" not in str(candidates_for(real))


def test_of_many_ratings_nothing_is_fitted_twice(monkeypatch, planted_small):
    monkeypatch.setattr(candidates, "MANY_RATINGS", 1000)
    many = candidates_for(planted_small.ratings)
    assert [candidate.text.split()[0] for candidate in many] == [
        "bias",
        "autorec",
        "svdpp",
        "bayes_mf",
    ]
    assert not any(candidate.again for candidate in many)


def test_a_candidate_may_keep_what_it_has_learned_by_then(monkeypatch, planted_small):
    models = (QUICK[0], dataclasses.replace(QUICK[2], again=False), QUICK[1])
    monkeypatch.setattr(auto, "candidates_for", lambda ratings: models)
    watched = {}

    def fit_again(self, ratings, run):
        watched["before"] = list(self.net_.members)
        real(self, ratings, run)

    real = Blend.fit_again
    monkeypatch.setattr(Blend, "fit_again", fit_again)
    model = rc.auto(planted_small.ratings, minutes=60, threads=1)
    assert model.given_.fingerprint == planted_small.ratings.fingerprint
    names = [text.split()[0] for text in model.members]
    before, after = watched["before"], model.net_.members
    is_kept = {name: after[n] is before[n] for n, name in enumerate(names)}
    assert is_kept["pmf"]
    assert not is_kept["bayes_mf"]


def test_every_candidate_can_be_made(few):
    for ratings in (few, few.events(from_=1)):
        for candidate in candidates_for(ratings):
            model = from_text(candidate.text)
            assert (model.output == "scores") == ratings.implicit
