"""What the items of lists are, against definitions in plain Python; and what protocols make of it.

The definitions go through lists, sets and dictionaries one item at a time.
"""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from tests.events import events_in_groups

import recollect as rc
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError
from recollect.evaluation import metric_parts, metrics
from recollect.evaluation.list_facts import CO_OCCURRENCE, item_field
from recollect.evaluation.shown_items import (
    diversity_of,
    miscalibration_of,
    novelty_of,
    popularity_lift_of,
)

GENRES = ("drama", "comedy", "war")


def rows_of(sets, n_columns):
    """A row for each set of numbers."""
    cells = [(row, column) for row, members in enumerate(sets) for column in sorted(members)]
    row, column = np.array(cells, np.int64).reshape(-1, 2).T
    return Rows.group(row, column, n_rows=len(sets), n_columns=n_columns)[0]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def cosine(a, b):
    return len(a & b) / math.sqrt(len(a) * len(b))


def novelty_by_hand(items, share):
    return mean(-math.log2(share[i]) for i in items if share[i] > 0)


def diversity_by_hand(items, sets):
    return mean(
        1 - cosine(sets[i], sets[j]) for i, j in combinations(items, 2) if sets[i] and sets[j]
    )


def genres_by_hand(items, genres):
    """Each genre's share among the items that have one."""
    with_genres = [i for i in items if genres[i]]
    if not with_genres:
        return None
    return [
        mean((g in genres[i]) / len(genres[i]) for i in with_genres) for g in range(len(GENRES))
    ]


def miscalibration_by_hand(items, row, genres, alpha=0.01):
    p, q = genres_by_hand(row, genres), genres_by_hand(items, genres)
    if p is None or q is None:
        return math.nan
    smoothed = [(1 - alpha) * q_g + alpha * p_g for p_g, q_g in zip(p, q, strict=True)]
    return sum(a * math.log(a / b) for a, b in zip(p, smoothed, strict=True) if a > 0)


def test_novelty_by_hand():
    shown = np.array([[0, 1], [1, -1], [2, -1], [2, 0]])
    # Half, an eighth and none of the users: 1 bit, 3 bits, and no finite value.
    values = novelty_of(shown, np.array([1 / 2, 1 / 8, 0]))
    assert values == pytest.approx([2, 3, math.nan, 1], nan_ok=True)


def test_popularity_lift_by_hand():
    shown = np.array([[0, 1], [1, -1], [0, 0]])
    share = np.array([0.6, 0.2])
    values = popularity_lift_of(shown, share, np.array([0.1, 0.3, math.nan]))
    # Rows have 0.2 in the mean; the third user has none.
    assert values == pytest.approx([2, 1, math.nan], nan_ok=True)
    assert np.nanmean(values) == pytest.approx((0.4 + 0.2) / 2 / 0.2)


def test_nobody_with_a_row_has_a_popularity_lift():
    values = popularity_lift_of(np.array([[0]]), np.array([0.5]), np.array([math.nan]))
    assert np.isnan(values).all()


def test_diversity_by_hand():
    sets = rows_of([{0}, {0}, {1}, {0, 1}, set()], 2)
    shown = np.array([[0, 1, -1], [0, 2, 4], [0, 2, 3], [0, 4, -1]])
    half = 1 - 1 / math.sqrt(2)
    assert diversity_of(shown, sets) == pytest.approx(
        [0, 1, (1 + half + half) / 3, math.nan], nan_ok=True
    )


def test_miscalibration_by_hand():
    genres = np.array([[1.0, 0], [0, 1], [0.5, 0.5], [0, 0]])
    own = np.array([[3.0, 1], [1, 1], [1, 0], [1, 0], [0, 0]])
    shown = np.array([[0, 0], [2, 3], [1, -1], [3, -1], [0, 1]])
    q = 0.99 * 1 + 0.01 * 0.75
    first = 0.75 * math.log(0.75 / q) + 0.25 * math.log(0.25 / (0.01 * 0.25))
    values = miscalibration_of(shown, genres, own)
    assert values == pytest.approx([first, 0, math.log(100), math.nan, math.nan], nan_ok=True)


@pytest.mark.parametrize("n_members", [3, 400])
@pytest.mark.parametrize("members_at_once", [48, 65_536])
def test_cosines_equal_those_of_python_sets(monkeypatch, n_members, members_at_once):
    """Few members and many, all at once and in several blocks, pairs in several blocks."""
    monkeypatch.setattr(metric_parts, "MEMBERS", members_at_once)
    monkeypatch.setattr(metric_parts, "PAIR_WORDS", 7)
    random = np.random.default_rng(0)
    has = random.random((20, n_members)) < 0.5
    has[np.arange(20), np.arange(20) % n_members] = True
    sets = [set(np.flatnonzero(row).tolist()) for row in has]
    one, other = random.integers(0, 20, (2, 300))
    values = metric_parts.cosine_of_sets(one, other, rows_of(sets, n_members))
    expected = [cosine(sets[i], sets[j]) for i, j in zip(one, other, strict=True)]
    np.testing.assert_allclose(values, expected)


def test_no_pairs_have_no_cosines():
    none = np.zeros(0, np.int64)
    assert len(metric_parts.cosine_of_sets(none, none, rows_of([{0}], 1))) == 0


def test_a_list_of_one_item_has_no_diversity():
    assert np.isnan(diversity_of(np.array([[0]]), rows_of([{0}], 1))).all()


@pytest.fixture
def split():
    """Planted events, whose item j is a drama, a comedy or of war; every ninth is two of these."""
    events = events_in_groups()
    genres = [
        [GENRES[j % 3], GENRES[(j + 1) % 3]] if j % 9 == 0 else [GENRES[j % 3]]
        for j in range(events.n_items)
    ]
    genres[7] = []
    table = pl.DataFrame(
        {"item_id": events.items.ids, "genres": genres, "year": range(events.n_items)}
    )
    return rc.random_split(replace(events, catalogue=table), test=0.3, seed=0)


@pytest.fixture
def model(split):
    return rc.make("ease").fit(split.train)


def lists_and_rows(model, test, n):
    """Each test user's list, as top_n shows it, and their row in train; by row numbers."""
    train = model.given_
    people = np.flatnonzero(test.count("user") > 0)
    table = rc.top_n(model, user_ids=test.users.at(people), n=n)
    lists = [
        train.items.rows(table.filter(pl.col("user_id") == test.users.at([int(u)])[0])["item_id"])
        for u in people
    ]
    return [items.tolist() for items in lists], [
        train.item[train.user == u].tolist() for u in people
    ]


def test_the_protocol_measures_the_lists_of_top_n_by_hand(model, split):
    train = model.given_
    lists, rows = lists_and_rows(model, split.test, 5)
    scores = rc.full_ranking(model, split.test, n=5)
    users = [set(train.user[train.item == i].tolist()) for i in range(train.n_items)]
    n_users = len(set(train.user.tolist()))
    share = [len(chose) / n_users for chose in users]
    table = dict(train.catalogue.select("item_id", "genres").rows())
    genres = [{GENRES.index(g) for g in table[id_]} for id_ in train.items.ids]

    by_hand = {
        "novelty": [novelty_by_hand(items, share) for items in lists],
        "diversity": [diversity_by_hand(items, genres) for items in lists],
        "miscalibration": [
            miscalibration_by_hand(items, row, genres)
            for items, row in zip(lists, rows, strict=True)
        ],
    }
    for name, expected in by_hand.items():
        np.testing.assert_allclose(scores.of(f"{name}@5"), expected, atol=1e-12, err_msg=name)

    of_lists = mean(mean(share[i] for i in items) for items in lists)
    of_rows = mean(mean(share[i] for i in row) for row in rows)
    assert scores["popularity_lift@5"] == pytest.approx(of_lists / of_rows)
    assert (scores.about["item_field"], scores.about["diversity_from"]) == ("genres", "genres")


def test_without_genres_items_are_the_users_who_chose_them(model, split):
    train = model.given_
    plain = rc.make("ease").fit(replace(train, catalogue=None))
    lists, _ = lists_and_rows(plain, split.test, 5)
    scores = rc.full_ranking(plain, split.test, n=5)
    users = [set(train.user[train.item == i].tolist()) for i in range(train.n_items)]
    expected = [diversity_by_hand(items, users) for items in lists]
    np.testing.assert_allclose(scores.of("diversity@5"), expected)
    assert scores.about["diversity_from"] == CO_OCCURRENCE
    assert "miscalibration@5" not in scores.names()


def test_diversities_of_two_kinds_are_not_compared(model, split):
    scores = rc.full_ranking(model, split.test, n=5)
    plain = rc.make("ease").fit(replace(model.given_, catalogue=None))
    other = rc.full_ranking(plain, split.test, n=5)
    assert scores.versus(other, "ndcg@5", n=20).difference == 0
    with pytest.raises(DataError, match="What diversity is computed from must be the same"):
        scores.versus(other, "diversity@5")


def test_a_figure_that_needs_genres_says_so(model, split):
    plain = rc.make("ease").fit(replace(model.given_, catalogue=None))
    with pytest.raises(SettingError, match=r"miscalibration@5.*items have no field of genres"):
        rc.full_ranking(plain, split.test, n=5)["miscalibration@5"]


def test_popularity_shows_the_most_popular_and_least_novel_lists(model, split):
    popular = rc.full_ranking(rc.make("popularity").fit(split.train), split.test, n=5)
    own = rc.full_ranking(model, split.test, n=5)
    assert popular["popularity_lift@5"] > own["popularity_lift@5"]
    assert popular["novelty@5"] < own["novelty@5"]
    assert popular["diversity@5"] > own["diversity@5"]  # of all three groups
    assert popular["miscalibration@5"] > own["miscalibration@5"]


def test_users_of_another_file_have_rows_of_what_they_give(split, model):
    """A new user folded in from a file has the figures of the same user in the vocabulary."""
    new = rc.new_user_split(split.train, users=0.2, given=0.5, seed=0)
    fitted = rc.make("ease").fit(new.train)
    within = rc.new_users_ranking(fitted, new, n=5)
    renamed = [
        replace(part, users=Vocab([f"new {id_}" for id_ in part.users.ids]))
        for part in (new.given, new.test)
    ]
    given, test = (part.frame().select("user_id", "item_id") for part in renamed)
    outside = rc.full_ranking(
        fitted,
        rc.from_frame(test, implicit=True),
        given=rc.from_frame(given, implicit=True),
        n=5,
    )
    for name in ("popularity_lift@5", "miscalibration@5", "novelty@5"):
        assert outside[name] == pytest.approx(within[name]), name


def test_fields_of_text_and_of_another_name(split):
    table = split.train.catalogue
    text = table.with_columns(pl.col("genres").list.join("|").alias("kinds")).drop("genres")
    name, rows = item_field(replace(split.train, catalogue=text), "kinds")
    _, expected = item_field(split.train, None)
    assert name == "kinds"
    np.testing.assert_array_equal(rows.start, expected.start)
    np.testing.assert_array_equal(rows.column, expected.column)
    assert item_field(replace(split.train, catalogue=text), None) == (None, None)


def test_fields_that_say_nothing_are_refused(model, split):
    with pytest.raises(SettingError, match=r"no field of the items 'genre'.*mean 'genres'"):
        rc.full_ranking(model, split.test, field="genre")
    with pytest.raises(DataError, match="'year' has no text for any item"):
        rc.full_ranking(model, split.test, field="year")
    plain = rc.make("ease").fit(replace(model.given_, catalogue=None))
    with pytest.raises(DataError, match="no field 'genres', nor any other"):
        rc.full_ranking(plain, split.test, field="genres")


def test_new_items_have_no_novelty_but_genres(split):
    whole = split.train.union(split.test)
    new = rc.new_item_split(whole, items=0.2, seed=0)
    scores = rc.new_items_ranking(rc.make("popularity").fit(new.train), new, n=3)
    assert math.isnan(scores["novelty@3"])
    assert scores["popularity_lift@3"] == 0
    assert np.isfinite(scores["miscalibration@3"])


def test_rankings_among_sampled_items_are_refused_with_the_reason(model, split):
    reason = r"Krichene and Rendle, KDD 2020"
    with pytest.raises(SettingError, match=rf"negatives=100 .*{reason}.*all items are ranked"):
        rc.full_ranking(model, split.test, negatives=100)
    with pytest.raises(SettingError, match=rf"no metric 'hit_rate_sampled'.*{reason}"):
        metrics.find("hit_rate_sampled")


def random_lists(seed):
    random = np.random.default_rng(seed)
    ranked = random.random((30, 8)) < 0.3
    return ranked, ranked.sum(axis=1) + random.integers(0, 9, 30)


def dcg(hits):
    return sum(hit / math.log2(place + 1) for place, hit in enumerate(hits, start=1))


def by_definition(name, k, hits, n_relevant):
    """The metric of one list, as textbooks state it."""
    if not n_relevant:
        return math.nan
    hits, most = [int(hit) for hit in hits[:k]], min(k, int(n_relevant))
    places = [place for place, hit in enumerate(hits, start=1) if hit]
    values = {
        "ndcg": dcg(hits) / dcg([1] * most),
        "recall": sum(hits) / n_relevant,
        "capped_recall": sum(hits) / most,
        "precision": sum(hits) / k,
        "map": sum(sum(hits[:place]) / place for place in places) / most,
        "mrr": 1 / places[0] if places else 0,
        "hit": float(bool(places)),
    }
    return values[name]


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("name", [metric.name for metric in metrics.metrics_of("lists")])
def test_metrics_of_random_lists_equal_their_definition(name, k):
    ranked, n_relevant = random_lists(k)
    values = metrics.find(name).function(k, ranked, n_relevant)
    expected = [by_definition(name, k, *pair) for pair in zip(ranked, n_relevant, strict=True)]
    np.testing.assert_allclose(values, expected)


def test_gini_and_coverage_of_random_lists_equal_their_definition():
    shown = np.random.default_rng(0).integers(0, 12, (20, 5)) ** 2 // 12
    times = [int((shown == i).sum()) for i in range(15)]
    spread = mean(abs(a - b) for a in times for b in times)
    assert metrics.gini(shown, 15) == pytest.approx(spread / 2 / mean(times))
    assert metrics.coverage(shown, 15) == mean(count > 0 for count in times)


def test_every_metric_says_which_figures_are_better():
    better = {name: metric.better for name, metric in metrics.METRICS.items()}
    assert {name for name, which in better.items() if which == "lower"} == {
        *("rmse", "mae", "miscalibration")
    }
    assert {name for name, which in better.items() if which is None} == {
        *("gini", "novelty", "popularity_lift", "diversity")
    }
