"""Tuning models of events: by a metric of lists, of which more is better."""

import pytest
from tests.events import events_in_groups
from tests.experiment.experiment_files import write_file

import recollect as rc
from recollect.data.splitting.per_user import per_user_split
from recollect.errors import SettingError
from recollect.experiment import tune
from recollect.experiment.parse import read
from recollect.experiment.tuned import splits_with_overlap

SPACE = """
data = "planted/tiny"
events = { from = 4 }
split = { how = "per_user", test = 0.3, valid = 0.2 }
metric = "recall@10"
model = "ease"
trials = 3
[search]
reg = { choices = [0.1, 10.0, 1000.0] }
"""
FILE = """
paper = "A paper."
[part.e]
data = "planted/tiny"
events = { from = 4 }
split = { how = "per_user", test = 0.3, valid = 0.2, repeat = 2 }
metric = "recall@10"
[[table]]
name = "t"
[[table.run]]
name = "ease"
model = "ease"
reg = 10.0
tuned = "space.toml"
"""
SEARCH = {"reg": {"choices": [0.1, 10.0, 1000.0]}}


def written(folder, text=SPACE):
    path = folder / "space.toml"
    path.write_text(text)
    return path


def split_of_groups():
    return per_user_split(events_in_groups(), test=0.3, valid=0.3, seed=0)


@pytest.mark.slow
def test_the_best_candidate_has_the_largest_figure_of_a_fit_by_hand():
    split = split_of_groups()
    study = rc.tune("ease", split.train, split.valid, SEARCH, trials=6, metric="recall@10")
    figures = {trial.settings["reg"]: trial.figure for trial in study.trials}
    by_hand = {}
    for reg in figures:
        fitted = rc.make("ease", reg=reg).fit(split.train)
        by_hand[reg] = rc.full_ranking(fitted, split.valid, n=10)["recall@10"]

    assert len(figures) > 1
    assert figures == pytest.approx(by_hand)
    assert study.best.figure == max(figures.values())
    assert study.metric == "recall@10"


@pytest.mark.slow
def test_a_model_that_is_stopped_by_validation_is_judged_by_the_metric_too():
    split = split_of_groups()
    search = {"factors": {"choices": [2, 3]}}
    settings = {"epochs": 4}
    study = rc.tune(
        "ials", split.train, split.valid, search, settings=settings, trials=2, threads=1
    )
    for trial in study.trials:
        model = rc.make("ials", refit=False, **settings, **trial.settings)
        model.fit(split.train, split.valid, rc.Run(threads=1))
        scores = rc.full_ranking(model, split.valid, n=10)
        assert trial.figure == pytest.approx(scores["ndcg@10"])


def test_a_file_is_judged_on_validation_events_that_are_no_test_events(tmp_path):
    space = tune.read(written(tmp_path))
    (fold,) = tune._load_folds(space)
    events = rc.load("planted/tiny").events(from_=4)
    split = per_user_split(events, test=0.3, valid=0.2, seed=0)
    assert set(fold.train.pair) == set(split.train.pair)
    assert set(fold.valid.pair) == set(split.valid.pair)
    assert fold.train.shared(split.test) == fold.valid.shared(split.test) == 0


def test_the_metric_belongs_to_a_study(tmp_path):
    first = tune.read(written(tmp_path))
    second = tune.read(written(tmp_path, SPACE.replace("recall@10", "ndcg@10")))
    assert first.key != second.key


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("events = { from = 4 }\n", "", "is a figure of ranked lists of events"),
        ('metric = "recall@10"\n', "", "A part of events says by what it is measured"),
        (
            'model = "ease"\ntrials = 3\n[search]\nreg =',
            'model = "pmf"\n[search]\nreg_user =',
            "learns from ratings, and candidates are judged by the recall@10 of events",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(old, new, message, tmp_path):
    with pytest.raises(SettingError, match=message):
        tune.read(written(tmp_path, SPACE.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "shared"),
    [
        ("", "", [1]),  # the second split tests events on which the first one was tuned
        ("from = 4", "from = 3", [0, 1]),  # other events are drawn otherwise
        ("test = 0.3", "test = 0.2", [0, 1]),
    ],
)
def test_tuning_and_test_events_are_compared_by_what_was_split(old, new, shared, tmp_path):
    written(tmp_path, SPACE.replace(old, new) if old else SPACE)
    experiment = read(write_file(tmp_path, FILE))
    (run,) = experiment.tables["t"].runs["e"]
    assert splits_with_overlap(run.tuned, experiment.parts["e"]) == shared


def test_splits_that_are_said_to_share_no_event_share_none(tmp_path):
    written(tmp_path)
    experiment = read(write_file(tmp_path, FILE))
    (run,) = experiment.tables["t"].runs["e"]
    shared = splits_with_overlap(run.tuned, experiment.parts["e"])
    events = rc.load("planted/tiny").events(from_=4)
    chosen_on = per_user_split(events, test=0.3, valid=0.2, seed=0)

    for seed in (0, 1):
        test = per_user_split(events, test=0.3, valid=0.2, seed=seed).test
        n_shared = chosen_on.train.shared(test) + chosen_on.valid.shared(test)
        assert bool(n_shared) == (seed in shared)
