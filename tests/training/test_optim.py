"""The optimizers, against problems whose minimum is known, against SciPy and against torch."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from recollect.errors import SettingError
from recollect.training.optimizers import LBFGS, SGD, Adam, Rprop, make


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
    descend(
        x,
        lambda w: (
            torch.nn.functional.softplus(-torch.tensor(y) * (torch.tensor(X) @ w)).sum()
            + 0.5 * w @ w
        ),
        60,
    )
    np.testing.assert_allclose(
        x.detach().numpy(),
        minimize(smooth, np.zeros(10), method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9}).x,
        atol=1e-4,
    )


def test_agrees_with_scipy_on_ridge_in_32_bits_and_several_parts():
    random = np.random.default_rng(4)
    X, y = (
        random.normal(size=(300, 35)).astype(np.float32),
        random.normal(size=300).astype(np.float32),
    )
    w, b = torch.nn.Parameter(torch.zeros(5, 7)), torch.nn.Parameter(torch.zeros(()))
    optimizer = LBFGS([w, b])

    def closure():
        value = (
            torch.tensor(X) @ w.reshape(-1) + b - torch.tensor(y)
        ).square().sum() + 10 * w.square().sum()
        value.backward()
        return value.detach()

    for _ in range(60):
        optimizer.step(closure)

    def ridge(x):
        return np.square(X @ x[:-1] + x[-1] - y).sum() + 10 * x[:-1] @ x[:-1]

    expected = minimize(
        ridge, np.zeros(36), method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9}
    ).x
    np.testing.assert_allclose(
        [*w.detach().reshape(-1), b.detach()], expected, atol=1e-4
    )  # the objective to 32 bits


@pytest.mark.parametrize("history", [1, 3, 10])
def test_finds_the_minimum_of_an_ill_conditioned_quadratic(history):
    curvature = torch.logspace(0, 4, 50, dtype=torch.float64)
    x = torch.nn.Parameter(torch.ones(50, dtype=torch.float64))
    descend(x, lambda x: 0.5 * curvature @ (x - 0.5) ** 2, steps=1000, history=history)
    np.testing.assert_allclose(x.detach().numpy(), 0.5, atol=1e-4)  # f to 1e-8


def test_needs_no_more_iterations_than_scipy():
    """In 64 bits it is the same algorithm; the line searches differ."""
    A, b = quadratic(40, seed=5)
    x, count = torch.nn.Parameter(torch.zeros(40, dtype=torch.float64)), []
    target = -0.5 * b @ np.linalg.solve(A, b) * (1 - 1e-6)
    minimize(
        lambda x: (0.5 * x @ A @ x - b @ x, A @ x - b),
        np.zeros(40),
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 5, "ftol": 0, "gtol": 0, "maxiter": 300},
        callback=lambda x: count.append(0.5 * x @ A @ x - b @ x > target),
    )
    optimizer = descend(
        x,
        lambda x: 0.5 * x @ torch.tensor(A) @ x - torch.tensor(b) @ x,
        steps=int(1.2 * sum(count)),
    )
    assert optimizer.state_dict()["objective"] < target


def test_16_bits_of_history_cost_few_iterations():
    random = torch.Generator().manual_seed(0)
    X = torch.randn(400, 300, generator=random, dtype=torch.float64) * torch.logspace(
        0, -1.5, 300, dtype=torch.float64
    )
    y = torch.randn(400, generator=random, dtype=torch.float64).sign()
    reached = []
    for dtype in (torch.float64, torch.float32):
        x = torch.nn.Parameter(torch.zeros(300, dtype=dtype))
        optimizer = descend(
            x,
            lambda w: torch.nn.functional.softplus(-y.to(w) * (X.to(w) @ w)).sum() + 0.01 * w @ w,
            steps=60,
        )
        reached.append(optimizer.state_dict()["objective"])
    assert reached[1] == pytest.approx(reached[0], rel=2e-3)


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


@pytest.mark.parametrize(
    ("n", "before", "history"), [(6, 5, 5), (40, 9, 3)], ids=["filling", "full"]
)
def test_state_restores_the_next_step_to_the_bit(n, before, history):
    def objective(x):
        return ((x - torch.arange(float(n))) ** 4).sum() + (x[0] * x[1]) ** 2

    x = torch.nn.Parameter(torch.ones(n))
    first = descend(x, objective, steps=before, history=history)
    y = torch.nn.Parameter(x.detach().clone())
    second = LBFGS([y], history=history)
    second.load_state_dict(first.state_dict())
    for parameter, optimizer in ((x, first), (y, second)):

        def closure(parameter=parameter):
            value = objective(parameter)
            value.backward()
            return value.detach()

        for _ in range(5):
            optimizer.step(closure)
    assert torch.equal(x, y)


def follow(optimizers, parameters, objective, steps: int) -> None:
    """The same objective for each optimizer and its parameters."""
    for optimizer, p in zip(optimizers, parameters, strict=True):
        for _ in range(steps):
            optimizer.zero_grad()
            objective(*p).backward()
            optimizer.step()


def twice(*values: torch.Tensor) -> list[list[torch.nn.Parameter]]:
    return [[torch.nn.Parameter(x.clone()) for x in values] for _ in range(2)]


def bowl(W, b):
    """Convex, with other curvatures in each direction; more than one block of numbers."""
    scale = torch.linspace(0.1, 3, W.numel(), dtype=W.dtype).reshape(W.shape)
    return (
        (scale * (W - 1) ** 2).sum()
        + torch.nn.functional.softplus(W.sum(dim=0) / 10 - b).sum()
        + b @ b
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 5), (90, 41)])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda p: Adam(p, learning_rate=0.02), lambda p: torch.optim.Adam(p, lr=0.02)),
        (
            lambda p: Adam(p, learning_rate=0.1, betas=(0.5, 0.9), epsilon=0.1),
            lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.9), eps=0.1),
        ),
        (
            lambda p: Rprop(p, learning_rate=0.01),
            lambda p: torch.optim.Rprop(p, lr=0.01, etas=(0.5, 1.2), step_sizes=(1e-8, 1.0)),
        ),
        (
            lambda p: SGD(p, learning_rate=0.002, momentum=0.9),
            lambda p: torch.optim.SGD(p, lr=0.002, momentum=0.9),
        ),
    ],
    ids=["adam", "adam with other settings", "rprop", "sgd"],
)
def test_steps_are_those_of_torch(ours, theirs, shape, dtype):
    mine, other = twice(torch.zeros(shape, dtype=dtype), torch.zeros(shape[1], dtype=dtype))
    follow([ours(mine), theirs(other)], [mine, other], bowl, steps=40)
    for x, y in zip(mine, other, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    "make_ours",
    [
        lambda p: Adam(p, learning_rate=0.02),
        lambda p: Rprop(p),
        lambda p: Adam(p, learning_rate=0.02, state_bits=16),
        lambda p: SGD(p, learning_rate=0.002),
    ],
)
def test_a_state_goes_on_to_the_bit(make_ours):
    mine, other = twice(torch.zeros(90, 41), torch.zeros(41))
    first, second = make_ours(mine), make_ours(other)
    follow([first], [mine], bowl, steps=7)
    with torch.no_grad():
        for x, y in zip(mine, other, strict=True):
            y.copy_(x)
    second.load_state_dict(first.state_dict())
    follow([first, second], [mine, other], bowl, steps=5)
    for x, y in zip(mine, other, strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adam_in_16_bits_converges(dtype):
    A, b = (torch.tensor(x, dtype=dtype) for x in quadratic(20))
    x = torch.nn.Parameter(torch.zeros(20, dtype=dtype))
    optimizer = Adam([x], learning_rate=0.02, state_bits=16)
    assert {m.dtype for part in ("mean", "square") for m in optimizer.state_dict()[part]} == {
        torch.bfloat16
    }
    for step in range(4000):
        optimizer.rate = 0.02 * 0.999**step
        optimizer.zero_grad()
        (0.5 * x @ A @ x - b @ x).backward()
        optimizer.step()
    np.testing.assert_allclose(x.detach(), torch.linalg.solve(A, b), atol=2e-3)


def test_the_second_moment_in_16_bits_does_not_stand_still():
    """After 300 steps with β₂ = 0.999, v has come 26% of the way; rounded to the nearest it stops at a fourth of that."""
    x = torch.nn.Parameter(torch.zeros(5000))
    optimizer = Adam([x], state_bits=16)
    for _ in range(300):
        x.grad = torch.ones(5000)
        optimizer.step()
    assert float(optimizer.state_dict()["square"][0].double().mean()) == pytest.approx(
        1 - 0.999**300, rel=0.01
    )


@pytest.mark.parametrize(
    "ours",
    [
        lambda p: LBFGS(p),
        lambda p: Adam(p, learning_rate=0.05),
        lambda p: Rprop(p),
        lambda p: SGD(p, learning_rate=0.05),
    ],
)
def test_a_transposed_parameter_is_a_parameter(ours):
    target, found = torch.arange(15.0).reshape(5, 3) / 15, []
    for start in (torch.zeros(5, 3), torch.zeros(3, 5).t()):
        x = torch.nn.Parameter(start)
        optimizer = ours([x])

        def closure(x=x):
            value = (x - target).square().sum() + (x**4).sum()
            value.backward()
            return value.detach()

        for _ in range(5):
            optimizer.zero_grad()
            optimizer.step(closure)
        found.append(x.detach())
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


def test_lbfgs_does_not_depend_on_threads():
    before, found = torch.get_num_threads(), []
    target = torch.randn(300, 50, generator=torch.Generator().manual_seed(0))

    def objective(x):
        return (
            ((x - target) ** 2 + (x - target) ** 4).sum(dim=1).double().cumsum(dim=0)[-1]
        )  # the sums, in one order

    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            x = torch.nn.Parameter(torch.zeros(300, 50))
            descend(x, objective, steps=8)
            found.append(x.detach())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def lookups(seed: int, steps: int):
    random = np.random.default_rng(seed)
    return [torch.tensor(random.choice(30, size=8)) for _ in range(steps)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 20])
def test_sparse_gradients_step_as_in_sparse_adam(k, dtype):
    start = torch.randn(30, k, generator=torch.Generator().manual_seed(1), dtype=dtype)
    (mine,), (other,) = twice(start)
    ours, theirs = Adam([mine], learning_rate=0.05), torch.optim.SparseAdam([other], lr=0.05)
    for p, optimizer in ((mine, ours), (other, theirs)):
        for rows in lookups(2, 60):  # some twice: they are added up first
            optimizer.zero_grad()
            (torch.nn.functional.embedding(rows, p, sparse=True) - 1).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=2e-6)


def test_rows_without_a_gradient_stay():
    table, bias = torch.nn.Parameter(torch.ones(30, 4)), torch.nn.Parameter(torch.ones(4))
    optimizer = Adam([table, bias])
    for rows in (torch.tensor([3, 5]), torch.tensor([5, 29])):
        optimizer.zero_grad()
        (torch.nn.functional.embedding(rows, table, sparse=True).sum() + bias.sum()).backward()
        assert table.grad.is_sparse
        optimizer.step()
    moved = (table != 1).any(dim=1)
    assert moved.nonzero().flatten().tolist() == [3, 5, 29]
    assert (bias != 1).all()


def test_an_empty_sparse_gradient_changes_nothing():
    table = torch.nn.Parameter(torch.ones(3, 4))
    optimizer = Adam([table])
    torch.nn.functional.embedding(
        torch.zeros(0, dtype=torch.long), table, sparse=True
    ).sum().backward()
    optimizer.step()
    assert (table == 1).all()


def test_a_gradient_that_is_sparse_in_columns_too_is_refused():
    table = torch.nn.Parameter(torch.ones(3, 4))
    table.grad = torch.eye(3, 4).to_sparse()
    with pytest.raises(SettingError, match="sparse in rows only"):
        Adam([table]).step()


def test_other_sizes_of_state_are_refused():
    with pytest.raises(SettingError, match="16 or 32"):
        Adam([torch.nn.Parameter(torch.ones(1))], state_bits=8)


def test_an_unknown_optimizer_is_an_error_with_the_nearest_name():
    with pytest.raises(SettingError, match="Did you mean 'lbfgs'"):
        make("lbgfs", [torch.nn.Parameter(torch.zeros(1))], learning_rate=0.1)
