"""Truncated normal distributions: moments and tails."""

import numpy as np
import pytest
from scipy.stats import truncnorm

from recollect.models.bayes_mf import truncated_normal

INF = np.inf


def drawn(low, high, n):
    uniform = np.random.default_rng(0).random(n)
    return truncated_normal.draw(np.full(n, float(low)), np.full(n, float(high)), uniform)


@pytest.mark.parametrize(
    ("low", "high"),
    [(-INF, INF), (-1, 2), (0.5, 0.6), (3, INF), (-INF, -4), (8, 9), (-12, -11.5), (-20, 20)],
)
def test_draws_have_the_moments_of_the_distribution(low, high):
    n = 200_000
    x = drawn(low, high, n)
    mean = truncnorm.mean(low, high)
    std = truncnorm.std(low, high)
    assert ((low <= x) & (x <= high)).all()
    assert x.mean() == pytest.approx(mean, abs=5 * std / n**0.5)
    assert x.std() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize(
    ("low", "high"), [(40.0, INF), (-INF, -300.0), (50.0, 50.01), (-38.0, -36.0)]
)
def test_far_in_a_tail_draws_lie_next_to_the_bound(low, high):
    """No probability is left there in 64 bits; the distribution is nearly exponential."""
    x = drawn(low, high, 9999)
    assert ((low <= x) & (x <= high)).all()
    near = min(abs(low), abs(high))
    width = high - low
    expected = 1 / near
    if width * near <= 9:  # so narrow that the other bound matters
        expected -= width / np.expm1(width * near)
    assert np.abs(x).mean() - near == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize(
    ("low", "high"), [(-INF, INF), (-1, 2), (0.5, 0.6), (3, INF), (-INF, -4), (8, 9), (-20, 20)]
)
def test_the_mean_is_that_of_the_distribution(low, high):
    mean = truncated_normal.mean(np.array([low, low], float), np.array([high, high], float))
    np.testing.assert_allclose(mean, truncnorm.mean(low, high), atol=1e-9)


def test_the_mean_far_in_a_tail_lies_next_to_the_bound():
    mean = truncated_normal.mean(np.array([50.0, -INF]), np.array([INF, -50.0]))
    np.testing.assert_allclose(mean, [50.02, -50.02], atol=1e-3)
