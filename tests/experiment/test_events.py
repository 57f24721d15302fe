"""Parts of events: what is an event, how they are split and measured, and who chooses."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
from tests.experiment.experiment_files import plan_all, write_file

import recollect as rc
from recollect.data.sources import movielens
from recollect.data.splitting.per_user import per_user_split
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError
from recollect.experiment import part_data, runner
from recollect.experiment.event_fit import EventParts, fit_events
from recollect.experiment.events import Events
from recollect.experiment.keep import Keep, core_of
from recollect.experiment.metric import CUTOFFS, list_metrics
from recollect.experiment.parse import read
from recollect.experiment.spec import Part, SplitSpec
from recollect.report.measured import measure
from recollect.report.render import markdown
from recollect.report.tables import make_report

EVENTS = """
paper = "A paper."
[part.e]
data = "planted/tiny"
events = { from = 4 }
keep = { core = 2 }
split = { how = "per_user", test = 0.3, valid = 0.2, repeat = 2 }
metric = "ndcg@10"
[[table]]
name = "t"
also = ["recall@10"]
[[table.run]]
name = "popular"
model = "popularity"
claim.e = { value = 0.99, where = "Table 1", within = 0.001 }
[[table.run]]
name = "ease"
model = "ease"
choose = { reg = [1.0, 100.0] }
[[table.check]]
says = "so"
where = "section 1"
above = ["ease", "popular"]
"""


def part_of(split, **changes):
    return Part("e", "planted/tiny", split, "ndcg@10", events=Events(4.0), **changes)


def events_of():
    return rc.load("planted/tiny").events(from_=4)


# --- which events ---------------------------------------------------------------------------------


def test_events_are_the_ratings_from_a_threshold_and_then_the_core_is_kept():
    part = part_of({"how": "random"}, keep=Keep(core=3))
    events = part_data.load_part(part)
    ratings = rc.load("planted/tiny")
    assert events.implicit
    assert 0 < len(events) < (ratings.value >= 4).sum()
    assert min(events.count("user").min(), events.count("item").min()) >= 3
    assert part.source == (
        "planted/tiny; ratings from 4 on as events; the 3-core of users and items"
    )


def test_the_core_is_found_again_after_each_removal():
    """Item 2 has two events until user 2, who has one, is gone; then item 2 goes, then user 1."""
    pairs = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (3, 0), (3, 1)]
    user, item = np.array(pairs, np.int32).T
    events = rc.Ratings(user, item, np.ones(7, np.float32), Vocab(range(4)), Vocab(range(3)))
    kept = core_of(events.events(), 2)
    assert sorted(zip(kept.user.tolist(), kept.item.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (3, 0),
        (3, 1),
    ]


def test_items_are_counted_before_users():
    """User 0 has two ratings, one of them of an item with a single rating."""
    pairs = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 1), (2, 2)]
    user, item = np.array(pairs, np.int32).T
    ratings = rc.Ratings(user, item, np.ones(6, np.float32), Vocab("abc"), Vocab("xyz"))
    kept = Keep(item_ratings=2, user_ratings=2).of(ratings, None, "")
    assert kept.users.ids.to_list() == ["b", "c"]
    assert kept.items.ids.to_list() == ["y", "z"]


def test_a_core_that_leaves_nothing_is_an_error():
    with pytest.raises(DataError, match="is left of the 500-core of users and items"):
        Keep(core=500).of(events_of(), None, "planted/tiny")


# --- splits ---------------------------------------------------------------------------------------


SPLITS = [
    {"how": "per_user", "test": 0.3, "valid": 0.2},
    {"how": "random", "test": 0.3, "valid": 0.2},
    {"how": "new_user", "users": 0.2, "valid_users": 0.2, "given": 0.8, "min_ratings": 3},
]


@pytest.mark.parametrize("settings", SPLITS, ids=lambda split: split["how"])
def test_events_that_choose_and_events_that_test_are_disjoint(settings):
    """What is fitted, before and after validation has chosen, has no test event."""
    split = part_data.split_part(part_of(settings), SplitSpec(settings, 1))
    parts = EventParts.of(split)
    assert len(parts.valid)
    assert parts.train.shared(parts.valid) == 0
    chosen_on = parts.train.union(parts.valid)
    assert chosen_on.shared(parts.test) == 0
    assert parts.visible().shared(parts.test) == 0
    fits = fit_events(rc.make("ease", reg=5.0), parts, rc.Run())
    assert fits.judged.given_.shared(parts.valid) == 0
    assert len(fits.tested.given_) == len(chosen_on)
    assert fits.tested.given_.shared(parts.test) == 0


def test_nothing_is_learned_from_users_who_are_held_out_for_test():
    settings = SPLITS[2]
    split = part_data.split_part(part_of(settings), SplitSpec(settings, 1))
    parts = EventParts.of(split)
    tested = parts.test.count("user") > 0
    validated = parts.valid.count("user") > 0
    learned = parts.train.count("user")
    assert not learned[tested].any()
    assert learned[validated].all()
    assert (parts.given.count("user")[tested] > 0).all()
    assert not parts.given.count("user")[~tested].any()


def test_the_published_splits_of_events_are_files_of_test_events(tmp_path, monkeypatch):
    events = events_of()
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # data are looked for beside the current folder, too
    folder = tmp_path / "ml-1m" / "topn"
    folder.mkdir(parents=True)
    assert "test0.tsv.gz, topn/test1.tsv.gz" in movielens.top_n_missing()
    drawn = per_user_split(events, test=0.3, seed=9).test
    frame = drawn.frame()
    lines = [f"{user}\t{item}\n" for user, item in frame.select("user_id", "item_id").iter_rows()]
    for fold in movielens.TOP_N_FOLDS:
        with gzip.open(folder / f"test{fold}.tsv.gz", "wt") as file:
            file.writelines(lines)

    assert movielens.top_n_missing() is None
    train, test = movielens.top_n_fold(events, 2)
    assert set(test.pair) == set(drawn.pair)
    assert sorted([*train.pair, *test.pair]) == sorted(events.pair)
    with pytest.raises(DataError, match="test events and 1 of them are not in"):
        movielens.top_n_fold(events.where(events.pair != drawn.pair[0]), 2)
    with pytest.raises(SettingError, match="no split 5"):
        movielens.top_n_fold(events, 5)

    monkeypatch.setattr(part_data, "load_part", lambda part: events)
    part = part_of({"how": "published", "folds": [2], "valid": 0.2})
    split = part_data.split_part(part, part.splits[0])
    assert set(split.test.pair) == set(drawn.pair)
    by_hand = per_user_split(train, test=0.2, seed=2)
    assert set(split.valid.pair) == set(by_hand.test.pair)


# --- what a file may say --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('metric = "ndcg@10"\n', "", "A part of events says by what it is measured"),
        ("ndcg@10", "ndcg@7", "ndcg@7"),
        ("ndcg@10", "rmse", "metric of events"),
        ("events = { from = 4 }\n", "", "is a figure of ranked lists of events"),
        ("{ from = 4 }", "{ above = 4 }", "above"),
        ("{ from = 4 }", '"yes"', "events has the lowest rating that counts"),
        ("core = 2", "core = 0", "core is a number, 1 or more"),
        (", valid = 0.2", "", "Candidates are chosen by validation events"),
        ("above = [", "below = [", "more is better: write above instead of below"),
        ('"popularity"', '"bias"', "bias with these settings is a model of ratings"),
        ("recall@10", "rmse", "metric of events"),
        ('how = "per_user", test', 'how = "per_person", test', "per_person"),
        ('name = "t"\n', 'name = "t"\nfigure = "curves"\n', "a loss and an NDCG"),
    ],
)
def test_what_does_not_go_together_is_refused(old, new, message, tmp_path):
    with pytest.raises(SettingError, match=message):
        read(write_file(tmp_path, EVENTS.replace(old, new)))


def test_a_model_of_events_is_refused_on_ratings(tmp_path):
    text = EVENTS.replace("events = { from = 4 }\n", "").replace('metric = "ndcg@10"\n', "")
    text = text.replace('also = ["recall@10"]\n', "").partition("[[table.check]]")[0]
    with pytest.raises(SettingError, match="popularity with these settings is a model of events"):
        read(write_file(tmp_path, text))


def test_the_published_splits_of_events_are_of_the_core_that_was_split(tmp_path):
    text = EVENTS.replace("planted/tiny", "movielens/1m")
    text = text.replace('how = "per_user", test = 0.3', 'how = "published", folds = [0]')
    text = text.replace(", repeat = 2", "")
    with pytest.raises(SettingError, match="state both"):
        read(write_file(tmp_path, text))
    experiment = read(write_file(tmp_path, text.replace("core = 2", "core = 10")))
    assert [split.seed for split in experiment.parts["e"].splits] == [0]


def test_within_of_two_metrics_of_one_data_set_may_reach_over_each_other(tmp_path):
    """NDCG and recall of one run are no steps of one sweep."""
    second = EVENTS.partition("[[table]]")[0].partition("[part.e]")[2]
    text = EVENTS.replace("[[table]]", "[part.r]" + second.replace("ndcg", "recall") + "[[table]]")
    claim = 'claim.r = { value = 0.9905, where = "Table 1", within = 0.001 }\n'
    text = text.replace("claim.e", claim + "claim.e")
    assert set(read(write_file(tmp_path, text)).parts) == {"e", "r"}


# --- running --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    path = write_file(folder, EVENTS)
    planned, todo, results = plan_all(path, folder / "results")
    list(runner.run_tasks(todo, processes=0))
    return read(path), planned, results


def test_a_record_has_every_metric_of_lists_on_validation_and_test(done):
    _, planned, results = done
    record = results.read(planned[1].jobs[0])
    for figures in (record["test"], record["valid"]):
        assert set(list_metrics()) <= set(figures)
        assert {f"coverage@{n}" for n in CUTOFFS} <= set(figures)


def test_a_record_holds_the_figures_of_the_same_fit_by_hand(done):
    """Judged by a fit to train; tested by one to train and validation, with both left out."""
    _, planned, results = done
    part = planned[1].part
    events = part_data.load_part(part)
    split = per_user_split(events, test=0.3, valid=0.2, seed=1)
    job = planned[1].jobs[1]
    judged = rc.make("ease", reg=1.0).fit(split.train)
    tested = rc.make("ease", reg=1.0).fit(split.train.union(split.valid))
    valid = rc.full_ranking(judged, split.valid, n=10)
    test = rc.full_ranking(tested, split.test, n=10)
    record = results.read(job)
    assert record["valid"]["ndcg@10"] == pytest.approx(valid["ndcg@10"], rel=1e-5)
    assert record["test"]["recall@10"] == pytest.approx(test["recall@10"], rel=1e-5)
    sums = results.user_sums(job)
    np.testing.assert_array_equal(sums.user, np.unique(split.test.user))
    np.testing.assert_allclose(sums.sums["ndcg@10"], test.of("ndcg@10"), rtol=1e-6)


def test_a_model_that_does_not_refit_lists_no_validation_event(done):
    _, planned, results = done
    split = per_user_split(part_data.load_part(planned[0].part), test=0.3, valid=0.2, seed=0)
    model = rc.make("popularity").fit(split.train)
    scores = rc.full_ranking(model, split.test, given=split.train.union(split.valid))
    record = results.read(planned[0].jobs[0])
    assert record["test"]["ndcg@10"] == pytest.approx(scores["ndcg@10"], rel=1e-5)


def test_the_largest_validation_figure_chooses(done):
    experiment, planned, results = done
    table = experiment.tables["t"]
    run = table.runs["e"][1]
    part = experiment.parts["e"]
    facts = results.data()[part.source]
    chosen = measure(run, table, part, results, facts)
    candidates = [[results.read(job) for job in plan.jobs] for plan in planned[1:]]
    for split, record in enumerate(chosen.records):
        best = max(candidate[split]["valid"]["ndcg@10"] for candidate in candidates)
        assert record["valid"]["ndcg@10"] == best


def test_another_validation_figure_may_choose(done):
    experiment, planned, results = done
    table = experiment.tables["t"]
    part = replace(experiment.parts["e"], chosen_by="recall@50")
    chosen = measure(table.runs["e"][1], table, part, results, results.data()[part.source])
    candidates = [[results.read(job) for job in plan.jobs] for plan in planned[1:]]
    for split, record in enumerate(chosen.records):
        best = max(candidate[split]["valid"]["recall@50"] for candidate in candidates)
        assert record["valid"]["recall@50"] == best


def test_the_page_is_headed_with_the_metric_and_knows_that_more_is_better(done):
    experiment, _, results = done
    text = markdown(make_report(experiment, results), {})
    assert "| run | NDCG@10 | 95% interval | recall@10 | splits | paper |" in text
    assert "NDCG@10: more is better. planted/tiny; ratings from 4 on as events" in text
    assert "test events of a split are to be found in lists of all items for" in text
    line = next(line for line in text.splitlines() if line.startswith("| popular"))
    assert "missed by 0." in line
    assert "bootstrap over users, 2 splits" in text
