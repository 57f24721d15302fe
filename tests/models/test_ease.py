"""EASE beside equation 8 in plain NumPy, on planted groups of items, and where it cannot work."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from tests.events import as_matrix, events_in_groups, from_matrix, ndcg

import recollect as rc
from recollect import unseen
from recollect.data.ratings import Ratings
from recollect.errors import SettingError, TrainingError
from recollect.families import vectors
from recollect.memory_estimate import Shape
from recollect.models.ease import EASE, exact
from recollect.models.ease import model as model_module
from recollect.models.ease.sparse import SparseWeights

# With some of the weights only.
VARIANTS = [{"keep": 0.3}, {"keep": 0.3, "block_share": 0.5}]


PLAIN = {"dropout": 0.0, "activity": 0.0}  # equation 8 of the first paper


@pytest.fixture(scope="module")
def groups() -> Ratings:
    return events_in_groups()


def weights_of_users(x: np.ndarray, activity: float) -> np.ndarray:
    """n to the power of -activity, 1 on average; every user has events."""
    weight = x.sum(axis=1) ** -activity
    return weight / weight.mean()


def by_hand(
    x: np.ndarray, reg: float, weight: np.ndarray | None = None, noise: float = 0.0
) -> np.ndarray:
    """Equation 8, with weights of users and noise."""
    weighted = x if weight is None else weight[:, None] * x
    G = x.T @ weighted
    P = np.linalg.inv(G + np.diag(reg + noise * np.diag(G)))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    return B


@pytest.mark.parametrize("block", [7, 1024])
def test_the_weights_are_those_of_equation_8(groups, block, monkeypatch):
    monkeypatch.setattr(exact, "BLOCK", block)
    model = EASE(**PLAIN, reg=3.0).fit(groups)
    np.testing.assert_allclose(model.net_.weight, by_hand(as_matrix(groups), 3.0), atol=1e-6)


def test_noise_and_active_users_weigh_as_stated(groups):
    model = EASE(reg=3.0, dropout=0.4, activity=0.7).fit(groups)
    x = as_matrix(groups)
    expected = by_hand(x, 3.0, weights_of_users(x, 0.7), noise=0.4 / 0.6)
    np.testing.assert_allclose(model.net_.weight, expected, atol=1e-6)


def test_noise_is_the_expectation_of_dropped_events(groups):
    """B minimizes the mean error over drawn inputs, each scaled up by what was dropped."""
    x = as_matrix(groups)
    B = EASE(reg=1e-3, dropout=0.5, activity=0.0).fit(groups).net_.weight.double().numpy()
    random = np.random.default_rng(0)
    inputs = [x * (random.random(x.shape) < 0.5) * 2 for _ in range(400)]

    def error(B):
        return np.mean([((x - drawn @ B) ** 2).sum() for drawn in inputs])

    least = error(B)

    for _ in range(5):
        other = B + random.normal(0, 0.02, B.shape)
        np.fill_diagonal(other, 0)
        assert error(other) > least


def test_the_weights_minimize_the_objective(groups):
    """A small change of any weight but the diagonal's raises it."""
    x = as_matrix(groups)
    B = EASE(**PLAIN, reg=3.0).fit(groups).net_.weight.double().numpy()

    def objective(B):
        return np.sum((x - x @ B) ** 2) + 3.0 * np.sum(B**2)

    random = np.random.default_rng(1)
    for _ in range(20):
        change = 1e-2 * random.standard_normal(B.shape)
        np.fill_diagonal(change, 0)
        assert objective(B + change) > objective(B)


def test_scores_are_sums_of_weights_over_a_users_events(groups, monkeypatch):
    monkeypatch.setattr(unseen, "BLOCK_CELLS", 5 * groups.n_items)  # five users at a time
    model = EASE(**PLAIN, reg=3.0).fit(groups)
    expected = as_matrix(groups) @ by_hand(as_matrix(groups), 3.0)
    np.testing.assert_allclose(model.scores(np.arange(80), groups), expected, atol=1e-5)
    random = np.random.default_rng(2)
    user, item = random.integers(0, 80, 500), random.integers(0, groups.n_items, 500)
    np.testing.assert_allclose(model.predict(user, item), expected[user, item], atol=1e-5)


def test_someone_new_is_a_row_like_any_other(groups):
    model = EASE(**PLAIN, reg=3.0).fit(groups)
    events = groups.items.at(groups.item[groups.user == 4])
    new = rc.top_n(model, events=list(events), n=5)
    fitted = rc.top_n(model, user_ids=[groups.users.ids[4]], n=5)
    assert new["item_id"].to_list() == fitted["item_id"].to_list()
    np.testing.assert_allclose(new["prediction"], fitted["prediction"], atol=1e-5)


def test_lists_and_neighbors_are_of_the_own_group(groups):
    train, _, test = rc.random_split(groups, test=0.2, seed=0)
    model = EASE(**PLAIN, reg=10.0).fit(train)
    popular = rc.make("popularity").fit(train)
    assert ndcg(model, test) > 1.8 * ndcg(popular, test)
    neighbors = rc.similar(model, item_ids=["i4"], n=5)["neighbor_id"]
    assert all(int(name[1:]) % 3 == 1 for name in neighbors)


def test_with_validation_events_it_learns_from_them_too(groups):
    train, valid, _ = rc.random_split(groups, test=0.1, valid=0.1, seed=0)
    both = EASE(**PLAIN, reg=3.0).fit(train, valid)
    np.testing.assert_allclose(
        both.net_.weight, by_hand(as_matrix(train.union(valid)), 3.0), atol=1e-6
    )
    alone = EASE(**PLAIN, reg=3.0, refit=False).fit(train, valid)
    np.testing.assert_allclose(alone.net_.weight, by_hand(as_matrix(train), 3.0), atol=1e-6)


def test_a_matrix_that_32_bits_cannot_invert_is_an_error():
    with pytest.raises(TrainingError, match="raise reg"):
        exact.invert(np.array([[1.0, 2.0], [2.0, 1.0]], np.float32))


def test_a_penalty_of_0_is_refused():
    with pytest.raises(SettingError, match="reg must be above 0"):
        EASE(reg=0.0)


def test_vectors_of_very_many_users_are_refused(groups, monkeypatch):
    monkeypatch.setattr(vectors, "MOST_NUMBERS", 100)
    model = EASE(**PLAIN, reg=3.0).fit(groups)
    with pytest.raises(SettingError, match="more than 2 GB"):
        model.vectors("user")


def by_hand_within(
    x: np.ndarray, reg: float, neighbors: list[np.ndarray], weight: np.ndarray, noise: float
) -> np.ndarray:
    """The same of each item and its neighbors."""
    B = np.zeros((x.shape[1], x.shape[1]))
    for i, near in enumerate(neighbors):
        block = np.append(near, i)
        B[near, i] = by_hand(x[:, block], reg, weight, noise)[:-1, -1]

    return B


def cosines(x: np.ndarray) -> np.ndarray:
    """Of each two columns; 0 of one with itself and of one without events."""
    length = np.linalg.norm(x, axis=0)
    cosine = x.T @ x / np.maximum(np.outer(length, length), 1e-12)
    np.fill_diagonal(cosine, 0)
    return cosine


@pytest.mark.parametrize(("dropout", "activity"), [(0.0, 0.0), (0.4, 0.7)])
def test_a_share_of_the_weights_is_computed_of_each_item_and_its_neighbors(
    groups, dropout, activity
):
    x = as_matrix(groups)
    cosine = cosines(x)
    n_pairs = round(0.2 * cosine.size)
    least = np.sort(cosine, axis=None)[-n_pairs]
    neighbors = [np.flatnonzero(column >= least) for column in cosine.T]
    model = EASE(reg=3.0, dropout=dropout, activity=activity, keep=0.2).fit(groups)
    weight = weights_of_users(x, activity)
    expected = by_hand_within(x, 3.0, neighbors, weight, dropout / (1 - dropout))
    np.testing.assert_allclose(model.net_.matrix().toarray(), expected, atol=1e-5)
    scores = model.scores(np.arange(80), groups)
    np.testing.assert_allclose(scores, x @ expected, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_all_weights_between_items_that_share_users_are_the_exact_ones(share):
    random = np.random.default_rng(3)
    events = from_matrix(random.random((60, 40)) < 0.7)  # every two items share users
    exactly = EASE(**PLAIN, reg=3.0).fit(events).net_.weight
    model = EASE(**PLAIN, reg=3.0, keep=1.0, block_share=share).fit(events)
    np.testing.assert_allclose(model.net_.matrix().toarray(), exactly, atol=2e-6)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_weights_of_groups_that_share_no_users_are_the_exact_ones(share):
    random = np.random.default_rng(4)
    x = np.kron(np.eye(4), np.ones((20, 90))) * (random.random((80, 360)) < 0.7)
    events = from_matrix(x)
    exactly = EASE(**PLAIN, reg=3.0).fit(events).net_.weight
    # A quarter of all pairs, which are those within the groups; blocks of more than one panel.
    model = EASE(**PLAIN, reg=3.0, keep=0.25, block_share=share).fit(events)
    np.testing.assert_allclose(model.net_.matrix().toarray(), exactly, atol=2e-6)


def test_an_item_has_at_most_so_many_neighbors(groups):
    model = EASE(**PLAIN, reg=3.0, keep=1.0, neighbors=4).fit(groups)
    x = as_matrix(groups)
    nearest = np.argsort(-cosines(x), axis=0, kind="stable")[:4].T
    expected = by_hand_within(x, 3.0, [*nearest[:-1], np.array([], int)], np.ones(len(x)), 0.0)
    np.testing.assert_allclose(model.net_.matrix().toarray(), expected, atol=1e-5)


def test_with_some_of_the_weights_lists_and_neighbors_are_of_the_own_group(groups):
    train, _, test = rc.random_split(groups, test=0.2, seed=0)
    model = EASE(**PLAIN, reg=10.0, keep=0.2).fit(train)
    popular = rc.make("popularity").fit(train)
    assert ndcg(model, test) > 1.8 * ndcg(popular, test)
    neighbors = rc.similar(model, item_ids=["i4"], n=5)["neighbor_id"]
    assert all(int(name[1:]) % 3 == 1 for name in neighbors)


def test_some_of_the_weights_are_saved_and_read_again(groups, tmp_path):
    model = EASE(**PLAIN, reg=3.0, keep=0.2).fit(groups)
    rc.save(model, tmp_path / "model")
    again = rc.load_model(tmp_path / "model")
    assert again.net_.matrix().nnz == model.net_.matrix().nnz
    user = np.arange(80)
    np.testing.assert_array_equal(again.scores(user, groups), model.scores(user, groups))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"column": torch.tensor([0, 9, 1], dtype=torch.int32)}, "an item from 0 to 2"),
        ({"start": torch.tensor([0, 2, 1, 3])}, "where the weights of each item begin"),
        ({"start": torch.tensor([0, 1, 2, 2])}, "where the weights of each item begin"),
    ],
)
def test_weights_at_impossible_places_are_a_fault(change, fault):
    net = SparseWeights(3)
    net.set(csr_array(np.array([[0.0, 1, 0], [2, 0, 0], [0, 3, 0]], np.float32)))
    assert net.fault() == ""
    for name, value in change.items():
        setattr(net, name, value)
    assert fault in net.fault()


def test_vectors_of_very_many_items_are_refused(groups, monkeypatch):
    model = EASE(**PLAIN, reg=3.0, keep=0.2).fit(groups)
    monkeypatch.setattr(model_module, "MOST_NUMBERS", 100)
    with pytest.raises(SettingError, match="more than 2 GB"):
        model.vectors("item")


def test_too_many_items_for_all_weights_are_told_of_keep():
    shape = Shape(n_users=100_000, n_items=100_000, n_train=10_000_000)
    exactly, some = EASE().memory(shape), EASE(keep=0.005).memory(shape)
    assert exactly.peak > 40e9
    assert some.peak < 8e9
    assert {"keep": 0.005} in EASE().capabilities.smaller
