"""Draws of Gibbs sampling against their closed forms."""

import numpy as np
import pytest
import torch

from recollect.data.sparse_rows import Rows
from recollect.kernels import gibbs

K = 4  # three factors and an offset


@pytest.fixture
def made():
    """Rows of 0, 1, 5 and 200 cells, two tables to join, a prior."""
    random = np.random.default_rng(0)
    start = np.array([0, 0, 1, 6, 206])
    tables = [gibbs.table(n, K) for n in (30, 7)]
    for x in tables:
        x[:, :K] = random.standard_normal((len(x), K))
    half = random.standard_normal((K, K))
    return {
        "start": start,
        "left": random.integers(0, 30, 206),
        "right": random.integers(0, 7, 206),
        "value": random.standard_normal(206).astype(np.float32),
        "lefts": tables[0],
        "rights": tables[1],
        "base": half @ half.T + np.eye(K),
        "pull": random.standard_normal((4, K)),
        "noise": np.zeros((4, K)),
    }


def posterior(made, j):
    """A and the mean of row j, by the formula."""
    cells = slice(made["start"][j], made["start"][j + 1])
    left, right = (
        made["lefts"][made["left"][cells], :K].astype(float),
        made["rights"][made["right"][cells], :K].astype(float),
    )
    f = np.column_stack([(left + right)[:, :-1], np.ones(len(left))])
    y = made["value"][cells] - left[:, -1] - right[:, -1] - (left * right)[:, :-1].sum(axis=1)
    A = made["base"] + f.T @ f
    return A, np.linalg.solve(A, made["pull"][j] + f.T @ y)


def test_without_noise_a_draw_is_the_posterior_mean(made):
    out = gibbs.draw(**made)
    for j in range(4):
        np.testing.assert_allclose(out[j, :K], posterior(made, j)[1], atol=1e-4)
    assert not out[:, K:].any()


def test_draws_have_the_covariance_of_the_posterior(made):
    random, variance = np.random.default_rng(1), 0.5
    noises = random.standard_normal((4000, 4, K)) * variance**0.5
    draws = np.stack([gibbs.draw(**made | {"noise": noise})[:, :K] for noise in noises])
    for j in range(4):
        A, mean = posterior(made, j)
        wide = np.sqrt(np.diag(np.linalg.inv(A)) * variance)
        np.testing.assert_allclose(
            draws[:, j].mean(axis=0), mean, atol=0.08 * wide.max()
        )  # five standard errors
        np.testing.assert_allclose(
            np.cov(draws[:, j].T) / np.outer(wide, wide),
            np.linalg.inv(A) * variance / np.outer(wide, wide),
            atol=0.12,
        )


def test_equations_too_close_to_singular_for_32_bits_are_solved(made):
    made["base"] = np.eye(K) * 1e-9
    made["lefts"][:, :2] = made["lefts"][:, :1]  # two factors alike
    made["rights"][:, :2] = made["rights"][:, :1]
    out = gibbs.draw(**made | {"pull": np.zeros((4, K))})
    A, mean = posterior(made | {"pull": np.zeros((4, K))}, 3)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(A @ out[3, :K], A @ mean, atol=1e-2)


def test_a_rating_is_the_sum_of_offsets_and_products(made):
    a, b, c = (np.random.default_rng(j).integers(0, n, 50) for j, n in enumerate((30, 7, 30)))
    x, y, z = made["lefts"][a, :K], made["rights"][b, :K], made["lefts"][c, :K]
    expected = (x + y + z)[:, -1] + (x * y + x * z + y * z)[:, :-1].sum(axis=1)
    found = gibbs.ratings((a, b, c), (made["lefts"], made["rights"], made["lefts"]), K)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_threads_change_nothing(made):
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(gibbs.draw(**made | {"noise": np.ones((4, K))}))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_a_long_run_of_a_bag_has_the_posterior_of_a_regression():
    """Three vectors in five bags: of one column, Y is a ridge regression on the bags' weights, whose posterior is known."""
    held = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1], [1, 0, 0], [0, 0, 1]], bool)
    weight = (held.sum(axis=1) ** -0.5).astype(np.float32)
    vector, holder = np.nonzero(held.T)
    rows, _ = Rows.group(vector, holder, n_rows=3, n_columns=5)
    X, target = held * weight[:, None], np.array([[1.0], [-1.0], [0.5], [2.0], [0.0]])
    A = X.T @ X + 0.7 * np.eye(3)
    Y, left, random, seen = np.zeros((3, 1)), target, np.random.default_rng(0), []
    for _ in range(20_000):
        Y, left = gibbs.draw_bag(
            rows.start,
            rows.column,
            weight,
            Y,
            left,
            precision=np.array([0.7]),
            pull=np.array([0.7 * 0.2]),
            noise=random.standard_normal((3, 1)),
        )
        seen.append(Y[:, 0])
    np.testing.assert_allclose(
        left, target - X @ Y, atol=1e-3
    )  # what is left over is kept up to date
    np.testing.assert_allclose(
        np.mean(seen, axis=0), np.linalg.solve(A, X.T @ target[:, 0] + 0.7 * 0.2), atol=0.04
    )
    np.testing.assert_allclose(np.cov(np.array(seen).T), np.linalg.inv(A), atol=0.06)
