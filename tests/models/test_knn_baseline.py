"""KNNBaseline beside its equations in plain NumPy, and on planted ratings."""

import numpy as np
import pytest
from tests.dense import rating_matrix

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.errors import SettingError, SizeError
from recollect.families import vectors
from recollect.models.knn_baseline import KNNBaseline

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [{"reg": 0.0, "neighbors": 3, "shrinkage": 0.0}]


def by_hand(ratings: Ratings, *, k: int, shrinkage: float, reg: float, pool: int) -> np.ndarray:
    """The prediction of every cell, users × items."""
    value, known = rating_matrix(ratings)
    bias = rc.make("bias").fit(ratings)
    baseline = bias.scores(np.arange(ratings.n_users), ratings).astype(np.float64)
    e = np.where(known, value - baseline, 0.0)
    known = known.astype(float)
    together = e.T @ e
    size = np.sqrt((e**2).T @ known * (known.T @ e**2))
    n = known.T @ known
    s = np.divide(together, size, out=np.zeros_like(size), where=size > 0) * n / (n + shrinkage)
    np.fill_diagonal(s, 0)
    out = baseline.copy()
    for i in range(ratings.n_items):
        near = [j for j in np.argsort(-s[i], kind="stable")[:pool] if s[i, j] > 0]
        for u in range(ratings.n_users):
            of_u = [j for j in near if known[u, j]][:k]
            if of_u:
                out[u, i] += s[i, of_u] @ e[u, of_u] / (s[i, of_u].sum() + reg)
    return out


@pytest.mark.parametrize(
    "settings",
    [
        {"neighbors": 4, "shrinkage": 0.0, "reg": 0.0, "pool": 1000},
        {"neighbors": 30, "shrinkage": 12.0, "reg": 0.7, "pool": 1000},
        {"neighbors": 3, "shrinkage": 5.0, "reg": 0.1, "pool": 8},
    ],
)
def test_predictions_are_those_of_the_equations(planted_small, settings):
    train = planted_small.ratings
    model = KNNBaseline(**settings, clip=False).fit(train)
    names = {"neighbors": "k", "shrinkage": "shrinkage", "reg": "reg", "pool": "pool"}
    expected = by_hand(train, **{names[key]: value for key, value in settings.items()})
    np.testing.assert_allclose(
        model.scores(np.arange(train.n_users), train), expected, rtol=1e-4, atol=2e-4
    )
    predicted = model.predict(train.user[::-1], train.item[::-1])
    np.testing.assert_allclose(
        predicted, expected[train.user[::-1], train.item[::-1]], rtol=1e-4, atol=2e-4
    )


def test_it_is_better_than_the_offsets_on_planted_ratings():
    split = rc.random_split(rc.load("planted/small"), test=0.2, seed=0)
    errors = {}
    for name in ("bias", "knn_baseline"):
        predicted = rc.make(name).fit(split.train).predict(split.test.user, split.test.item)
        errors[name] = np.sqrt(np.mean((predicted - split.test.value) ** 2))
    assert errors["knn_baseline"] < 0.98 * errors["bias"]


def test_someone_new_with_the_ratings_of_a_known_user_gets_the_same(planted_small):
    train = planted_small.ratings
    model = KNNBaseline(neighbors=5).fit(train)
    own = train.user == 3
    ratings = dict(zip(train.items.at(train.item[own]), train.value[own].tolist(), strict=True))
    new = rc.top_n(model, ratings=ratings, n=5, rank_by="rating")
    fitted = rc.top_n(model, user_ids=[train.users.ids[3]], n=5, rank_by="rating")
    assert new["item_id"].to_list() == fitted["item_id"].to_list()


def test_vectors_that_would_not_fit_are_refused(planted_small, monkeypatch):
    model = KNNBaseline().fit(planted_small.ratings)
    assert model.vectors("item").shape[0] == planted_small.ratings.n_items
    monkeypatch.setattr(vectors, "MOST_NUMBERS", 100)
    with pytest.raises(SizeError, match="rows of ratings"):
        model.vectors("user")


def test_events_are_refused():
    events = rc.load("planted/tiny").events(from_=4)
    with pytest.raises(rc.RecollectError, match="ratings"):
        KNNBaseline().fit(events)


def test_a_pool_of_no_items_is_refused():
    with pytest.raises(SettingError, match="pool"):
        KNNBaseline(pool=0)
