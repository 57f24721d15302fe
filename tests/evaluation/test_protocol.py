"""What the protocols measure, worked out by hand or by brute force; and what they refuse."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import recollect as rc
from recollect import ranking
from recollect.data.ratings import Ratings
from recollect.data.splitting import Split
from recollect.data.vocab import Vocab
from recollect.errors import DataError, LeakError, NotFittedError, SettingError
from recollect.evaluation import metrics, significance
from recollect.evaluation.scores import Scores
from recollect.models.bias import Offsets
from recollect.registry import make
from recollect.run import Run

SETTINGS = {"hidden": 12, "reg": 2.0, "epochs": 80, "patience": None}


def ratings(user, item, value, *, n_users=4, n_items=5) -> Ratings:
    return Ratings(
        np.array(user, np.int32),
        np.array(item, np.int32),
        np.array(value, np.float32),
        Vocab([f"u{j}" for j in range(n_users)]),
        Vocab([f"i{j}" for j in range(n_items)]),
    )


def saying(given: Ratings, b_user, b_item):
    """A bias model that says b_user + b_item, as if fitted on these ratings."""
    model = make("bias", cold="mean")
    model.given_, model.net_, model.seed_ = given, Offsets(given.n_users, given.n_items), 0
    model.net_.b_user.copy_(torch.as_tensor(b_user))
    model.net_.b_item.copy_(torch.as_tensor(b_item))
    return model


@pytest.fixture
def train() -> Ratings:
    """Users 0 to 2 rated items 0 to 3; nobody rated item 4, user 3 rated nothing. The mean is 3."""
    return ratings([0, 0, 1, 1, 2, 2], [0, 1, 0, 2, 3, 1], [3, 2, 4, 4, 1, 4])


@pytest.fixture
def by_item(train):
    """Says 1, 2, 3, 4, 5 for items 0 to 4, whoever asks."""
    return saying(train, [0.0] * 4, [1.0, 2, 3, 4, 5])


@pytest.fixture(scope="module")
def split(planted_small):
    return rc.random_split(planted_small.ratings, test=0.2, seed=0)


@pytest.fixture(scope="module", params=["item", "user"])
def fitted(request, split):
    return make("autorec", side=request.param, **SETTINGS).fit(split.train, run=Run(threads=1))


@pytest.fixture(scope="module")
def bias(split):
    return make("bias").fit(split.train)


def test_held_out_by_hand(by_item):
    # Errors: u0 2 and 0 (items 2, 3), u1 −1 (item 1), u2 1 (item 4, cold, which leaves
    # the offset of u2); u3 is cold and gets the mean: 3 − 5.
    test = ratings([0, 0, 1, 3, 2], [2, 3, 1, 0, 4], [1, 4, 3, 5, 4])
    scores = rc.held_out(by_item, test)
    np.testing.assert_array_equal(scores.values["rmse"], [4, 0, 1, 4, 1])
    np.testing.assert_array_equal(scores.values["mae"], [2, 0, 1, 2, 1])
    assert scores["rmse"] == pytest.approx(math.sqrt(10 / 5))
    assert scores["mae"] == pytest.approx(6 / 5)
    assert scores["rmse_macro"] == pytest.approx((math.sqrt(2) + 1 + 1 + 2) / 4)
    assert scores["mae_macro"] == pytest.approx((1 + 1 + 1 + 2) / 4)
    assert (scores.about["n_test"], scores.about["n_cold"], scores.about["clipped"]) == (5, 2, True)


def test_held_out_scores_every_rating_as_predict_says(fitted, split):
    scores = rc.held_out(fitted, split.test, split=split)
    error = fitted.predict(split.test.user, split.test.item).astype(np.float64) - split.test.value
    np.testing.assert_allclose(scores.values["rmse"], error**2)
    assert scores["rmse"] == pytest.approx(math.sqrt((error**2).mean()))
    assert len(scores.of("mae")) == len(split.test)
    about = scores.about
    assert (about["model"], about["seed"], about["split"], about["split_seed"]) == (
        "autorec",
        0,
        split.how,
        0,
    )
    assert (about["trained_on"], about["tested_on"]) == (
        split.train.fingerprint,
        split.test.fingerprint,
    )


def test_held_out_asks_for_the_times_of_the_ratings(train, monkeypatch):
    """A model that says the number of the day; user 3 is cold and gets the mean, 3."""
    model, test = saying(train, [0.0] * 4, [0.0] * 5), ratings([0, 1, 3], [2, 1, 0], [3, 4, 3])
    monkeypatch.setattr(
        type(model),
        "predict_known",
        lambda self, user, item, given, times: (times // 86_400).astype(np.float32),
    )
    dated = replace(test, time=np.array([3, 5, 1]) * 86_400)
    np.testing.assert_array_equal(rc.held_out(model, dated).values["mae"], [0, 1, 0])
    np.testing.assert_array_equal(
        model.predict(dated.user, dated.item, times=dated.time), [3, 5, 3]
    )


def test_times_are_nothing_to_a_model_that_knows_of_none(fitted, split):
    test = split.test
    np.testing.assert_array_equal(
        fitted.predict(test.user, test.item, times=test.time), fitted.predict(test.user, test.item)
    )


def test_predictions_are_clipped_unless_the_model_says_otherwise(train):
    model, test = saying(train, [0.0] * 4, [9.0] * 5), ratings([0], [2], [5])
    assert rc.held_out(model, test)["rmse"] == 0
    model.clip = False
    scores = rc.held_out(model, test)
    assert (scores["rmse"], scores.about["clipped"]) == (4, False)


def test_leaks_are_refused_and_counted(by_item, train):
    test = ratings([0, 1, 2], [0, 1, 1], [3, 3, 3])
    for protocol in (rc.held_out, rc.full_ranking):
        with pytest.raises(
            LeakError, match="test shares 2 pairs with the ratings the model was fitted on"
        ):
            protocol(by_item, test)
        with pytest.raises(LeakError, match="test shares 1 pairs with given"):
            protocol(by_item, ratings([3], [0], [3]), given=train.union(ratings([3], [0], [3])))


def test_what_cannot_be_scored_is_refused(by_item, train):
    none = train.where(np.zeros(6, bool))
    for protocol in (rc.held_out, rc.full_ranking):
        with pytest.raises(DataError, match="no test rating"):
            protocol(by_item, none)
        with pytest.raises(NotFittedError):
            protocol(make("bias"), train)


def test_a_model_of_scores_has_no_errors(by_item, monkeypatch):
    monkeypatch.setattr(type(by_item), "output", "scores")
    with pytest.raises(DataError, match=r"Bias gives scores without a unit.* use full_ranking"):
        rc.held_out(by_item, ratings([0], [2], [3]))
    assert rc.full_ranking(by_item, ratings([0], [3], [5]), n=1)["hit@1"] == 1


def test_full_ranking_by_hand(by_item):
    # Shown (2 of the items not rated in training, 4 never): u0 3, 2; u1 3, 1; u2 2, 0; u3 what is
    # best for everyone, 2, 0.
    test = ratings([0, 0, 1, 1, 2, 3, 3], [2, 3, 1, 3, 0, 0, 4], [5, 3, 4, 5, 2, 4, 5])
    scores = rc.full_ranking(by_item, test, n=2)
    # Relevant: u0 {2}, u1 {1, 3}, u2 nothing, u3 {0, 4}. Hits: u0 no, yes; u1 yes, yes; u3 no, yes.
    second, nan = 1 / math.log2(3), math.nan
    expected = {
        "hit@2": [1, 1, nan, 1],
        "precision@2": [0.5, 1, nan, 0.5],
        "recall@2": [1, 1, nan, 0.5],
        "mrr@2": [0.5, 1, nan, 0.5],
        "map@2": [0.5, 1, nan, 0.25],
        "ndcg@2": [second, 1, nan, second / (1 + second)],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scores.of(name), values, err_msg=name)
        assert scores[name] == pytest.approx(np.nanmean(values))
    assert scores["coverage@2"] == 4 / 5
    about = scores.about
    assert (
        about["n_users"],
        about["n_without_relevant"],
        about["n_cold"],
        about["relevant_from"],
    ) == (4, 1, 1, 4.0)


def test_relevance_is_where_it_is_said_to_be(by_item):
    test = ratings([0, 1], [3, 3], [3, 2])
    assert math.isnan(rc.full_ranking(by_item, test, n=1)["hit@1"])
    scores = rc.full_ranking(by_item, test, n=1, relevant=3)
    np.testing.assert_array_equal(scores.of("hit@1"), [1, math.nan])
    half = replace(test, scale=(0.0, 5.0))
    assert (
        rc.full_ranking(saying(half, [0.0] * 4, [0.0] * 5), ratings([2], [0], [3]), n=1).about[
            "relevant_from"
        ]
        == 3.75
    )
    # The scale is that of the fit: that of a test file is often inferred.
    assert (
        rc.full_ranking(by_item, replace(test, scale=(0.0, 4.0)), n=1).about["relevant_from"] == 4
    )


def brute_force(model, test: Ratings, n: int, least: float) -> dict[int, tuple[list[bool], int]]:
    """Per user with test ratings: which of the n items shown are relevant, and how many are."""
    train, found = model.given_, {}
    for user in np.unique(test.user).tolist():
        mine = set(train.item[train.user == user].tolist())
        score = model.scores(np.array([user]), train)[0]
        order = sorted(
            (i for i in range(train.n_items) if i not in mine), key=lambda i: (-score[i], i)
        )[:n]
        good = set(test.item[(test.user == user) & (test.value >= least)].tolist())
        found[user] = [i in good for i in order], len(good)
    return found


def test_full_ranking_equals_brute_force(fitted, split):
    assert (split.train.count("item") > 0).all()
    assert (split.train.count("user")[split.test.user] > 0).all()
    found = brute_force(fitted, split.test, n=7, least=4)
    hits, n_good = (
        np.array([h for h, _ in found.values()]),
        np.array([n for _, n in found.values()]),
    )
    scores = rc.full_ranking(fitted, split.test, n=7, rank_by="rating")
    for name, metric in (
        ("ndcg", metrics.ndcg_at),
        ("recall", metrics.recall_at),
        ("mrr", metrics.reciprocal_rank_at),
    ):
        np.testing.assert_allclose(scores.of(f"{name}@7"), metric(7, hits, n_good))


def test_full_ranking_judges_what_top_n_shows(fitted, split):
    people = np.flatnonzero(split.test.count("user") > 0)
    shown = rc.top_n(fitted, user_ids=split.test.users.at(people), n=5)
    liked = split.test.where(split.test.value >= 4).frame()
    each = shown.join(liked, on=["user_id", "item_id"], how="left", maintain_order="left")[
        "rating"
    ].is_not_null()
    hit = each.to_numpy().reshape(len(people), 5).any(axis=1)
    scores = rc.full_ranking(fitted, split.test, n=5)
    np.testing.assert_array_equal(
        scores.of("hit@5")[np.isfinite(scores.of("hit@5"))] > 0,
        hit[np.isfinite(scores.of("hit@5"))],
    )
    assert scores["coverage@5"] == shown["item_id"].n_unique() / 80


def test_blocks_change_nothing(fitted, split, monkeypatch):
    whole = rc.full_ranking(fitted, split.test, n=5)
    monkeypatch.setattr(ranking, "BLOCK_CELLS", 80 * 7)
    in_blocks = rc.full_ranking(fitted, split.test, n=5)
    for name in whole.names():
        np.testing.assert_array_equal(in_blocks.of(name), whole.of(name))


def test_a_list_longer_than_the_catalogue_holds_what_there_is(by_item):
    scores = rc.full_ranking(by_item, ratings([0], [2], [5]), n=10)
    assert (scores["recall@10"], scores["precision@10"]) == (1, 0.1)


def test_the_top_of_the_scale_does_not_tie(train):
    """Raw predictions of 6 and 7 are both kept to 5; the better one is shown first."""
    model = saying(train, [0.0] * 4, [1.0, 1, 6, 7, 1])
    assert rc.full_ranking(model, ratings([0], [3], [5]), n=1)["hit@1"] == 1


def test_n_is_one_or_more(by_item):
    with pytest.raises(SettingError, match="1 or more; found 0"):
        rc.full_ranking(by_item, ratings([0], [2], [3]), n=0)


@pytest.mark.parametrize("side", ["item", "user"])
def test_new_users_are_predicted_from_what_they_give(planted_small, side):
    split = rc.new_user_split(planted_small.ratings, users=0.2, given=0.5, seed=0)
    model = make("autorec", side=side, **SETTINGS).fit(split.train, run=Run(threads=1))
    scores = rc.new_users(model, split)
    new = np.unique(split.test.user)
    table = model.within_scale(model.fold_in(split.given.by_user.take(new)))
    predicted = table[np.searchsorted(new, split.test.user), split.test.item]
    warm = split.train.count("item")[split.test.item] > 0
    np.testing.assert_allclose(
        np.sqrt(scores.values["rmse"])[warm], np.abs(predicted - split.test.value)[warm], atol=1e-4
    )
    assert len(scores.of("rmse")) == len(split.test)


def test_new_users_need_a_split_of_them(bias, split):
    with pytest.raises(DataError, match="make it with new_user_split"):
        rc.new_users(bias, split)


@pytest.fixture
def new_items(train) -> Split:
    """Items 3 to 5 have no ratings in train: theirs are test. User 3 has rated new items only."""
    old = ratings([0, 0, 1, 1, 2], [0, 1, 0, 2, 1], [3, 2, 4, 4, 2], n_items=6)
    new = ratings([0, 0, 1, 2, 3, 3], [3, 4, 5, 4, 3, 5], [5, 2, 4, 3, 4, 5], n_items=6)
    return Split(old, None, new, "new items", 0)


@pytest.fixture
def reader(new_items, monkeypatch):
    """Predicts 1 to 6 for items 0 to 5, and 5 for item 3 to user 0; item 5 is unknown to it."""
    model = saying(new_items.train, [0.0] * 4, [1.0, 2, 3, 4, 5, 6])
    monkeypatch.setattr(type(model), "known_items", lambda self: np.arange(6) < 5)
    return model


def test_new_items_are_scored_as_held_out(new_items):
    """All ratings are cold: to offsets, items without ratings are all alike."""
    model = saying(new_items.train, [0.0] * 4, [1.0, 2, 3, 4, 5, 5])
    scores, plain = rc.new_items(model, new_items), rc.held_out(model, new_items.test)
    np.testing.assert_array_equal(scores.values["rmse"], plain.values["rmse"])
    assert (scores.about["split"], scores.about["n_test"], scores.about["n_cold"]) == (
        "new items",
        6,
        6,
    )


def test_new_items_are_ranked_alone_by_hand(reader, new_items):
    # Item 5 is unknown and gets the mean of all ratings, 3; users 0 to 2 see 4, 3, 5. Of user 3
    # nothing is known: all items get what is best for everyone, 3, and come by column: 3, 4, 5.
    # Relevant from 4 on: user 0 {3}, user 1 {5}, user 3 {3, 5}.
    scores = rc.new_items_ranking(reader, new_items, n=2, rank_by="rating")
    second, nan = 1 / math.log2(3), math.nan
    expected = {
        "ndcg@2": [second, 0, nan, 1 / (1 + second)],
        "recall@2": [1, 0, nan, 0.5],
        "hit@2": [1, 0, nan, 1],
        "mrr@2": [0.5, 0, nan, 1],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scores.of(name), values, err_msg=name)
    assert scores["coverage@2"] == pytest.approx(2 / 3)
    about = scores.about
    assert (about["n_candidates"], about["n_unknown_items"], about["n_users"], about["n_cold"]) == (
        3,
        1,
        4,
        1,
    )
    # Each place is a hit in 1 of 3 for users 0 and 1, in 2 of 3 for user 3.
    assert about["random_ndcg@2"] == pytest.approx(
        ((1 + second) / 3 + (1 + second) / 3 + 2 / 3) / 3
    )
    assert about["random_recall@2"] == pytest.approx(2 / 3)


def test_items_of_which_a_model_knows_nothing_come_in_their_order(new_items):
    scores = rc.new_items_ranking(
        make("popularity").fit(new_items.train.events()), events_of(new_items), n=1
    )
    np.testing.assert_array_equal(scores.of("hit@1"), [1, 0, 0, 1])  # item 3 to everyone
    assert (scores.about["n_unknown_items"], scores.about["n_candidates"]) == (3, 3)


def events_of(split: Split) -> Split:
    return replace(split, train=split.train.events(), test=split.test.events())


def test_random_figures_are_those_of_shuffled_items(planted_small):
    """The mean over many random orders of the new items is what `about` says to expect."""
    rng, n = np.random.default_rng(0), 5
    split = rc.new_item_split(
        planted_small.ratings.events(from_=planted_small.ratings.mean), items=0.25, seed=0
    )
    about = rc.new_items_ranking(make("popularity").fit(split.train), split, n=n).about
    new, good = np.flatnonzero(split.test.count("item") > 0), split.test.by_user
    people = np.flatnonzero(split.test.count("user") > 0)
    relevant = np.zeros((len(people), split.test.n_items), bool)
    found = good.take(people)
    relevant[found.row, found.column] = True
    orders = [rng.permutation(new) for _ in range(400)]
    ndcg = np.mean([metrics.ndcg_at(n, relevant[:, order], found.counts) for order in orders])
    recall = np.mean([metrics.recall_at(n, relevant[:, order], found.counts) for order in orders])
    assert about["random_ndcg@5"] == pytest.approx(ndcg, abs=0.01)  # five standard errors, and more
    assert about["random_recall@5"] == pytest.approx(recall, abs=0.01)


def test_a_list_longer_than_the_new_items_holds_them_all(reader, new_items):
    scores = rc.new_items_ranking(reader, new_items, n=5)
    np.testing.assert_array_equal(scores.of("recall@5"), [1, 1, math.nan, 1])
    assert (scores["coverage@5"], scores.about["random_recall@5"]) == (1, 1)


def test_items_that_are_not_new_are_refused_and_counted(new_items):
    model, mixed = (
        saying(new_items.train, [0.0] * 4, [1.0] * 6),
        ratings([2, 3, 3], [0, 1, 4], [3, 3, 3], n_items=6),
    )
    for protocol in (rc.new_items, rc.new_items_ranking):
        with pytest.raises(
            DataError, match=r"2 of the 3 items in test have ratings in train.*new_item_split"
        ):
            protocol(model, replace(new_items, test=mixed))
        with pytest.raises(LeakError, match="test shares 1 pairs"):
            protocol(model, replace(new_items, test=ratings([0], [0], [3], n_items=6)))
        with pytest.raises(DataError, match="different vocabularies"):
            protocol(model, replace(new_items, test=ratings([0], [4], [3], n_items=7)))
    with pytest.raises(SettingError, match="1 or more; found 0"):
        rc.new_items_ranking(model, new_items, n=0)


def test_rankings_of_other_items_are_not_compared(reader, new_items):
    alone, among_all = (
        rc.new_items_ranking(reader, new_items),
        rc.full_ranking(reader, new_items.test),
    )
    with pytest.raises(
        DataError,
        match="number of items that were ranked must be the same for both scores, found 3 and None",
    ):
        alone.versus(among_all, "ndcg@10")


def test_a_figure_that_was_not_measured_is_named_with_those_that_were(by_item):
    errors = rc.held_out(by_item, ratings([0], [2], [3]))
    lists = rc.full_ranking(by_item, ratings([0], [2], [5]), n=3)
    with pytest.raises(
        SettingError, match="'ndcg@3' here, only of rmse, mae, rmse_macro, mae_macro"
    ):
        errors["ndcg@3"]
    with pytest.raises(SettingError, match="'rmse_macro' here, only of ndcg@3"):
        lists.of("rmse_macro")


def test_intervals_are_bootstraps_over_users(bias, split):
    scores = rc.held_out(bias, split.test)
    error, user = scores.values["rmse"], split.test.user.astype(np.int64)
    assert scores.interval("rmse", n=200, seed=3) == significance.bootstrap_interval(
        error, statistic="root_mean", group=user, n=200, seed=3
    )
    per_user = metrics.mean_per_user(scores.values["mae"], user, 120)
    assert scores.interval("mae_macro", n=200) == significance.bootstrap_interval(
        per_user[np.isfinite(per_user)], n=200
    )
    table = scores.table("rmse", "mae")
    assert table.columns == ["metric", "value", "low", "high"]
    assert table["value"].to_list() == [scores["rmse"], scores["mae"]]
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()


def test_as_many_users_as_ratings_are_not_taken_for_each_other():
    """Three ratings, users 0, 0 and 2: per user there are three values, too, one of them NaN."""
    scores = Scores({"rmse": np.array([1.0, 9.0, 4.0])}, "rating", {}, group=np.array([0, 0, 2]))
    np.testing.assert_allclose(scores.of("rmse_macro"), [math.sqrt(5), math.nan, 2])
    per_user = np.array([math.sqrt(5), 2])
    assert scores.interval("rmse_macro", n=50) == significance.bootstrap_interval(per_user, n=50)


def test_the_table_has_every_figure_and_no_interval_where_there_is_none(by_item):
    table = rc.full_ranking(by_item, ratings([0, 1], [3, 3], [2, 2]), n=2).table()
    of_lists = ("ndcg", "recall", "capped_recall", "precision", "map", "mrr", "hit")
    of_shown = ("novelty", "popularity_lift", "diversity")
    measured = (*of_lists, *of_shown, "coverage", "gini")
    assert table["metric"].to_list() == [f"{name}@2" for name in measured]
    assert table["value"][:7].is_nan().all()  # nobody has anything relevant
    assert table["low"][7:10].is_not_null().all()  # whatever is relevant, lists are lists
    assert table["low"][10:].is_null().all()


def test_versus_is_a_paired_bootstrap_over_users(fitted, bias, split):
    a, b = rc.held_out(fitted, split.test), rc.held_out(bias, split.test)
    found = a.versus(b, "rmse", n=300)
    order = np.argsort(split.test.pair)
    assert found == significance.paired_bootstrap(
        a.values["rmse"][order],
        b.values["rmse"][order],
        statistic="root_mean",
        group=split.test.user[order].astype(np.int64),
        n=300,
    )
    assert found.difference == pytest.approx(a["rmse"] - b["rmse"])
    assert found.high < 0  # it beats bias on planted tastes
    assert b.versus(a, "mae_macro", n=300).difference == pytest.approx(
        b["mae_macro"] - a["mae_macro"]
    )
    assert a.versus(a, "rmse", n=50) == (0, 0, 0, 1)


def test_versus_pairs_the_same_ratings_whatever_their_order(fitted, bias, split):
    backwards = split.test.where(np.arange(len(split.test))[::-1])
    assert backwards.fingerprint == split.test.fingerprint
    a, b = rc.held_out(fitted, split.test), rc.held_out(bias, split.test)
    assert a.versus(rc.held_out(bias, backwards), "rmse", n=200) == a.versus(b, "rmse", n=200)


def test_versus_leaves_out_users_with_nothing_relevant(fitted, bias, split):
    a, b = rc.full_ranking(fitted, split.test), rc.full_ranking(bias, split.test)
    assert a.about["n_without_relevant"] > 0
    assert a.versus(b, "ndcg@10", n=100).difference == pytest.approx(a["ndcg@10"] - b["ndcg@10"])


def test_versus_refuses_other_test_ratings_and_shows_both(bias, split, planted_small):
    other = rc.random_split(planted_small.ratings, test=0.2, seed=1)
    a, b = rc.held_out(bias, split.test), rc.held_out(make("bias").fit(other.train), other.test)
    with pytest.raises(
        DataError,
        match=f"test ratings .* found {split.test.fingerprint} and {other.test.fingerprint}",
    ):
        a.versus(b, "rmse")
    with pytest.raises(DataError, match="found None and None"):
        Scores({}, "rating", {}).versus(Scores({}, "rating", {}), "rmse")


def test_versus_refuses_another_relevance_and_what_has_no_values(bias, split):
    a, b = rc.full_ranking(bias, split.test), rc.full_ranking(bias, split.test, relevant=3)
    with pytest.raises(
        DataError, match=r"an item is relevant must be the same .* found 4\.0 and 3\.0"
    ):
        a.versus(b, "ndcg@10")
    with pytest.raises(SettingError, match="no values of 'coverage@10'"):
        a.versus(a, "coverage@10")
    with pytest.raises(SettingError, match="no values of 'rmse'"):
        a.versus(a, "rmse")


def test_scores_print_their_figures(by_item):
    test = ratings([0, 0, 1, 3, 2], [2, 3, 1, 0, 4], [1, 4, 3, 5, 4])
    text = repr(rc.held_out(by_item, test))
    assert text == "Scores(bias on 5 test ratings, 2 of them cold: rmse 1.4142, mae 1.2000)"
    assert "ndcg@2 " in repr(rc.full_ranking(by_item, test, n=2))
