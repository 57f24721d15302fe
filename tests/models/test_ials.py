"""iALS: the papers' normal equations in plain NumPy, and planted groups of items."""

import numpy as np
import pytest
from tests.events import as_matrix, events_in_groups, ndcg

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.errors import SettingError
from recollect.models.ials import IALS
from recollect.run import Run

SETTINGS = {"factors": 4, "reg_user": 0.02, "reg_item": 0.05, "reg_power": 0.8, "refit": False}


@pytest.fixture(scope="module")
def groups() -> Ratings:
    return events_in_groups()


@pytest.fixture(scope="module")
def settled(groups) -> IALS:
    """So many epochs that another one changes nothing."""
    model = IALS(**SETTINGS, absent_weight=0.2, epochs=600, patience=None)
    return model.fit(groups, run=Run(threads=1))


def factors(model: IALS) -> tuple[np.ndarray, np.ndarray]:
    net = model.net_
    return net.user.double().numpy(), net.item.double().numpy()


def test_it_is_a_minimum_of_the_stated_sum(groups, settled):
    """The gradient is 0: of every pair, weight · (score − target), and of λ."""
    x = as_matrix(groups)
    U, V = factors(settled)
    weight = np.where(x > 0, 1, 0.2)
    residual = weight * (U @ V.T - x)
    alpha = 0.2 / 0.8
    n_items = np.count_nonzero(x.sum(axis=0))
    reg_user = 0.02 * (x.sum(axis=1) + alpha * n_items) ** 0.8
    reg_item = 0.05 * (x.sum(axis=0) + alpha * 80) ** 0.8
    of_items = residual.T @ U + reg_item[:, None] * V
    # The last item has no event: its factors are 0, or were never learned.
    np.testing.assert_allclose(of_items[:-1], 0, atol=2e-3)
    np.testing.assert_allclose(residual @ V + reg_user[:, None] * U, 0, atol=2e-3)


def test_scaled_it_is_the_sum_of_rendle_and_others(groups, settled):
    """Σ over events (s − 1)² + α₀ Σ over all pairs s² + the same λ: the users' equations."""
    x = as_matrix(groups)
    alpha = 0.2 / 0.8
    short = 1 / np.sqrt(1 + alpha)
    _, V = factors(settled)
    V = short * V
    n_items = np.count_nonzero(x.sum(axis=0))
    folded = settled.fold_in(groups.by_user.take(np.arange(5))) * short**2

    for u in range(5):
        chosen = V[x[u] > 0]
        reg = 0.02 * (len(chosen) + alpha * n_items) ** 0.8
        known = V[:-1]  # of the items that have events
        A = chosen.T @ chosen + alpha * known.T @ known + reg * np.eye(4)
        expected = V @ np.linalg.solve(A, chosen.sum(axis=0))
        np.testing.assert_allclose(folded[u, :-1], expected[:-1], atol=2e-3)


def test_lists_are_of_the_own_group(groups):
    train, valid, test = rc.random_split(groups, test=0.2, valid=0.1, seed=0)
    model = IALS(factors=4).fit(train, valid)
    popular = rc.make("popularity").fit(train)
    assert ndcg(model, test) > 1.6 * ndcg(popular, test)
    neighbors = rc.similar(model, item_ids=["i4"], n=5)["neighbor_id"]
    assert all(int(name[1:]) % 3 == 1 for name in neighbors)


def test_first_scores_are_of_one_size_whatever_the_number_of_factors():
    assert IALS(factors=4).init == pytest.approx(0.05)
    assert IALS(factors=400).init == pytest.approx(0.005)
    assert IALS(factors=400, init=0.3).init == 0.3


@pytest.mark.parametrize("settings", [{"absent_weight": 0.0}, {"reg_user": 0.0}, {"offsets": True}])
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(SettingError):
        IALS(**settings)
