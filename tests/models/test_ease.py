"""EASE beside equation 8 in plain NumPy, on planted groups of items, and where it cannot work."""

import numpy as np
import pytest
from tests.events import as_matrix, events_in_groups, ndcg

import recollect as rc
from recollect import unseen
from recollect.data.ratings import Ratings
from recollect.errors import SettingError, TrainingError
from recollect.families import item_weights
from recollect.models import ease
from recollect.models.ease import EASE


@pytest.fixture(scope="module")
def groups() -> Ratings:
    return events_in_groups()


def by_hand(x: np.ndarray, reg: float) -> np.ndarray:
    """Equation 8."""
    P = np.linalg.inv(x.T @ x + reg * np.eye(x.shape[1]))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    return B


@pytest.mark.parametrize("block", [7, 1024])
def test_the_weights_are_those_of_equation_8(groups, block, monkeypatch):
    monkeypatch.setattr(ease, "BLOCK", block)
    model = EASE(reg=3.0).fit(groups)
    np.testing.assert_allclose(model.net_.weight, by_hand(as_matrix(groups), 3.0), atol=1e-6)


def test_the_weights_minimize_the_objective(groups):
    """A small change of any weight but the diagonal's raises it."""
    x = as_matrix(groups)
    B = EASE(reg=3.0).fit(groups).net_.weight.double().numpy()

    def objective(B):
        return np.sum((x - x @ B) ** 2) + 3.0 * np.sum(B**2)

    random = np.random.default_rng(1)
    for _ in range(20):
        change = 1e-2 * random.standard_normal(B.shape)
        np.fill_diagonal(change, 0)
        assert objective(B + change) > objective(B)


def test_scores_are_sums_of_weights_over_a_users_events(groups, monkeypatch):
    monkeypatch.setattr(unseen, "BLOCK_CELLS", 5 * groups.n_items)  # five users at a time
    model = EASE(reg=3.0).fit(groups)
    expected = as_matrix(groups) @ by_hand(as_matrix(groups), 3.0)
    np.testing.assert_allclose(model.scores(np.arange(80), groups), expected, atol=1e-5)
    random = np.random.default_rng(2)
    user, item = random.integers(0, 80, 500), random.integers(0, groups.n_items, 500)
    np.testing.assert_allclose(model.predict(user, item), expected[user, item], atol=1e-5)


def test_someone_new_is_a_row_like_any_other(groups):
    model = EASE(reg=3.0).fit(groups)
    events = groups.items.at(groups.item[groups.user == 4])
    new = rc.top_n(model, events=list(events), n=5)
    fitted = rc.top_n(model, user_ids=[groups.users.ids[4]], n=5)
    assert new["item_id"].to_list() == fitted["item_id"].to_list()
    np.testing.assert_allclose(new["prediction"], fitted["prediction"], atol=1e-5)


def test_lists_and_neighbors_are_of_the_own_group(groups):
    train, _, test = rc.random_split(groups, test=0.2, seed=0)
    model = EASE(reg=10.0).fit(train)
    popular = rc.make("popularity").fit(train)
    assert ndcg(model, test) > 1.8 * ndcg(popular, test)
    neighbors = rc.similar(model, item_ids=["i4"], n=5)["neighbor_id"]
    assert all(int(name[1:]) % 3 == 1 for name in neighbors)


def test_with_validation_events_it_learns_from_them_too(groups):
    train, valid, _ = rc.random_split(groups, test=0.1, valid=0.1, seed=0)
    both = EASE(reg=3.0).fit(train, valid)
    np.testing.assert_allclose(
        both.net_.weight, by_hand(as_matrix(train.union(valid)), 3.0), atol=1e-6
    )
    alone = EASE(reg=3.0, refit=False).fit(train, valid)
    np.testing.assert_allclose(alone.net_.weight, by_hand(as_matrix(train), 3.0), atol=1e-6)


def test_a_matrix_that_32_bits_cannot_invert_is_an_error():
    with pytest.raises(TrainingError, match="raise reg"):
        ease.invert(np.array([[1.0, 2.0], [2.0, 1.0]], np.float32))


def test_a_penalty_of_0_is_refused():
    with pytest.raises(SettingError, match="reg must be above 0"):
        EASE(reg=0.0)


def test_vectors_of_very_many_users_are_refused(groups, monkeypatch):
    monkeypatch.setattr(item_weights, "MOST_VECTORS", 100)
    model = EASE(reg=3.0).fit(groups)
    with pytest.raises(SettingError, match="more than 2 GB"):
        model.vectors("user")
