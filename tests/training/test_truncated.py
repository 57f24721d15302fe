"""Truncated normal numbers: moments and tails."""

import numpy as np
import pytest
from scipy.stats import truncnorm

from recollect.models.bayes_mf import truncated_normal

INF = np.inf


@pytest.mark.parametrize(
    ("low", "high"),
    [(-INF, INF), (-1, 2), (0.5, 0.6), (3, INF), (-INF, -4), (8, 9), (-12, -11.5), (-20, 20)],
)
def test_draws_have_the_moments_of_the_distribution(low, high):
    n = 200_000
    x = truncated_normal.draw(
        np.full(n, float(low)), np.full(n, float(high)), np.random.default_rng(0).random(n)
    )
    mean, std = truncnorm.mean(low, high), truncnorm.std(low, high)
    assert ((low <= x) & (x <= high)).all()
    assert x.mean() == pytest.approx(mean, abs=5 * std / n**0.5)
    assert x.std() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize(
    ("low", "high"), [(40.0, INF), (-INF, -300.0), (50.0, 50.01), (-38.0, -36.0)]
)
def test_where_no_probability_is_left_in_64_bits_draws_are_next_to_the_bound(low, high):
    x = truncated_normal.draw(
        np.full(9999, low), np.full(9999, high), np.random.default_rng(0).random(9999)
    )
    assert ((low <= x) & (x <= high)).all()
    near, width = min(abs(low), abs(high)), high - low
    expected = (
        1 / near if width == INF or width * near > 9 else 1 / near - width / np.expm1(width * near)
    )  # about exponential
    assert np.abs(x).mean() - near == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize(
    ("low", "high"), [(-INF, INF), (-1, 2), (0.5, 0.6), (3, INF), (-INF, -4), (8, 9), (-20, 20)]
)
def test_the_mean_is_that_of_the_distribution(low, high):
    found = truncated_normal.mean(np.array([low, low], float), np.array([high, high], float))
    np.testing.assert_allclose(found, truncnorm.mean(low, high), atol=1e-9)


def test_the_mean_far_out_is_next_to_the_bound():
    np.testing.assert_allclose(
        truncated_normal.mean(np.array([50.0, -INF]), np.array([INF, -50.0])),
        [50.02, -50.02],
        atol=1e-3,
    )
