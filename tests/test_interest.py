"""Lists from ratings: who will choose an item, times whether they will like it."""

import numpy as np
import pytest
from scipy.stats import norm
from tests.dense import rating_matrix

import recollect as rc
from recollect import interest
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import SettingError
from recollect.models.autorec.model import QUICK

REG = 250.0  # the defaults of EASE
NOISE = 1.0


def ratings_of(triples, *, n_users, n_items, scale=(1.0, 5.0)):
    user, item, value = map(np.array, zip(*triples, strict=True))
    return Ratings(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        value=value.astype(np.float32),
        users=Vocab(range(n_users)),
        items=Vocab(range(n_items)),
        scale=scale,
    )


@pytest.fixture(scope="module")
def split():
    return rc.random_split(rc.load("planted/small"), test=0.2, valid=0.1, seed=3)


@pytest.fixture(scope="module")
def model(split):
    return rc.make("biased_mf", factors=4, epochs=8).fit(split.train, split.valid)


def joined_by_hand(model, user):
    """The two probabilities in plain NumPy, from the equations alone."""
    given = model.given_
    _, known = rating_matrix(given)
    x = known.astype(np.float64)
    weight = x.sum(axis=1) ** -0.5
    gramian = x.T @ (weight[:, None] / weight.mean() * x)
    inverse = np.linalg.inv(gramian + np.diag(REG + NOISE * np.diag(gramian)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    chosen = x[user] @ weights
    chosen = np.maximum(chosen, 1e-4 * chosen.max(axis=1, keepdims=True))
    predicted = model.scores(user, given).astype(np.float64)

    return chosen * norm.cdf((predicted - 3.5) / model.history_.best_valid)


def test_an_item_is_ranked_by_being_chosen_times_being_liked(model):
    given = model.given_
    users = np.arange(6)
    expected = joined_by_hand(model, users)
    _, known = rating_matrix(given)
    expected[known[users]] = -np.inf
    expected[:, given.count("item") == 0] = -np.inf
    frame = rc.top_n(model, user_ids=given.users.at(users), n=5)

    for place, rows in enumerate(np.split(given.items.rows(frame["item_id"]), 6)):
        best = np.sort(expected[place])[::-1][:5]
        np.testing.assert_allclose(expected[place][rows], best, rtol=1e-4)

    # What is shown beside an item is its predicted rating, as ever.
    pairs = frame.select("user_id", "item_id")
    shown = rc.predict(model, pairs)["prediction"].to_numpy()
    np.testing.assert_allclose(frame["prediction"].to_numpy(), shown, atol=1e-5)


def test_someone_new_gets_the_list_of_someone_known_with_the_same_ratings(split):
    model = rc.make("pmf", factors=4, epochs=8, clip=False).fit(split.train)
    row = model.given_.by_user.take(np.array([5]))
    mine = dict(zip(model.given_.items.at(row.column).to_list(), row.value.tolist(), strict=True))
    new = interest.interest_of(model).join(model.fold_in(row), row)
    frame = rc.top_n(model, ratings=mine, n=5)
    new[row.row, row.column] = -np.inf
    new[:, ~model.known_items()] = -np.inf
    expected = np.argsort(-new[0], kind="stable")[:5]
    assert frame["item_id"].to_list() == model.given_.items.at(expected).to_list()


def test_lists_are_of_what_people_choose_and_like():
    """Two circles of people and of films; half of the films that a circle watches, it dislikes."""
    random = np.random.default_rng(0)
    triples = []

    for user in range(200):
        circle = user % 2
        for item in range(80):
            watched = random.random() < (0.5 if item % 2 == circle else 0.02)
            liked = item // 2 % 2 == 0
            noise = random.normal(0, 0.3)
            if watched:
                triples.append((user, item, np.clip((4.6 if liked else 1.6) + noise, 1, 5)))

    split = rc.random_split(ratings_of(triples, n_users=200, n_items=80), test=0.3, valid=0.1)
    model = rc.make("biased_mf", factors=4, epochs=20).fit(split.train, split.valid)
    chosen = rc.make("ease").fit(split.train.events())

    def ndcg(model, **how):
        return rc.full_ranking(model, split.test, n=10, relevant=4, **how)["ndcg@10"]

    both = ndcg(model)
    assert both == ndcg(model, rank_by="both")
    assert both > 1.15 * ndcg(model, rank_by="rating")
    of_events = rc.full_ranking(chosen, split.test.events(from_=4), n=10)["ndcg@10"]
    assert both > 1.15 * of_events


def test_predictions_do_not_change(model, split):
    before = rc.held_out(model, split.test)["rmse"]
    rc.top_n(model, user_ids=model.given_.users.ids[:3])
    assert rc.held_out(model, split.test)["rmse"] == before


def test_a_saved_model_gives_the_same_lists_without_learning_again(model, tmp_path, monkeypatch):
    users = model.given_.users.ids[:10]
    before = rc.top_n(model, user_ids=users)
    rc.save(model, tmp_path / "films")
    monkeypatch.setattr(interest, "learn_choices", None)
    assert rc.top_n(rc.load_model(tmp_path / "films"), user_ids=users).equals(before)


def test_models_of_events_have_one_way_to_rank(split):
    model = rc.make("popularity").fit(split.train.events(from_=4))
    rc.top_n(model, user_ids=["1"], rank_by="rating")
    with pytest.raises(SettingError, match="learned from events"):
        rc.top_n(model, user_ids=["1"], rank_by="both")


def test_an_unknown_way_to_rank_is_refused_with_those_there_are(model):
    with pytest.raises(SettingError, match="Did you mean 'rating'"):
        rc.top_n(model, user_ids=["1"], rank_by="ratings")


@pytest.mark.parametrize(
    ("values", "scale", "expected"),
    [
        ([1, 2, 3, 4, 5], (1, 5), 3.5),
        ([0.5, 3.5, 4.0, 5.0], (0.5, 5), 3.75),  # liked from 3.875: 4 is, 3.5 is not
        ([1, 2, 3], (1, 5), 4.0),  # nobody liked anything
        ([4, 5], (1, 5), 4.0),  # everyone liked everything
    ],
)
def test_the_threshold_lies_between_levels(values, scale, expected):
    triples = [(user, item, value) for user in range(20) for item, value in enumerate(values)]
    ratings = ratings_of(triples, n_users=20, n_items=len(values), scale=scale)
    assert interest.threshold(ratings) == expected


def test_of_ratings_that_are_no_levels_the_threshold_is_the_lowest_liked():
    random = np.random.default_rng(1)
    triples = [(user, user % 7, random.uniform(-10, 10)) for user in range(90)]
    ratings = ratings_of(triples, n_users=90, n_items=7, scale=(-10.0, 10.0))
    assert interest.threshold(ratings) == 5.0


def test_the_error_is_that_of_validation_or_a_share_of_the_spread(model, split):
    assert interest.error_of(model) == model.history_.best_valid
    without = rc.make("bias").fit(split.train)
    assert interest.error_of(without) == pytest.approx(0.8 * split.train.value.std(), rel=1e-4)


def test_of_very_many_ratings_those_of_some_users_are_drawn(split, monkeypatch):
    monkeypatch.setattr(interest, "MOST_EVENTS", len(split.train) // 3)
    model = rc.make("bias").fit(split.train)
    events = interest.interest_of(model).choices.given_
    assert 0.8 * len(split.train) / 3 < len(events) <= len(split.train) / 3
    # All events of each user who was drawn.
    row = split.train.users.rows(events.users.ids)
    np.testing.assert_array_equal(events.count("user"), split.train.count("user")[row])


def test_of_very_many_items_each_has_neighbors(split, monkeypatch):
    monkeypatch.setattr(interest, "MOST_ITEMS", 10)
    model = rc.make("bias").fit(split.train)
    assert type(interest.interest_of(model).choices).__name__ == "ItemKNN"
    assert rc.full_ranking(model, split.test)["ndcg@10"] > 0


def test_ratings_on_disk_have_lists_by_both(split, tmp_path):
    how = {**QUICK, "epochs": 2, "optimizer": "adam", "batch_size": 64}
    in_memory = rc.make("autorec", **how).fit(split.train)
    stored = rc.store(split.train, tmp_path / "stored")
    on_disk = rc.make("autorec", **how).fit(stored)
    of_disk = interest.interest_of(on_disk)
    of_memory = interest.interest_of(in_memory)
    assert of_disk.threshold == of_memory.threshold == 3.5
    rows = split.train.by_user.take(np.arange(5))
    predicted = np.full((5, split.train.n_items), 3.0, np.float32)
    np.testing.assert_allclose(
        of_disk.join(predicted, rows), of_memory.join(predicted, rows), rtol=1e-4
    )


def test_influences_are_scores_with_a_rating_less_those_without_it(model):
    """Each rating left out in turn, in plain NumPy."""
    given = model.given_
    rows = given.by_user.take(np.array([3]))
    items = np.array([[1, 4, 7]])
    interested = interest.interest_of(model)
    weights = interested.choices.net_.weight.numpy().astype(np.float64)
    least = 1e-4 * (weights[rows.column].sum(axis=0)).max()

    def logarithm(columns, predicted):
        chosen = np.maximum(weights[columns].sum(axis=0)[items[0]], least)
        z = (predicted - interested.threshold) / interested.error
        return np.log(chosen) + norm.logcdf(z)

    predicted = np.take_along_axis(model.fold_in(rows), items, axis=1)
    of_ratings = model.influences(rows, items)
    found = interested.influences(rows, items, predicted, of_ratings)
    whole = logarithm(rows.column, predicted[0])

    for cell in range(rows.n_cells):
        without = logarithm(np.delete(rows.column, cell), predicted[0] - of_ratings[cell])
        np.testing.assert_allclose(found[cell], whole - without, rtol=1e-2, atol=1e-4)


def test_reasons_are_of_what_the_list_was_ranked_by(model):
    users = model.given_.users.ids[:4]
    lists = rc.top_n(model, user_ids=users, n=3)
    both = rc.explain_list(model, lists)
    assert both.equals(rc.explain_list(model, lists, rank_by="both"))
    assert not both.equals(rc.explain_list(model, lists, rank_by="rating"))
    assert set(both["user_id"]) == set(users)
