"""Conjugate draws, whose means are known."""

import numpy as np
import pytest

from recollect.models.bayes_mf.conjugate import noise_precision, normal_wishart, wishart


def test_the_mean_of_a_wishart_distribution_is_its_scale_times_its_degrees_of_freedom():
    random = np.random.default_rng(0)
    scale = np.array([[2.0, 0.5], [0.5, 1.0]])
    mean = np.mean([wishart(scale, 7, random) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(mean, 7 * scale, rtol=0.05)


def test_many_vectors_determine_their_mean_and_precision():
    random = np.random.default_rng(1)
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    x = random.multivariate_normal([3, -1], covariance, 20_000)
    mean, precision = normal_wishart(x, random)
    np.testing.assert_allclose(mean, [3, -1], atol=0.05)
    np.testing.assert_allclose(np.linalg.inv(precision), covariance, rtol=0.1)


def test_without_vectors_the_prior_is_drawn():
    random = np.random.default_rng(2)
    draws = [normal_wishart(np.empty((0, 3)), random) for _ in range(3000)]
    means = [mean for mean, _ in draws]
    precisions = [precision for _, precision in draws]
    np.testing.assert_allclose(np.mean(precisions, axis=0), 3 * np.eye(3), atol=0.2)
    assert np.abs(np.median(means, axis=0)).max() < 0.1


def test_many_residuals_determine_the_precision_of_the_noise():
    random = np.random.default_rng(3)
    residual = 0.5 * random.standard_normal(10_000)
    squares = float(residual @ residual)
    draws = [noise_precision(squares, len(residual), random) for _ in range(200)]
    assert np.mean(draws) == pytest.approx(4, rel=0.03)
