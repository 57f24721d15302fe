"""Ordered probit: cut points and latent numbers."""

import numpy as np
import pytest
from scipy.special import ndtr

from recollect.models.bayes_mf.ordinal_probit import Ordinal, apart, together

CUT = np.array([-1.5, -0.4, 0.3, 1.6])


@pytest.fixture
def drawn():
    """20,000 levels of known latent numbers and cut points."""
    random = np.random.default_rng(0)
    said = random.standard_normal(20_000).astype(np.float32)
    level = np.searchsorted(CUT, said + random.standard_normal(len(said)))
    return said, level


def test_cut_points_are_found_and_ascend(drawn):
    said, level = drawn
    noise, random, seen = Ordinal(level, 5), np.random.default_rng(1), []
    for epoch in range(60):
        noise.draw(said, random, burning=epoch < 10)
        assert (np.diff(noise.cut()) > 0).all()
        seen.append(noise.cut())
    np.testing.assert_allclose(np.mean(seen[10:], axis=0), CUT, atol=0.05)  # four standard errors


def test_draws_of_cut_points_spread_as_their_posterior(drawn):
    """About normal: the inverse of the information is the covariance."""
    said, level = (x[:2000] for x in drawn)
    noise, random = Ordinal(level, 5), np.random.default_rng(1)
    for _ in range(5):
        noise.draw(said, random, burning=True)
    seen = []
    for _ in range(1500):
        noise.draw(said, random, burning=False)
        seen.append(apart(noise.cut()))
    covariance = np.linalg.inv(noise.fit(np.mean(seen, axis=0), said).information)
    np.testing.assert_allclose(np.std(seen, axis=0), np.sqrt(np.diag(covariance)), rtol=0.15)


def test_latent_numbers_lie_between_the_cut_points_of_their_level(drawn):
    said, level = drawn
    noise = Ordinal(level, 5)
    noise.draw(said, np.random.default_rng(1), burning=False)
    edges = np.concatenate([[-np.inf], noise.cut(), [np.inf]])
    assert ((edges[level] - 1e-5 <= noise.value) & (noise.value <= edges[level + 1] + 1e-5)).all()
    assert np.corrcoef(noise.value, said)[0, 1] == pytest.approx(0.5**0.5, abs=0.02)


def test_the_slope_is_that_of_the_likelihood(drawn):
    said, level = drawn
    noise, place = Ordinal(level, 5), apart(CUT + 0.1)
    step = 1e-5 * np.eye(4)
    by_hand = [
        (noise.fit(place + h, said).log_likelihood - noise.fit(place - h, said).log_likelihood)
        / 2e-5
        for h in step
    ]
    np.testing.assert_allclose(noise.fit(place, said).slope, by_hand, rtol=1e-4, atol=0.01)
    edges = np.concatenate([[-np.inf], CUT + 0.1, [np.inf]])
    likelihood = np.log(ndtr(edges[level + 1] - said) - ndtr(edges[level] - said)).sum()
    assert noise.fit(place, said).log_likelihood == pytest.approx(likelihood)


def test_told_apart_and_put_together_they_are_the_same():
    np.testing.assert_allclose(together(apart(CUT)), CUT)


def test_two_levels_have_one_cut_point(drawn):
    said, level = drawn
    noise = Ordinal((level > 2).astype(np.int64), 2)
    for _ in range(20):
        noise.draw(said, np.random.default_rng(1), burning=True)
    assert noise.cut()[0] == pytest.approx(CUT[2], abs=0.1)


def test_cut_points_that_fell_behind_catch_up(drawn):
    """As while factors are still finding their place: what they say has moved on, by many standard errors."""
    said, level = drawn
    noise, random = Ordinal(level, 5), np.random.default_rng(2)
    for _ in range(10):
        noise.draw(0.5 * said, random, burning=True)
    for _ in range(40):
        noise.draw(said, random, burning=False)
    np.testing.assert_allclose(noise.cut(), CUT, atol=0.1)


def test_a_level_that_the_factors_find_impossible_leaves_finite_slopes():
    noise = Ordinal(np.array([0, 1, 2, 3, 4] * 50), 5)
    found = noise.fit(apart(noise.cut()), np.array([40, -9, 9, 12, -40] * 50, np.float32))
    assert np.isfinite(found.slope).all()
    assert np.isfinite(found.information).all()
    assert (noise.fit(apart(noise.cut()), np.full(250, -9, np.float32)).slope != 0).any()
