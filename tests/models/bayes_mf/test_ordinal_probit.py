"""Ordered probit: cut points and latent variables."""

import numpy as np
import pytest
from scipy.special import ndtr

from recollect.models.bayes_mf.ordinal_probit import OrdinalProbit, cut_points, unconstrained

CUT = np.array([-1.5, -0.4, 0.3, 1.6])


@pytest.fixture
def observed():
    """20,000 predictions x, and categories drawn from them with known cut points."""
    random = np.random.default_rng(0)
    x = random.standard_normal(20_000).astype(np.float32)
    category = np.searchsorted(CUT, x + random.standard_normal(len(x)))
    return x, category


def test_cut_points_are_recovered_and_ascend(observed):
    x, category = observed
    noise = OrdinalProbit(category, 5)
    random = np.random.default_rng(1)
    draws = []
    for epoch in range(60):
        noise.draw(x, random, burning_in=epoch < 10)
        assert (np.diff(noise.cut()) > 0).all()
        draws.append(noise.cut())
    np.testing.assert_allclose(np.mean(draws[10:], axis=0), CUT, atol=0.05)  # 4 standard errors


@pytest.mark.slow
def test_draws_of_cut_points_vary_as_their_posterior(observed):
    """It is nearly normal, and the inverse of the information is its covariance."""
    x, category = (column[:1000] for column in observed)
    noise = OrdinalProbit(category, 5)
    random = np.random.default_rng(1)
    for _ in range(5):
        noise.draw(x, random, burning_in=True)
    draws = []
    for _ in range(600):
        noise.draw(x, random, burning_in=False)
        draws.append(unconstrained(noise.cut()))
    covariance = np.linalg.inv(noise.fit(np.mean(draws, axis=0), x).information)
    np.testing.assert_allclose(np.std(draws, axis=0), np.sqrt(np.diag(covariance)), rtol=0.2)


def test_latent_variables_lie_between_the_cut_points_of_their_category(observed):
    x, category = observed
    noise = OrdinalProbit(category, 5)
    noise.draw(x, np.random.default_rng(1), burning_in=False)
    edges = np.concatenate([[-np.inf], noise.cut(), [np.inf]])
    rounding = 1e-5
    assert (edges[category] - rounding <= noise.value).all()
    assert (noise.value <= edges[category + 1] + rounding).all()
    assert np.corrcoef(noise.value, x)[0, 1] == pytest.approx(0.5**0.5, abs=0.02)


def test_the_log_likelihood_is_that_of_the_categories(observed):
    x, category = observed
    cut = CUT + 0.1
    edges = np.concatenate([[-np.inf], cut, [np.inf]])
    log_likelihood = np.log(ndtr(edges[category + 1] - x) - ndtr(edges[category] - x)).sum()
    fit = OrdinalProbit(category, 5).fit(unconstrained(cut), x)
    assert fit.log_likelihood == pytest.approx(log_likelihood)


def test_the_gradient_is_that_of_the_log_likelihood(observed):
    x, category = observed
    noise = OrdinalProbit(category, 5)
    coordinates = unconstrained(CUT + 0.1)
    numerical = []
    for step in 1e-5 * np.eye(4):
        above = noise.fit(coordinates + step, x).log_likelihood
        below = noise.fit(coordinates - step, x).log_likelihood
        numerical.append((above - below) / 2e-5)
    gradient = noise.fit(coordinates, x).gradient
    np.testing.assert_allclose(gradient, numerical, rtol=1e-4, atol=0.01)


def test_cut_points_are_recovered_from_their_coordinates():
    np.testing.assert_allclose(cut_points(unconstrained(CUT)), CUT)


def test_two_categories_have_one_cut_point(observed):
    x, category = observed
    noise = OrdinalProbit((category > 2).astype(np.int64), 2)
    for _ in range(20):
        noise.draw(x, np.random.default_rng(1), burning_in=True)
    assert noise.cut()[0] == pytest.approx(CUT[2], abs=0.1)


def test_cut_points_that_have_fallen_behind_catch_up(observed):
    """As while factors still converge: predictions have moved by many standard errors."""
    x, category = observed
    noise = OrdinalProbit(category, 5)
    random = np.random.default_rng(2)
    for _ in range(10):
        noise.draw(0.5 * x, random, burning_in=True)
    for _ in range(40):
        noise.draw(x, random, burning_in=False)
    np.testing.assert_allclose(noise.cut(), CUT, atol=0.1)


def test_categories_that_the_factors_make_impossible_leave_derivatives_finite():
    noise = OrdinalProbit(np.array([0, 1, 2, 3, 4] * 50), 5)
    coordinates = unconstrained(noise.cut())
    impossible = np.array([40, -9, 9, 12, -40] * 50, np.float32)
    fit = noise.fit(coordinates, impossible)
    assert np.isfinite(fit.gradient).all()
    assert np.isfinite(fit.information).all()
    assert (noise.fit(coordinates, np.full(250, -9, np.float32)).gradient != 0).any()
