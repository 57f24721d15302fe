"""L-BFGS against problems whose minimum is known, against SciPy and against its plain statement."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from recollect.kernels.reference.optimizers import lbfgs_direction
from recollect.training.optimizers import LBFGS
from recollect.training.optimizers.lbfgs import two_loop_recursion

PRECISE = {"ftol": 1e-14, "gtol": 1e-9}


def quadratic(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A and b of ½ xᵀ A x − b · x."""
    random = np.random.default_rng(seed)
    root = random.normal(size=(n, n))
    return root @ root.T + np.eye(n), random.normal(size=n)


def quadratic_objective(A: np.ndarray, b: np.ndarray):
    A, b = torch.tensor(A), torch.tensor(b)
    return lambda x: 0.5 * x @ A @ x - b @ x


def closure_of(objective, *parameters: torch.nn.Parameter):
    def closure() -> torch.Tensor:
        value = objective(*parameters)
        value.backward()
        return value.detach()

    return closure


def descend(x: torch.nn.Parameter, objective, *, steps: int, history: int = 5) -> LBFGS:
    optimizer = LBFGS([x], history=history)
    for _ in range(steps):
        optimizer.step(closure_of(objective, x))
    return optimizer


def doubles(*values: float) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))


def test_it_finds_the_minimum_of_a_quadratic():
    A, b = quadratic(20)
    x = doubles(*np.zeros(20))
    descend(x, quadratic_objective(A, b), steps=100)
    # The objective is exact to 1e-9, so x is to its root.
    np.testing.assert_allclose(x.detach().numpy(), np.linalg.solve(A, b), atol=1e-4)


def test_it_agrees_with_scipy_on_logistic_regression():
    random = np.random.default_rng(1)
    X = random.normal(size=(200, 10))
    y = np.sign(random.normal(size=200))
    features, labels = torch.tensor(X), torch.tensor(y)

    def by_numpy(w):
        return np.logaddexp(0, -y * (X @ w)).sum() + 0.5 * w @ w

    def by_torch(w):
        return torch.nn.functional.softplus(-labels * (features @ w)).sum() + 0.5 * w @ w

    x = doubles(*np.zeros(10))
    descend(x, by_torch, steps=60)
    expected = minimize(by_numpy, np.zeros(10), method="L-BFGS-B", options=PRECISE).x
    np.testing.assert_allclose(x.detach().numpy(), expected, atol=1e-4)


def test_it_agrees_with_scipy_on_ridge_in_32_bits_and_several_parts():
    random = np.random.default_rng(4)
    X = random.normal(size=(300, 35)).astype(np.float32)
    y = random.normal(size=300).astype(np.float32)
    features, values = torch.tensor(X), torch.tensor(y)

    def by_numpy(x):
        return np.square(X @ x[:-1] + x[-1] - y).sum() + 10 * x[:-1] @ x[:-1]

    def by_torch(w, b):
        error = features @ w.reshape(-1) + b - values
        return error.square().sum() + 10 * w.square().sum()

    w = torch.nn.Parameter(torch.zeros(5, 7))
    b = torch.nn.Parameter(torch.zeros(()))
    optimizer = LBFGS([w, b])
    for _ in range(60):
        optimizer.step(closure_of(by_torch, w, b))
    expected = minimize(by_numpy, np.zeros(36), method="L-BFGS-B", options=PRECISE).x
    # The objective is exact to 32 bits.
    np.testing.assert_allclose([*w.detach().reshape(-1), b.detach()], expected, atol=1e-4)


@pytest.mark.parametrize("history", [1, 3, 10])
def test_it_finds_the_minimum_of_an_ill_conditioned_quadratic(history):
    curvature = torch.logspace(0, 4, 50, dtype=torch.float64)
    x = doubles(*np.ones(50))
    descend(x, lambda x: 0.5 * curvature @ (x - 0.5) ** 2, steps=1000, history=history)
    np.testing.assert_allclose(x.detach().numpy(), 0.5, atol=1e-4)  # the objective is exact to 1e-8


def test_it_needs_few_more_iterations_than_scipy():
    """In 64 bits it is the same algorithm, but for the line search."""
    A, b = quadratic(40, seed=5)
    target = -0.5 * b @ np.linalg.solve(A, b) * (1 - 1e-6)
    above_target = []
    minimize(
        lambda x: (0.5 * x @ A @ x - b @ x, A @ x - b),
        np.zeros(40),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 5, "ftol": 0, "gtol": 0, "maxiter": 300},
        callback=lambda x: above_target.append(0.5 * x @ A @ x - b @ x > target),
    )
    x = doubles(*np.zeros(40))
    steps = int(1.2 * sum(above_target))
    optimizer = descend(x, quadratic_objective(A, b), steps=steps)
    assert optimizer.state_dict()["objective"] < target


def test_a_history_of_16_bits_costs_few_iterations():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(400, 300, generator=generator, dtype=torch.float64)
    X *= torch.logspace(0, -1.5, 300, dtype=torch.float64)
    y = torch.randn(400, generator=generator, dtype=torch.float64).sign()

    def objective(w):
        margin = y.to(w) * (X.to(w) @ w)
        return torch.nn.functional.softplus(-margin).sum() + 0.01 * w @ w

    def reached(dtype: torch.dtype) -> float:
        x = torch.nn.Parameter(torch.zeros(300, dtype=dtype))
        return descend(x, objective, steps=60).state_dict()["objective"]

    assert reached(torch.float32) == pytest.approx(reached(torch.float64), rel=2e-3)


def test_it_goes_around_the_corner_of_rosenbrock():
    x = doubles(-1.2, 1.0)
    descend(x, lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, steps=60)
    np.testing.assert_allclose(x.detach().numpy(), [1, 1], atol=1e-5)


def test_it_never_climbs():
    objective = quadratic_objective(*quadratic(30, seed=2))
    x = doubles(*np.ones(30))
    optimizer = LBFGS([x])
    values = []
    for _ in range(25):
        optimizer.step(closure_of(objective, x))
        values.append(float(objective(x).detach()))
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(values))


def test_it_knows_when_it_has_converged():
    x = doubles(3.0)
    assert descend(x, lambda x: (x**2).sum(), steps=30).converged


@pytest.mark.parametrize(
    ("n", "before", "history"), [(6, 5, 5), (40, 9, 3)], ids=["filling", "full"]
)
def test_a_state_resumes_to_the_bit(n, before, history):
    def objective(x):
        return ((x - torch.arange(float(n))) ** 4).sum() + (x[0] * x[1]) ** 2

    x = torch.nn.Parameter(torch.ones(n))
    first = descend(x, objective, steps=before, history=history)
    y = torch.nn.Parameter(x.detach().clone())
    second = LBFGS([y], history=history)
    second.load_state_dict(first.state_dict())
    for parameter, optimizer in ((x, first), (y, second)):
        for _ in range(5):
            optimizer.step(closure_of(objective, parameter))
    assert torch.equal(x, y)


def test_the_result_does_not_depend_on_the_number_of_threads():
    target = torch.randn(300, 50, generator=torch.Generator().manual_seed(0))

    def objective(x):
        terms = ((x - target) ** 2 + (x - target) ** 4).sum(dim=1)
        return terms.double().cumsum(dim=0)[-1]  # added in one order

    def fitted(n_threads: int) -> torch.Tensor:
        torch.set_num_threads(n_threads)
        x = torch.nn.Parameter(torch.zeros(300, 50))
        descend(x, objective, steps=8)
        return x.detach()

    before = torch.get_num_threads()
    try:
        assert torch.equal(fitted(1), fitted(2))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("order", [[], [0], [1, 2], [2, 0, 1]])
def test_the_direction_in_coefficients_is_that_of_the_plain_recursion(order):
    random = np.random.default_rng(7)
    A, _ = quadratic(12)
    steps = random.normal(size=(3, 12))
    changes = steps @ A  # of a quadratic, so that s · y is above 0
    gradient = random.normal(size=12)
    vectors = [*np.stack([steps, changes], axis=1).reshape(6, 12), gradient]
    products = np.stack(vectors) @ np.stack(vectors).T
    coefficients = two_loop_recursion(products, order)
    expected = lbfgs_direction(gradient, [*steps[order]], [*changes[order]])
    np.testing.assert_allclose(coefficients @ np.stack(vectors), expected, rtol=1e-9, atol=1e-12)


def test_the_first_direction_is_the_steepest_descent():
    gradient = np.array([1.0, -2.0])
    assert lbfgs_direction(gradient, [], []).tolist() == [-1.0, 2.0]


def test_the_plain_direction_solves_a_quadratic_from_a_full_history():
    """Along conjugate steps the pairs determine the Hessian, and −H g is Newton's step."""
    A, b = quadratic(5)
    _, steps = np.linalg.eigh(A)
    pairs = [steps[:, j] for j in range(5)]
    x = np.ones(5)
    direction = lbfgs_direction(A @ x - b, pairs, [A @ s for s in pairs])
    np.testing.assert_allclose(x + direction, np.linalg.solve(A, b), rtol=1e-8)
