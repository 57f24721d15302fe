"""ItemKNN beside its equations in plain NumPy, and on planted groups of items."""

import numpy as np
import pytest
from tests.events import as_matrix, events_in_groups, ndcg

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.errors import SettingError
from recollect.models import item_knn
from recollect.models.item_knn import ItemKNN, item_vectors

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [{"weighting": "bm25", "asymmetry": 0.3}]


@pytest.fixture(scope="module")
def groups() -> Ratings:
    return events_in_groups()


def weights_by_hand(x: np.ndarray, k: int, alpha: float, shrinkage: float) -> np.ndarray:
    """s_ji where j is among the k nearest of i, else 0; x is items × users."""
    n_items = len(x)
    B = np.zeros((n_items, n_items))
    for i in range(n_items):
        s = np.zeros(n_items)
        for j in range(n_items):
            if j != i and x[i] @ x[j]:
                norms = (x[j] @ x[j]) ** alpha * (x[i] @ x[i]) ** (1 - alpha)
                s[j] = x[j] @ x[i] / (norms + shrinkage)
        nearest = np.argsort(-s, kind="stable")[:k]
        B[nearest, i] = s[nearest]
    return B


@pytest.mark.parametrize("block", [7, 512])
@pytest.mark.parametrize(
    "settings",
    [
        {"asymmetry": 0.5, "shrinkage": 0.0},
        {"asymmetry": 0.5, "shrinkage": 20.0},
        {"asymmetry": 0.2, "shrinkage": 3.0},
    ],
)
def test_scores_are_those_of_the_equations(groups, settings, block, monkeypatch):
    monkeypatch.setattr(item_knn, "BLOCK", block)
    x = as_matrix(groups)
    # All neighbors, so that it does not matter which of equals is kept.
    model = ItemKNN(neighbors=61, **settings).fit(groups)
    B = weights_by_hand(x.T, 61, settings["asymmetry"], settings["shrinkage"])
    np.testing.assert_allclose(model.scores(np.arange(80), groups), x @ B, rtol=1e-5, atol=1e-6)


def test_only_the_nearest_items_count(groups):
    x = as_matrix(groups)
    model = ItemKNN(neighbors=5, shrinkage=1.5).fit(groups)
    kept = np.sort(model.net_.similarity.numpy(), axis=1)
    every = weights_by_hand(x.T, 61, 0.5, 1.5)
    np.testing.assert_allclose(kept, np.sort(every, axis=0)[-5:].T, rtol=1e-5)
    matrix = model.net_.matrix().toarray()
    np.testing.assert_allclose(matrix[matrix > 0], every[matrix > 0], rtol=1e-5)
    assert (np.count_nonzero(matrix, axis=0) <= 5).all()


def test_bm25_is_that_of_words_in_documents(groups):
    """The items are documents, and the users the words in them."""
    count = as_matrix(groups, counts=True).T
    n_items = len(count)
    rarity = np.log(n_items) - np.log1p(np.count_nonzero(count, axis=0))
    length = count.sum(axis=1) / count.sum(axis=1).mean()
    reduced = 1.2 * (1 - 0.75 + 0.75 * length[:, None])
    expected = count * 2.2 / (reduced + count) * np.maximum(rarity, 0)
    np.testing.assert_allclose(item_vectors(groups, "bm25").toarray(), expected, rtol=1e-6)


def test_someone_new_is_a_row_like_any_other(groups):
    model = ItemKNN(neighbors=10).fit(groups)
    events = groups.items.at(groups.item[groups.user == 4])
    new = rc.top_n(model, events=list(events), n=5)
    fitted = rc.top_n(model, user_ids=[groups.users.ids[4]], n=5)
    assert new["item_id"].to_list() == fitted["item_id"].to_list()


@pytest.mark.parametrize("weighting", item_knn.WEIGHTINGS)
def test_lists_and_neighbors_are_of_the_own_group(groups, weighting):
    train, _, test = rc.random_split(groups, test=0.2, seed=0)
    model = ItemKNN(weighting=weighting, shrinkage=5.0).fit(train)
    popular = rc.make("popularity").fit(train)
    assert ndcg(model, test) > 1.6 * ndcg(popular, test)
    neighbors = rc.similar(model, item_ids=["i4"], n=5)["neighbor_id"]
    assert all(int(name[1:]) % 3 == 1 for name in neighbors)


def test_a_saved_one_answers_the_same(groups, tmp_path):
    model = ItemKNN(neighbors=7).fit(groups)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    user = np.arange(80)
    np.testing.assert_array_equal(loaded.scores(user, groups), model.scores(user, groups))


def test_a_weighting_that_does_not_exist_is_refused():
    with pytest.raises(SettingError, match="weighting"):
        ItemKNN(weighting="idf")
