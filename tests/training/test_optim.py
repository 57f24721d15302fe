"""L-BFGS, against problems whose minimum is known and against SciPy."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from recollect.errors import SettingError
from recollect.training.optim import LBFGS, make


def quadratic(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    root = random.normal(size=(n, n))
    return root @ root.T + np.eye(n), random.normal(size=n)


def descend(x: torch.nn.Parameter, objective, steps: int, history: int = 5) -> LBFGS:
    optimizer = LBFGS([x], history=history)

    def closure():
        value = objective(x)
        value.backward()
        return value.detach()

    for _ in range(steps):
        optimizer.step(closure)
    return optimizer


def test_finds_the_minimum_of_a_quadratic():
    A, b = quadratic(20)
    x = torch.nn.Parameter(torch.zeros(20, dtype=torch.float64))
    descend(x, lambda x: 0.5 * x @ torch.tensor(A) @ x - torch.tensor(b) @ x, steps=100)
    np.testing.assert_allclose(x.detach().numpy(), np.linalg.solve(A, b), atol=1e-4)  # f to 1e-9


def test_agrees_with_scipy_on_logistic_regression():
    random = np.random.default_rng(1)
    X, y = random.normal(size=(200, 10)), np.sign(random.normal(size=200))

    def smooth(w):
        return np.logaddexp(0, -y * (X @ w)).sum() + 0.5 * w @ w

    x = torch.nn.Parameter(torch.zeros(10, dtype=torch.float64))
    descend(x, lambda w: torch.nn.functional.softplus(-torch.tensor(y) * (torch.tensor(X) @ w)).sum() + 0.5 * w @ w, 60)
    np.testing.assert_allclose(x.detach().numpy(), minimize(smooth, np.zeros(10), method="L-BFGS-B",
                                                            options={"ftol": 1e-14, "gtol": 1e-9}).x, atol=1e-4)


def test_goes_around_the_corner_of_rosenbrock():
    x = torch.nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))
    descend(x, lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, steps=60)
    np.testing.assert_allclose(x.detach().numpy(), [1, 1], atol=1e-5)


def test_never_climbs():
    A, b = quadratic(30, seed=2)
    x, seen = torch.nn.Parameter(torch.ones(30, dtype=torch.float64)), []
    optimizer = LBFGS([x])

    def closure():
        value = 0.5 * x @ torch.tensor(A) @ x - torch.tensor(b) @ x
        value.backward()
        return value.detach()

    for _ in range(25):
        optimizer.step(closure)
        with torch.no_grad():
            seen.append(float(0.5 * x @ torch.tensor(A) @ x - torch.tensor(b) @ x))
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(seen))


def test_says_when_it_has_converged():
    x = torch.nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    assert descend(x, lambda x: (x**2).sum(), steps=30).converged


def test_state_restores_the_next_step_to_the_bit():
    def objective(x):
        return ((x - torch.arange(6.0)) ** 4).sum() + (x[0] * x[1]) ** 2

    x = torch.nn.Parameter(torch.ones(6))
    first = descend(x, objective, steps=5)
    y = torch.nn.Parameter(x.detach().clone())
    second = LBFGS([y])
    second.load_state_dict(first.state_dict())
    for parameter, optimizer in ((x, first), (y, second)):
        def closure(parameter=parameter):
            value = objective(parameter)
            value.backward()
            return value.detach()
        optimizer.step(closure)
    assert torch.equal(x, y)


def test_an_unknown_optimizer_is_an_error_with_the_nearest_name():
    with pytest.raises(SettingError, match="Did you mean 'lbfgs'"):
        make("lbgfs", [torch.nn.Parameter(torch.zeros(1))], learning_rate=0.1)
