"""Alternating least squares against the equations in plain NumPy."""

import numpy as np
import pytest
import torch

from recollect.nn import Factors
from recollect.training.als import ALS


class Fixed:
    """A prior that says the same always."""

    def __init__(self, theta):
        self.theta = theta

    def mean(self):
        return self.theta

    def learn(self, item, weight):
        return {}

    def state(self):
        return {}

    def load_state(self, state):
        pass


def made(few, *, offsets=False, prior=None, **more):
    torch.manual_seed(0)
    net = Factors(3, 4, 2, offsets=offsets)
    net.item.normal_()
    net.mu.fill_(few.mean if offsets else 0.0)
    return ALS(
        net,
        few,
        reg_user=torch.full((3,), 0.5),
        reg_item=torch.tensor([1.0, 2.0, 3.0, 4.0]),
        prior=prior,
        **more,
    )


def solved(x, y, reg, prior):
    return np.linalg.solve(x.T @ x + reg * np.eye(x.shape[1]), reg * prior + x.T @ y)


@pytest.mark.parametrize("offsets", [False, True])
def test_a_turn_is_a_ridge_regression_of_each_user_and_then_of_each_item(few, offsets):
    theta = torch.randn(4, 2 + offsets, generator=torch.Generator().manual_seed(1))
    learner = made(few, offsets=offsets, prior=Fixed(theta))
    V, k = learner.net.item.numpy().copy(), 2
    np.testing.assert_allclose(V, theta)  # items start where the prior is
    U, mu = np.zeros((3, 2 + offsets)), few.mean if offsets else 0.0
    learner.epoch(1)
    for u in range(3):
        here = few.user == u
        v = V[few.item[here]]
        x = np.column_stack([v[:, :k], np.ones(len(v))]) if offsets else v
        U[u] = solved(x, few.value[here] - mu - (v[:, k] if offsets else 0), 0.5, 0)
    np.testing.assert_allclose(learner.net.user, U, atol=1e-5)
    for i, reg in enumerate([1.0, 2.0, 3.0, 4.0]):
        here = few.item == i
        w = U[few.user[here]]
        x = np.column_stack([w[:, :k], np.ones(len(w))]) if offsets else w
        V[i] = solved(x, few.value[here] - mu - (w[:, k] if offsets else 0), reg, theta.numpy()[i])
    np.testing.assert_allclose(learner.net.item, V, atol=1e-5)


@pytest.mark.parametrize("absent", [0.0, 0.2])
def test_the_objective_is_the_papers_and_never_rises(few, absent):
    events = few.events(from_=1) if absent else few
    learner = made(events, absent=absent)
    figures = [learner.epoch(j + 1) for j in range(6)]
    U, V = learner.net.user.numpy().astype(float), learner.net.item.numpy().astype(float)
    R, W = np.zeros((3, 4)), np.full((3, 4), absent)
    R[events.user, events.item], W[events.user, events.item] = events.value, 1
    error = (W * (R - U @ V.T) ** 2).sum()
    whole = error + 0.5 * (U**2).sum() + (np.array([1.0, 2, 3, 4]) @ (V**2)).sum()
    assert figures[-1]["objective"] == pytest.approx(whole / len(events), rel=1e-5)
    assert (np.diff([f["objective"] for f in figures]) < 1e-6).all()
    if absent:
        assert figures[-1]["train_loss"] == pytest.approx(error / len(events), rel=1e-5)
    else:
        assert figures[-1]["train_rmse"] == pytest.approx(np.sqrt(error / len(events)), rel=1e-5)


def test_events_are_solved_with_every_pair_at_its_weight(few):
    """(Σ_i w_ui v vᵀ + λ) U_u = Σ_i w_ui p_ui v over all items, as Hu et al. write it."""
    events = few.events(from_=1)
    learner = made(events, absent=0.2)
    V = learner.net.item.numpy().astype(float)
    W, P = np.full((3, 4), 0.2), np.zeros((3, 4))
    W[events.user, events.item] = P[events.user, events.item] = 1
    learner.epoch(1)
    for u in range(3):
        expected = np.linalg.solve((V.T * W[u]) @ V + 0.5 * np.eye(2), (V.T * W[u]) @ P[u])
        np.testing.assert_allclose(learner.net.user[u], expected, atol=1e-5)


def test_an_item_without_ratings_is_where_the_prior_is(few):
    theta = torch.full((4, 2), 0.7)
    learner = made(few, prior=Fixed(theta))
    learner.epoch(1)
    torch.testing.assert_close(learner.net.item[3], theta[3])
    assert not torch.allclose(learner.net.item[0], theta[0])
