"""ELSA's loss beside dense NumPy, its lists on planted groups, and reading it again."""

import numpy as np
import pytest
import torch
from tests.events import as_matrix, events_in_groups, ndcg

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.families.item_weights import as_events
from recollect.kernels import Block
from recollect.models.elsa import ELSA, ItemVectors, cosine_loss
from recollect.run import Run

SETTINGS = {"factors": 8, "learning_rate": 0.05, "batch_size": 32, "epochs": 20, "refit": False}


@pytest.fixture(scope="module")
def groups() -> Ratings:
    return events_in_groups()


def scores_by_hand(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """X (A Aᵀ − I)."""
    A = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    return x @ (A @ A.T - np.eye(len(A)))


def loss_by_hand(x: np.ndarray, weight: np.ndarray) -> float:
    """The squared distance of normalized rows and normalized scores, every cell written out."""
    scores = scores_by_hand(x, weight)
    difference = x / np.linalg.norm(x, axis=1, keepdims=True) - scores / np.linalg.norm(
        scores, axis=1, keepdims=True
    )
    return float(np.sum(difference**2))


def test_the_loss_is_the_distance_of_normalized_rows(groups):
    net = ItemVectors(groups.n_items, 5)
    rows = as_events(groups.by_user)
    loss, count = cosine_loss(net, Block.of(rows))
    weight = net.weight.detach().double().numpy()
    assert loss.item() == pytest.approx(loss_by_hand(as_matrix(groups), weight), rel=1e-5)
    assert count == groups.n_users


def test_the_gradient_is_that_of_the_distance(groups):
    """Along random directions, by differences of the dense loss in 64 bits."""
    net = ItemVectors(groups.n_items, 5)
    loss, _ = cosine_loss(net, Block.of(as_events(groups.by_user)))
    loss.backward()
    weight = net.weight.detach().double().numpy()
    random = np.random.default_rng(0)
    for _ in range(5):
        change = random.standard_normal(weight.shape)
        after = loss_by_hand(as_matrix(groups), weight + 1e-5 * change)
        before = loss_by_hand(as_matrix(groups), weight - 1e-5 * change)
        slope = float(np.sum(net.weight.grad.numpy() * change))
        assert slope == pytest.approx((after - before) / 2e-5, rel=1e-3, abs=1e-3)


def test_someone_with_one_event_has_a_finite_loss_and_gradient():
    net = ItemVectors(3, 3)
    with torch.no_grad():
        net.weight.copy_(torch.eye(3))  # orthogonal items: all scores are 0
    rows = as_events(events_in_groups().by_user)
    one = Block(np.array([0, 1]), rows.column[:1] * 0, rows.value[:1], n_columns=3)
    loss, _ = cosine_loss(net, one)
    loss.backward()
    assert loss.item() == pytest.approx(2)
    assert net.weight.grad.isfinite().all()


def test_scores_are_those_of_the_products_less_the_own_events(groups):
    model = ELSA(**SETTINGS).fit(groups)
    expected = scores_by_hand(as_matrix(groups), model.net_.weight.detach().double().numpy())
    np.testing.assert_allclose(model.scores(np.arange(80), groups), expected, atol=1e-4)


def test_lists_and_neighbors_are_of_the_own_group(groups):
    train, _, test = rc.random_split(groups, test=0.2, seed=0)
    model = ELSA(**SETTINGS).fit(train)
    popular = rc.make("popularity").fit(train)
    assert ndcg(model, test) > 1.8 * ndcg(popular, test)
    neighbors = rc.similar(model, item_ids=["i4"], n=5)["neighbor_id"]
    assert all(int(name[1:]) % 3 == 1 for name in neighbors)


def test_it_stops_by_validation_and_fits_again_on_all_events(groups):
    train, valid, _ = rc.random_split(groups, test=0.1, valid=0.1, seed=0)
    settings = {**SETTINGS, "refit": True, "epochs": 60, "patience": 3}
    model = ELSA(**settings).fit(train, valid)
    assert len(model.history_) < 60
    assert len(model.given_) == len(train) + len(valid)


def test_it_is_saved_and_read_again(groups, tmp_path):
    model = ELSA(**SETTINGS).fit(groups)
    rc.save(model, tmp_path / "model")
    again = rc.load_model(tmp_path / "model")
    user = np.arange(80)
    np.testing.assert_array_equal(again.scores(user, groups), model.scores(user, groups))


def test_a_resumed_fit_is_the_same(groups, tmp_path):
    whole = ELSA(**SETTINGS).fit(groups)

    def stop(figures: dict[str, float]) -> None:
        if figures["epoch"] == 10:
            raise RuntimeError("stopped in epoch 10")

    broken = Run(folder=tmp_path, snapshot_seconds=0.0, watchers=(stop,))
    with pytest.raises(RuntimeError, match="stopped"):
        ELSA(**SETTINGS).fit(groups, run=broken)
    epochs = []
    again = Run(folder=tmp_path, resume=True, watchers=(lambda f: epochs.append(f["epoch"]),))
    resumed = ELSA(**SETTINGS).fit(groups, run=again)
    assert epochs[0] in (10, 11)
    torch.testing.assert_close(resumed.net_.weight, whole.net_.weight)
