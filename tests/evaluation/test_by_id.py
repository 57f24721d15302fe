"""Test ratings with vocabularies of their own: the same figures whichever road leads to them."""

import dataclasses

import numpy as np
import polars as pl
import pytest

import recollect as rc
from recollect.data.vocab import Vocab
from recollect.errors import DataError, LeakError
from recollect.evaluation.by_id import aligned, count_without_ratings, with_given
from recollect.run import Run

MODELS = {
    "bias": {},
    "pmf": {"factors": 3, "epochs": 5},
    "item": {"side": "item", "hidden": 5, "epochs": 10},
    "user": {"side": "user", "hidden": 5, "epochs": 10},
}
FIGURES = ("rmse", "mae", "rmse_macro", "mae_macro")


def unfitted(name, **settings):
    kind = "autorec" if name in ("item", "user") else name
    return rc.make(kind, **MODELS[name], **settings)


@pytest.fixture(scope="module")
def whole():
    """Planted ratings whose ids are text: users and items have names."""
    ratings = rc.load("planted/tiny")
    users = Vocab([f"user {j:02}" for j in range(ratings.n_users)])
    items = Vocab([f"item {j:02}" for j in range(ratings.n_items)])
    return dataclasses.replace(ratings, users=users, items=items)


@pytest.fixture(scope="module")
def parts(whole):
    """Train lacks two users and three items, all of which are in test."""
    random = np.random.default_rng(0)
    is_test = random.random(len(whole)) < 0.3
    is_test |= (whole.user < 2) | (whole.item < 3)
    return whole.where(~is_test), whole.where(is_test)


def anew(ratings):
    """The ratings as a file would bring them: with other row numbers, and in another order."""
    return rc.from_frame(ratings.frame()[::-1], scale=ratings.scale)


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def by_one(name, parts):
    """Fitted where train and test have one vocabulary."""
    return unfitted(name).fit(parts[0], run=Run(threads=1))


def test_errors_are_the_same_whatever_the_vocabularies(by_one, parts):
    expected = rc.held_out(by_one, parts[1])
    assert expected.about["n_cold"] > 50
    for test in (anew(parts[1]), parts[1].frame()):
        scores = rc.held_out(by_one, test)
        for figure in FIGURES:
            assert scores[figure] == pytest.approx(expected[figure]), figure
        assert scores.about["n_cold"] == expected.about["n_cold"]


def test_rankings_are_the_same_whatever_the_vocabularies(by_one, parts):
    expected = rc.full_ranking(by_one, parts[1], n=5)
    scores = rc.full_ranking(by_one, anew(parts[1]), n=5)
    for figure in (*expected.names(), *expected.whole):
        assert scores[figure] == pytest.approx(expected[figure]), figure
    for count in ("n_users", "n_without_relevant", "n_cold", "relevant_from"):
        assert scores.about[count] == expected.about[count]


def test_figures_are_the_same_from_a_fit_on_a_file_of_its_own(parts):
    """Of the bias model, which draws nothing at random."""
    train, test = parts
    one, two = rc.make("bias").fit(train), rc.make("bias").fit(anew(train))
    for protocol in (rc.held_out, rc.full_ranking):
        expected, scores = protocol(one, test), protocol(two, anew(test))
        for figure in (*expected.names(), *expected.whole):
            assert scores[figure] == pytest.approx(expected[figure]), figure
            if figure in expected.names():
                interval = scores.interval(figure, n=20)
                np.testing.assert_allclose(interval, expected.interval(figure, n=20), rtol=1e-6)


def test_relevant_items_that_the_model_never_saw_count_as_not_found(parts):
    """Item 0 is the only relevant one of a user: nothing of it can be found."""
    train, _ = parts
    model = rc.make("bias").fit(anew(train))
    user_id = train.users.ids[10]
    test = rc.from_tuples([(user_id, "never heard of", 5)], scale=(1, 5))
    scores = rc.full_ranking(model, test, n=3)
    assert (scores["recall@3"], scores["ndcg@3"]) == (0, 0)
    assert (scores.about["n_users"], scores.about["n_without_relevant"]) == (1, 0)


@pytest.mark.filterwarnings("ignore::recollect.RecollectWarning")
def test_users_the_model_never_saw_are_ranked_for_by_what_is_best_for_everyone(parts):
    train, _ = parts
    model = rc.make("bias").fit(anew(train))
    best = rc.top_n(model, user_ids=["stranger"], n=1)["item_id"][0]
    scores = rc.full_ranking(model, rc.from_tuples([("stranger", best, 5)], scale=(1, 5)), n=3)
    assert scores["hit@3"] == 1
    assert scores.about["n_cold"] == 1


def test_given_ratings_of_people_outside_the_vocabulary_count(name, whole):
    """They are folded in, from their given ratings alone."""
    split = rc.new_user_split(whole, users=0.2, given=0.6, seed=0)
    train, test, given = anew(split.train), anew(split.test), anew(split.given)
    model = unfitted(name).fit(train, run=Run(threads=1))
    visible = with_given(model, given)
    scores = rc.held_out(model, test, given=visible)
    assert scores.about["n_cold"] < 5
    assert rc.held_out(model, test).about["n_cold"] == len(test)

    table = model.within_scale(model.fold_in(visible.rows))
    person = visible.people.rows(test.users.at(test.user))
    item = train.items.rows(test.items.at(test.item))
    known = item >= 0
    errors = np.abs(test.value[known].astype(np.float64) - table[person[known], item[known]])
    np.testing.assert_allclose(scores.values["mae"][known], errors, atol=1e-5)
    assert rc.full_ranking(model, test, n=5, given=visible).about["n_cold"] == 0


def test_figures_of_new_people_are_those_of_one_vocabulary(whole):
    split = rc.new_user_split(whole, users=0.2, given=0.6, seed=0)
    one, two = rc.make("bias").fit(split.train), rc.make("bias").fit(anew(split.train))
    visible = with_given(two, anew(split.given))
    expected, scores = rc.new_users(one, split), rc.held_out(two, anew(split.test), given=visible)
    for figure in FIGURES:
        assert scores[figure] == pytest.approx(expected[figure]), figure
    expected = rc.new_users_ranking(one, split, n=5)
    scores = rc.full_ranking(two, anew(split.test), n=5, given=visible)
    for figure in (*expected.names(), *expected.whole):
        assert scores[figure] == pytest.approx(expected[figure]), figure


def test_a_person_whose_given_items_are_all_unknown_is_a_stranger(parts):
    model = rc.make("bias").fit(anew(parts[0]))
    test = rc.from_tuples([("p", parts[0].items.ids[9], 4), ("p", "q", 2)], scale=(1, 5))
    given = rc.from_tuples([("p", "nothing", 5), ("p", "nothing else", 4)], scale=(1, 5))
    asked = with_given(model, given)
    scores, plain = rc.held_out(model, test, given=asked), rc.held_out(model, test)
    np.testing.assert_array_equal(scores.values["rmse"], plain.values["rmse"])
    assert scores.about["n_cold"] == 2
    assert rc.full_ranking(model, test, n=3, given=asked).about["n_cold"] == 1


def test_a_new_persons_unknown_item_gets_the_mean_and_their_offset(parts):
    model = rc.make("bias").fit(anew(parts[0]))
    item = parts[0].items.ids[9]
    test = rc.from_tuples([("p", "never heard of", 4)], scale=(1, 5))
    given = with_given(model, rc.from_tuples([("p", item, 5)], scale=(1, 5)))
    fitted = model.cold_offsets()
    [row] = model.given_.items.rows([item])
    predicted = fitted.mu + (5 - fitted.mu - fitted.b_item[row]) / (1 + 5)
    assert rc.held_out(model, test, given=given)["mae"] == pytest.approx(4 - predicted, rel=1e-5)


@pytest.mark.filterwarnings("ignore::recollect.RecollectWarning")
def test_what_a_new_person_has_given_is_not_ranked(parts):
    model = rc.make("bias").fit(anew(parts[0]))
    best = rc.top_n(model, user_ids=["p"], n=1)["item_id"][0]
    test = rc.from_tuples([("p", "x", 5)], scale=(1, 5))
    given = with_given(model, rc.from_tuples([("p", best, 1)], scale=(1, 5)))
    lists = rc.full_ranking(model, test, n=parts[0].n_items, given=given)
    n_ranked = int((parts[0].count("item") > 0).sum())
    assert lists[f"coverage@{parts[0].n_items}"] == pytest.approx((n_ranked - 1) / (n_ranked + 1))


def test_further_ratings_replace_those_of_the_fit(parts):
    train, _ = parts
    model = rc.make("bias").fit(train)
    newer = train.where(np.arange(10)).frame().with_columns(rating=pl.lit(5.0))
    visible = with_given(model, newer)
    assert len(visible.known) == len(train)
    assert visible.known.mean != train.mean


def test_leaks_are_found_by_id(parts):
    train, _ = parts
    model = rc.make("bias").fit(anew(train))
    with pytest.raises(LeakError, match="test shares 7 pairs with the ratings the model was"):
        rc.held_out(model, anew(train.where(np.arange(7))))
    stranger = rc.from_tuples([("p", "q", 4)], scale=(1, 5))
    with pytest.raises(LeakError, match="test shares 1 pairs with given"):
        rc.full_ranking(model, stranger, given=with_given(model, stranger))


def test_users_and_items_without_ratings_in_the_fit_are_counted(parts):
    train, test = parts
    for fitted in (train, anew(train)):
        assert count_without_ratings(anew(test), fitted, "user") == 2
        assert count_without_ratings(anew(test), fitted, "item") == 3


def test_known_pairs_get_the_row_numbers_of_the_model(parts):
    train, test = parts
    matched, is_known = aligned(anew(test), train)
    assert is_known.all()
    assert set(matched.pair.tolist()) == set(test.pair.tolist())


def test_a_path_is_read_as_what_the_model_learned_from(parts, tmp_path):
    train, test = parts
    model = rc.make("bias").fit(train)
    test.frame().write_csv(tmp_path / "test.csv")
    expected = rc.held_out(model, test)["rmse"]
    assert rc.held_out(model, tmp_path / "test.csv")["rmse"] == pytest.approx(expected)
    assert rc.held_out(model, str(tmp_path / "test.csv"))["rmse"] == pytest.approx(expected)


@pytest.mark.parametrize("test", [[("a", "b", 3)], {"a": 1}, None, 3, pl.Series([1])])
def test_what_holds_no_ratings_is_refused(parts, test):
    model = rc.make("bias").fit(parts[0])
    with pytest.raises(DataError, match=r"test is a .*; pass Ratings"):
        rc.held_out(model, test)


def test_ratings_on_disk_are_asked_with_people_of_a_file(parts, tmp_path):
    train, _ = parts
    stored = rc.store(anew(train), tmp_path / "stored")
    model = rc.make("autorec", optimizer="adam", batch_size=8, epochs=1, hidden=3).fit(stored)
    item = train.items.ids[9]
    test = rc.from_tuples([("p", item, 4), ("q", item, 4)], scale=(1, 5))
    given = with_given(model, rc.from_tuples([("p", train.items.ids[8], 5)], scale=(1, 5)))
    assert rc.held_out(model, test, given=given).about["n_cold"] == 1
