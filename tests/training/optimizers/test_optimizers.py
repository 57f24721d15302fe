"""Adam, RMSprop, Rprop and SGD against torch's and their plain statements; the table of
optimizers."""

import numpy as np
import pytest
import torch

from recollect.errors import SettingError
from recollect.kernels.reference import optimizers as reference
from recollect.training.optimizers import (
    BY_RATE,
    LBFGS,
    OPTIMIZERS,
    SGD,
    Adam,
    RateOptimizer,
    RMSprop,
    Rprop,
    make,
)


def take_steps(optimizer, parameters, objective, *, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        objective(*parameters).backward()
        optimizer.step()


def zeros(*shapes: tuple[int, ...], dtype=torch.float32) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in shapes]


def convex(W, b):
    """Another curvature in each direction."""
    scale = torch.linspace(0.1, 3, W.numel(), dtype=W.dtype).reshape(W.shape)
    squares = (scale * (W - 1) ** 2).sum()
    return squares + torch.nn.functional.softplus(W.sum(dim=0) / 10 - b).sum() + b @ b


def adam_with_other_settings(p):
    return Adam(p, learning_rate=0.1, betas=(0.5, 0.9), epsilon=0.1)


PAIRS = {
    "adam": (lambda p: Adam(p, learning_rate=0.02), lambda p: torch.optim.Adam(p, lr=0.02)),
    "adam with other settings": (
        adam_with_other_settings,
        lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.9), eps=0.1),
    ),
    "rmsprop": (
        lambda p: RMSprop(p, learning_rate=0.01),
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-7),
    ),
    "rprop": (
        lambda p: Rprop(p, learning_rate=0.01),
        lambda p: torch.optim.Rprop(p, lr=0.01, etas=(0.5, 1.2), step_sizes=(1e-8, 1.0)),
    ),
    "sgd": (
        lambda p: SGD(p, learning_rate=0.002, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.002, momentum=0.9),
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 5), (90, 41)])
@pytest.mark.parametrize("name", PAIRS)
def test_steps_are_those_of_torch(name, shape, dtype):
    fitted = []
    for make_optimizer in PAIRS[name]:
        parameters = zeros(shape, shape[1:], dtype=dtype)
        take_steps(make_optimizer(parameters), parameters, convex, steps=40)
        fitted.append(parameters)
    for actual, expected in zip(*fitted, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=2e-6)


RMSPROPS = {
    "rmsprop": {"epsilon": 1e-7, "inside": False},
    "rmsprop-keras": {"epsilon": 1e-6, "inside": True},
}


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
@pytest.mark.parametrize("size", [1.0, 1e-6])  # of gradients; of 1e-6 the place of ε decides
@pytest.mark.parametrize("name", RMSPROPS)
def test_rmsprop_steps_as_its_plain_statement(name, size, dtype, rtol):
    (x,) = zeros((7,), dtype=dtype)
    optimizer = make(name, [x], learning_rate=0.01)
    expected, square = np.zeros(7), np.zeros(7)
    for gradient in size * np.random.default_rng(0).normal(size=(5, 7)):
        x.grad = torch.tensor(gradient, dtype=dtype)
        optimizer.step()
        expected, square = reference.rmsprop(
            expected, gradient, square, learning_rate=0.01, **RMSPROPS[name]
        )
    np.testing.assert_allclose(x.detach(), expected, rtol=rtol)


def test_under_the_root_epsilon_shortens_the_steps_of_small_gradients():
    """By hand, the first step on g = 1e-6: v is 1e-13, and η g / √(v + 1e-6) is about η / 1000."""
    moved = {}
    for name in RMSPROPS:
        (x,) = zeros((1,), dtype=torch.float64)
        x.grad = torch.tensor([1e-6], dtype=torch.float64)
        make(name, [x], learning_rate=0.01).step()
        moved[name] = -float(x.detach())
    assert moved["rmsprop-keras"] == pytest.approx(0.01 * 1e-6 / 1e-3, rel=1e-6)
    assert moved["rmsprop"] == pytest.approx(0.01 * 1e-6 / (0.1**0.5 * 1e-6 + 1e-7), rel=1e-6)


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda p: Adam(p, learning_rate=0.02),
        lambda p: RMSprop(p, learning_rate=0.01),
        lambda p: Rprop(p),
        lambda p: Adam(p, learning_rate=0.02, state_bits=16),
        lambda p: SGD(p, learning_rate=0.002),
    ],
)
def test_a_state_resumes_to_the_bit(make_optimizer):
    first_parameters = zeros((90, 41), (41,))
    second_parameters = zeros((90, 41), (41,))
    first = make_optimizer(first_parameters)
    second = make_optimizer(second_parameters)
    take_steps(first, first_parameters, convex, steps=7)
    with torch.no_grad():
        for x, y in zip(first_parameters, second_parameters, strict=True):
            y.copy_(x)
    second.load_state_dict(first.state_dict())
    take_steps(first, first_parameters, convex, steps=5)
    take_steps(second, second_parameters, convex, steps=5)
    for x, y in zip(first_parameters, second_parameters, strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adam_in_16_bits_converges(dtype):
    random = np.random.default_rng(0)
    root = torch.tensor(random.normal(size=(20, 20)), dtype=dtype)
    A = root @ root.T + torch.eye(20, dtype=dtype)
    b = torch.tensor(random.normal(size=20), dtype=dtype)
    (x,) = zeros((20,), dtype=dtype)
    optimizer = Adam([x], learning_rate=0.02, state_bits=16)
    state = optimizer.state_dict()
    assert {state["mean"][0].dtype, state["square"][0].dtype} == {torch.bfloat16}
    for step in range(4000):
        optimizer.rate = 0.02 * 0.999**step
        x.grad = A @ x.detach() - b
        optimizer.step()
    np.testing.assert_allclose(x.detach(), torch.linalg.solve(A, b), atol=2e-3)


def test_the_second_moment_in_16_bits_does_not_stand_still():
    """After 300 steps with β₂ = 0.999, v has come 26% of the way; rounded to the nearest, a fourth
    of that."""
    (x,) = zeros((5000,))
    optimizer = Adam([x], state_bits=16)
    for _ in range(300):
        x.grad = torch.ones(5000)
        optimizer.step()
    square = float(optimizer.state_dict()["square"][0].double().mean())
    assert square == pytest.approx(1 - 0.999**300, rel=0.01)


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda p: LBFGS(p),
        lambda p: Adam(p, learning_rate=0.05),
        lambda p: Rprop(p),
        lambda p: SGD(p, learning_rate=0.05),
    ],
)
def test_a_transposed_parameter_is_a_parameter(make_optimizer):
    target = torch.arange(15.0).reshape(5, 3) / 15

    def fitted(start: torch.Tensor) -> torch.Tensor:
        x = torch.nn.Parameter(start)
        optimizer = make_optimizer([x])

        def closure() -> torch.Tensor:
            value = (x - target).square().sum() + (x**4).sum()
            value.backward()
            return value.detach()

        for _ in range(5):
            optimizer.zero_grad()
            optimizer.step(closure)
        return x.detach()

    transposed = fitted(torch.zeros(3, 5).t())
    torch.testing.assert_close(transposed, fitted(torch.zeros(5, 3)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 20])
def test_sparse_gradients_step_as_in_sparse_adam(k, dtype):
    start = torch.randn(30, k, generator=torch.Generator().manual_seed(1), dtype=dtype)
    random = np.random.default_rng(2)
    # Rows may stand twice in a batch: their gradients are added up first.
    batches = [torch.tensor(random.choice(30, size=8)) for _ in range(60)]

    def fitted(make_optimizer) -> torch.Tensor:
        x = torch.nn.Parameter(start.clone())
        optimizer = make_optimizer([x])
        for rows in batches:
            optimizer.zero_grad()
            looked_up = torch.nn.functional.embedding(rows, x, sparse=True)
            (looked_up - 1).square().sum().backward()
            optimizer.step()
        return x.detach()

    actual = fitted(lambda p: Adam(p, learning_rate=0.05))
    expected = fitted(lambda p: torch.optim.SparseAdam(p, lr=0.05))
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=2e-6)


def test_rows_without_a_gradient_stay():
    table = torch.nn.Parameter(torch.ones(30, 4))
    bias = torch.nn.Parameter(torch.ones(4))
    optimizer = Adam([table, bias])
    for rows in (torch.tensor([3, 5]), torch.tensor([5, 29])):
        optimizer.zero_grad()
        looked_up = torch.nn.functional.embedding(rows, table, sparse=True)
        (looked_up.sum() + bias.sum()).backward()
        assert table.grad.is_sparse
        optimizer.step()
    moved = (table != 1).any(dim=1)
    assert moved.nonzero().flatten().tolist() == [3, 5, 29]
    assert (bias != 1).all()


def test_an_empty_sparse_gradient_changes_nothing():
    table = torch.nn.Parameter(torch.ones(3, 4))
    optimizer = Adam([table])
    no_rows = torch.zeros(0, dtype=torch.long)
    torch.nn.functional.embedding(no_rows, table, sparse=True).sum().backward()
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


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_with_a_learning_rate_are_listed(name):
    optimizer = make(name, zeros((1,)), learning_rate=0.1)
    assert isinstance(optimizer, RateOptimizer) == (name in BY_RATE)


def test_an_unknown_optimizer_is_an_error_with_the_nearest_name():
    with pytest.raises(SettingError, match="Did you mean 'lbfgs'"):
        make("lbgfs", zeros((1,)), learning_rate=0.1)
