"""Alternating least squares against the ridge regressions in plain NumPy."""

import numpy as np
import pytest
import torch

from recollect.kernels.reference.ridge import solve_row
from recollect.nn import Factors
from recollect.training.als import ALS

REG_USER = 0.5
REG_ITEM = [1.0, 2.0, 3.0, 4.0]


class FixedPrior:
    """A prior that always has the same mean and learns nothing."""

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


def learner_of(ratings, *, offsets=False, prior=None, absent_weight=0.0):
    torch.manual_seed(0)
    net = Factors(3, 4, 2, offsets=offsets)
    net.item.normal_()
    net.mu.fill_(ratings.mean if offsets else 0.0)
    return ALS(
        net,
        ratings,
        reg_user=torch.full((3,), REG_USER),
        reg_item=torch.tensor(REG_ITEM),
        prior=prior,
        absent_weight=absent_weight,
    )


def solve(factors, values, reg, prior, *, offsets):
    """One row's factors from those of the rows it is paired with; the last is its offset, if there
    are offsets.
    """
    if offsets:
        values = values - factors[:, -1]
        factors = np.column_stack([factors[:, :-1], np.ones(len(factors))])
    k = factors.shape[1]
    return solve_row(factors, values, reg=reg, prior=prior, base=np.zeros((k, k)))


@pytest.mark.parametrize("offsets", [False, True])
def test_an_epoch_is_a_ridge_regression_of_each_user_and_then_of_each_item(few, offsets):
    k = 2 + offsets
    theta = torch.randn(4, k, generator=torch.Generator().manual_seed(1))
    learner = learner_of(few, offsets=offsets, prior=FixedPrior(theta))
    V = learner.net.item.numpy().copy()
    np.testing.assert_allclose(V, theta)  # items start from the prior mean
    learner.epoch(1)

    values = few.value - (few.mean if offsets else 0.0)
    U = np.zeros((3, k))
    for u in range(3):
        rated = few.user == u
        U[u] = solve(V[few.item[rated]], values[rated], REG_USER, np.zeros(k), offsets=offsets)
    np.testing.assert_allclose(learner.net.user, U, atol=1e-5)
    for i in range(4):
        rated = few.item == i
        prior = theta.numpy()[i]
        V[i] = solve(U[few.user[rated]], values[rated], REG_ITEM[i], prior, offsets=offsets)
    np.testing.assert_allclose(learner.net.item, V, atol=1e-5)


@pytest.mark.parametrize("absent_weight", [0.0, 0.2])
def test_the_objective_is_the_papers_and_never_rises(few, absent_weight):
    ratings = few.events(from_=1) if absent_weight else few
    learner = learner_of(ratings, absent_weight=absent_weight)
    figures = [learner.epoch(epoch) for epoch in range(1, 7)]

    U = learner.net.user.numpy().astype(float)
    V = learner.net.item.numpy().astype(float)
    R = np.zeros((3, 4))
    R[ratings.user, ratings.item] = ratings.value
    W = np.full((3, 4), absent_weight)
    W[ratings.user, ratings.item] = 1
    loss = (W * (R - U @ V.T) ** 2).sum()
    objective = loss + REG_USER * (U**2).sum() + (np.array(REG_ITEM) @ (V**2)).sum()
    assert figures[-1]["objective"] == pytest.approx(objective / len(ratings), rel=1e-5)
    assert (np.diff([epoch["objective"] for epoch in figures]) < 1e-6).all()
    if absent_weight:
        assert figures[-1]["train_loss"] == pytest.approx(loss / len(ratings), rel=1e-5)
    else:
        assert figures[-1]["train_rmse"] == pytest.approx(np.sqrt(loss / len(ratings)), rel=1e-5)


def test_events_are_solved_with_every_pair_at_its_weight(few):
    """(Σ_i w_ui v vᵀ + λ) U_u = Σ_i w_ui p_ui v over all items, as Hu et al. write it."""
    events = few.events(from_=1)
    learner = learner_of(events, absent_weight=0.2)
    V = learner.net.item.numpy().astype(float)
    W = np.full((3, 4), 0.2)
    W[events.user, events.item] = 1
    P = np.zeros((3, 4))
    P[events.user, events.item] = 1
    learner.epoch(1)
    for u in range(3):
        expected = np.linalg.solve((V.T * W[u]) @ V + REG_USER * np.eye(2), (V.T * W[u]) @ P[u])
        np.testing.assert_allclose(learner.net.user[u], expected, atol=1e-5)


def test_an_item_without_ratings_has_the_prior_mean(few):
    theta = torch.full((4, 2), 0.7)
    learner = learner_of(few, prior=FixedPrior(theta))
    learner.epoch(1)
    torch.testing.assert_close(learner.net.item[3], theta[3])
    assert not torch.allclose(learner.net.item[0], theta[0])
