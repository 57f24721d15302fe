"""Conjugate draws: their means are known."""

import numpy as np
import pytest

from recollect.models.bayes_mf.conjugate import noise_precision, normal_wishart, wishart


def test_the_mean_of_a_wishart_is_its_scale_times_its_freedom():
    random, scale = np.random.default_rng(0), np.array([[2.0, 0.5], [0.5, 1.0]])
    draws = np.mean([wishart(scale, 7, random) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(draws, 7 * scale, rtol=0.05)


def test_many_vectors_tell_their_mean_and_precision():
    random, covariance = np.random.default_rng(1), np.array([[1.0, 0.6], [0.6, 2.0]])
    x = random.multivariate_normal([3, -1], covariance, 20_000)
    mean, precision = normal_wishart(x, random)
    np.testing.assert_allclose(mean, [3, -1], atol=0.05)
    np.testing.assert_allclose(np.linalg.inv(precision), covariance, rtol=0.1)


def test_without_vectors_the_prior_is_drawn():
    random = np.random.default_rng(2)
    draws = [normal_wishart(np.empty((0, 3)), random) for _ in range(3000)]
    np.testing.assert_allclose(np.mean([x for _, x in draws], axis=0), 3 * np.eye(3), atol=0.2)
    assert np.abs(np.median([m for m, _ in draws], axis=0)).max() < 0.1


def test_the_precision_of_noise_is_found():
    random = np.random.default_rng(3)
    error = 0.5 * random.standard_normal(10_000)
    draws = [noise_precision(float(error @ error), len(error), random) for _ in range(200)]
    assert np.mean(draws) == pytest.approx(4, rel=0.03)
