"""Draws of Gibbs sampling against their plain statements and their closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recollect.data.sparse_rows import Rows
from recollect.kernels import gibbs
from recollect.kernels.reference import gibbs as reference

K = 4  # three factors and an offset
N_ROWS = 4


@pytest.fixture
def problem():
    """The arguments of `draw`: rows of 0, 1, 5 and 200 ratings, two other tables, a prior."""
    random = np.random.default_rng(0)
    tables = [gibbs.table(n, K) for n in (30, 7)]
    for table in tables:
        table[:, :K] = random.standard_normal((len(table), K))
    half = random.standard_normal((K, K))
    return {
        "given": gibbs.RowRatings(
            start=np.array([0, 0, 1, 6, 206]),
            left=random.integers(0, 30, 206),
            right=random.integers(0, 7, 206),
            value=random.standard_normal(206).astype(np.float32),
        ),
        "lefts": tables[0],
        "rights": tables[1],
        "base": half @ half.T + np.eye(K),
        "pull": random.standard_normal((N_ROWS, K)),
        "noise": np.zeros((N_ROWS, K)),
    }


def of_row(problem, row):
    """The arguments of the plain statement for one row."""
    given = problem["given"]
    cells = slice(given.start[row], given.start[row + 1])
    return {
        "left": problem["lefts"][given.left[cells], :K],
        "right": problem["rights"][given.right[cells], :K],
        "value": given.value[cells],
        "base": problem["base"],
        "pull": problem["pull"][row],
        "noise": problem["noise"][row],
    }


def posterior_precision(problem, row):
    """A = base + Σ f fᵀ."""
    arguments = of_row(problem, row)
    f, _ = reference.features(arguments["left"], arguments["right"], arguments["value"])
    return problem["base"] + f.T @ f


def test_a_row_is_drawn_as_the_plain_statement_draws_it(problem):
    problem["noise"] = np.random.default_rng(4).standard_normal((N_ROWS, K))
    drawn = gibbs.draw(**problem)
    for row in range(N_ROWS):
        expected = reference.draw_row(**of_row(problem, row))
        np.testing.assert_allclose(drawn[row, :K], expected, atol=1e-4)
    assert not drawn[:, K:].any()


def test_without_noise_a_draw_solves_the_normal_equations(problem):
    drawn = gibbs.draw(**problem)
    for row in range(N_ROWS):
        arguments = of_row(problem, row)
        f, y = reference.features(arguments["left"], arguments["right"], arguments["value"])
        b = problem["pull"][row] + f.T @ y
        expected = np.linalg.solve(posterior_precision(problem, row), b)
        np.testing.assert_allclose(drawn[row, :K], expected, atol=1e-4)


def repeated(problem, times):
    """The same rows so many times over."""
    given = problem["given"]
    n_cells = given.start[-1]
    starts = given.start[:-1] + n_cells * np.arange(times)[:, None]
    copies = gibbs.RowRatings(
        start=np.append(starts.ravel(), n_cells * times),
        left=np.tile(given.left, times),
        right=np.tile(given.right, times),
        value=np.tile(given.value, times),
    )
    return problem | {"given": copies, "pull": np.tile(problem["pull"], (times, 1))}


def test_draws_have_the_mean_and_covariance_of_the_posterior(problem):
    n_draws = 4000
    variance = 0.5
    noise = np.random.default_rng(1).standard_normal((n_draws * N_ROWS, K)) * variance**0.5
    drawn = gibbs.draw(**repeated(problem, n_draws) | {"noise": noise})
    draws = drawn[:, :K].reshape(n_draws, N_ROWS, K)
    for row in range(N_ROWS):
        mean = reference.draw_row(**of_row(problem, row))
        covariance = np.linalg.inv(posterior_precision(problem, row)) * variance
        std = np.sqrt(np.diag(covariance))
        # five standard errors of 4000 draws
        np.testing.assert_allclose(draws[:, row].mean(axis=0), mean, atol=0.08 * std.max())
        scale = np.outer(std, std)
        drawn_covariance = np.cov(draws[:, row].T)
        np.testing.assert_allclose(drawn_covariance / scale, covariance / scale, atol=0.12)


def test_equations_too_close_to_singular_for_32_bits_are_solved(problem):
    problem["base"] = np.eye(K) * 1e-9
    problem["lefts"][:, :2] = problem["lefts"][:, :1]  # two equal factors
    problem["rights"][:, :2] = problem["rights"][:, :1]
    problem["pull"] = np.zeros((N_ROWS, K))
    drawn = gibbs.draw(**problem)
    A = posterior_precision(problem, 3)
    assert np.isfinite(drawn).all()
    mean = reference.draw_row(**of_row(problem, 3))
    np.testing.assert_allclose(A @ drawn[3, :K], A @ mean, atol=1e-2)


def test_a_rating_is_the_sum_of_offsets_and_products(problem):
    tables = (problem["lefts"], problem["rights"], problem["lefts"])
    rows = [np.random.default_rng(j).integers(0, len(x), 50) for j, x in enumerate(tables)]
    a, b, c = (table[row, :K] for table, row in zip(tables, rows, strict=True))
    rating = gibbs.ratings(rows, tables, K)
    np.testing.assert_allclose(rating, reference.ratings(a, b, c), rtol=1e-5, atol=1e-5)


def test_the_number_of_threads_changes_nothing(problem):
    problem["noise"] = np.ones((N_ROWS, K))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        by_one = gibbs.draw(**problem)
        torch.set_num_threads(2)
        by_two = gibbs.draw(**problem)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(by_one, by_two)


def test_the_order_of_a_row_s_ratings_does_not_matter(problem):
    given = problem["given"]
    order = np.concatenate([np.arange(6), 6 + np.random.default_rng(5).permutation(200)])
    shuffled = replace(
        given, left=given.left[order], right=given.right[order], value=given.value[order]
    )
    drawn = gibbs.draw(**problem)
    again = gibbs.draw(**problem | {"given": shuffled})
    np.testing.assert_allclose(drawn, again, atol=1e-4)


@pytest.fixture
def bags():
    """Three vectors in five bags, and what `draw_bag` takes that is the same in every draw."""
    holds = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1], [1, 0, 0], [0, 0, 1]], bool)
    weight = (holds.sum(axis=1) ** -0.5).astype(np.float32)
    vector, holder = np.nonzero(holds.T)
    rows, _ = Rows.group(vector, holder, n_rows=3, n_columns=5)
    return holds * weight[:, None], (rows.start, rows.column, weight)


def test_vectors_in_bags_are_drawn_as_the_plain_statement_draws_them(bags):
    X, (start, holder, weight) = bags
    random = np.random.default_rng(3)
    Y = random.standard_normal((3, 2))
    residual = random.standard_normal((5, 2))
    prior = {"precision": np.array([0.7, 2.0]), "pull": np.array([0.3, -0.4])}
    noise = random.standard_normal((3, 2))
    drawn, left = gibbs.draw_bag(start, holder, weight, Y, residual, noise=noise, **prior)
    expected_residual = residual.copy()
    for j in range(3):
        expected = reference.draw_bag_row(X[:, j], Y[j], expected_residual, noise=noise[j], **prior)
        expected_residual -= np.outer(X[:, j], expected - Y[j])
        np.testing.assert_allclose(drawn[j], expected, rtol=1e-4)
    np.testing.assert_allclose(left, expected_residual, atol=1e-5)


def test_many_draws_of_a_bag_have_the_posterior_of_a_regression(bags):
    """Of one column, Y is a ridge regression on the bags' weights, whose posterior is known."""
    X, (start, holder, weight) = bags
    n_columns = 100  # as many chains beside each other
    target = np.array([1.0, -1.0, 0.5, 2.0, 0.0])
    A = X.T @ X + 0.7 * np.eye(3)
    random = np.random.default_rng(0)
    Y = np.zeros((3, n_columns))
    residual = np.repeat(target[:, None], n_columns, axis=1)
    prior = {"precision": np.full(n_columns, 0.7), "pull": np.full(n_columns, 0.7 * 0.2)}
    draws = []
    for _ in range(250):
        noise = random.standard_normal((3, n_columns))
        Y, residual = gibbs.draw_bag(start, holder, weight, Y, residual, noise=noise, **prior)
        draws.append(Y)
    # The residual is brought up to date, never computed anew.
    np.testing.assert_allclose(residual, target[:, None] - X @ Y, atol=1e-3)
    settled = np.concatenate(draws[50:], axis=1)
    mean = np.linalg.solve(A, X.T @ target + 0.7 * 0.2)
    np.testing.assert_allclose(settled.mean(axis=1), mean, atol=0.04)
    np.testing.assert_allclose(np.cov(settled), np.linalg.inv(A), atol=0.06)
