"""The passes over vectors against plain NumPy: compiled (32 bits) and by torch (64 bits, or any
device)."""

import numpy as np
import pytest
import torch

from recollect.kernels import optimizer_steps
from recollect.kernels.reference import optimizers as reference

# Shorter and longer than sixteen numbers and than a block, and no multiples of them.
SIZES = [(1,), (16,), (3, 7), (2048,), (70, 61), ()]


@pytest.fixture(params=["compiled", "torch", "64 bits"])
def dtype(request, monkeypatch) -> torch.dtype:
    if request.param == "torch":
        monkeypatch.setattr(optimizer_steps, "compiled", lambda x: False)
    return torch.float64 if request.param == "64 bits" else torch.float32


@pytest.fixture
def set_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def normal_parts(seed: int, dtype: torch.dtype) -> list[torch.Tensor]:
    random = np.random.default_rng(seed)
    return [torch.tensor(random.normal(size=size), dtype=dtype) for size in SIZES]


def joined(parts: list[torch.Tensor]) -> np.ndarray:
    return np.concatenate([part.reshape(-1).double().numpy() for part in parts])


def rows_of(pairs: optimizer_steps.Pairs) -> np.ndarray:
    """All rows, their parts joined, without the zeros at the ends of the parts."""
    lengths = [max(1, int(np.prod(size))) for size in SIZES]
    parts = [
        part.double().numpy()[:, :length] for part, length in zip(pairs.parts, lengths, strict=True)
    ]
    return np.concatenate(parts, axis=1)


@pytest.fixture
def written(dtype):
    """Three pairs of four, written in the order 2, 0, 3; and what the last writing returned."""
    pairs = optimizer_steps.Pairs(normal_parts(0, dtype), 4)
    others = []
    for j, pair in enumerate((2, 0, 3)):
        products, slope = pairs.write(
            pair,
            others,
            step=0.5 + j,
            direction=normal_parts(10 + j, dtype),
            gradient=normal_parts(20 + j, dtype),
            previous=normal_parts(30 + j, dtype),
        )
        others = [*others, pair]
    return pairs, products, slope


def test_a_pair_is_the_step_and_the_change_of_the_gradient(written, dtype):
    pairs, _, _ = written
    # bfloat16 has 8 binary digits.
    tolerance = {"rtol": 2**-8, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-12}
    step = 2.5 * joined(normal_parts(12, dtype))
    change = joined(normal_parts(22, dtype)) - joined(normal_parts(32, dtype))
    np.testing.assert_allclose(rows_of(pairs)[6], step, **tolerance)
    np.testing.assert_allclose(rows_of(pairs)[7], change, **tolerance)


def test_inner_products_are_those_of_the_stored_vectors(written, dtype):
    pairs, products, slope = written
    gradient = joined(normal_parts(22, dtype))
    vectors = np.vstack([rows_of(pairs), gradient])
    np.testing.assert_allclose(products, vectors[[6, 7, 8]] @ vectors.T, rtol=1e-5, atol=1e-3)
    assert slope == pytest.approx(gradient @ joined(normal_parts(12, dtype)), rel=1e-5)


def test_a_combination_becomes_the_direction_and_moves_the_parameters(dtype):
    parameters = normal_parts(0, dtype)
    pairs = optimizer_steps.Pairs(parameters, 4)
    for pair in (2, 3):
        pairs.write(
            pair,
            [],
            step=1.0,
            direction=normal_parts(pair, dtype),
            gradient=normal_parts(20, dtype),
            previous=normal_parts(30, dtype),
        )
    coefficients = np.linspace(-1, 1, 9)
    direction = normal_parts(40, dtype)
    gradient = normal_parts(41, dtype)
    pairs.combine([2, 3], coefficients, gradient, out=direction, step=0.25)
    expected = coefficients[4:8] @ rows_of(pairs)[4:8] + coefficients[8] * joined(gradient)
    np.testing.assert_allclose(joined(direction), expected, rtol=1e-5, atol=1e-6)
    moved = joined(normal_parts(0, dtype)) + 0.25 * expected
    np.testing.assert_allclose(joined(parameters), moved, rtol=1e-5, atol=1e-6)


def test_pairs_that_are_not_named_do_not_count(written, dtype):
    pairs, _, _ = written
    for part in pairs.parts:
        part[0:2] = torch.nan
    direction = normal_parts(50, dtype)
    gradient = normal_parts(51, dtype)
    products, _ = pairs.write(
        1,
        [2],
        step=1.0,
        direction=direction,
        gradient=gradient,
        previous=normal_parts(52, dtype),
    )
    pairs.combine([1, 2], np.ones(9), gradient, out=direction, step=1.0)
    assert np.isfinite(products).all()
    assert np.isfinite(joined(direction)).all()


@pytest.mark.parametrize("size", [(3,), (70, 61)])
def test_adam_steps_as_the_paper_says(size, dtype):
    random = np.random.default_rng(0)
    expected = (random.normal(size=size), np.zeros(size), np.zeros(size))
    state = [torch.tensor(x, dtype=dtype) for x in expected]
    for step in (1, 2, 3):
        gradient = random.normal(size=size)
        expected = reference.adam(expected[0], gradient, *expected[1:], step=step)
        mean_weight, square_weight = 1 - 0.9**step, 1 - 0.999**step
        optimizer_steps.adam(
            state[0],
            torch.tensor(gradient, dtype=dtype),
            state[1],
            state[2],
            rate=0.001 * square_weight**0.5 / mean_weight,
            epsilon=1e-8 * square_weight**0.5,
            betas=(0.9, 0.999),
            salt=0,
        )
    for actual, array in zip(state, expected, strict=True):
        np.testing.assert_allclose(actual, array, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("size", [(3,), (70, 61)])
def test_rprop_steps_as_the_paper_says(size, dtype):
    random = np.random.default_rng(0)
    expected = (random.normal(size=size), np.zeros(size), np.full(size, 0.01))
    state = [torch.tensor(x, dtype=dtype) for x in expected]
    for _ in range(4):
        gradient = random.normal(size=size)
        expected = reference.rprop(expected[0], gradient, *expected[1:])
        optimizer_steps.rprop(
            state[0],
            torch.tensor(gradient, dtype=dtype),
            state[1],
            state[2],
            etas=(0.5, 1.2),
            limits=(1e-8, 1.0),
        )
    for actual, array in zip(state, expected, strict=True):
        np.testing.assert_allclose(actual, array, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(3,), (70, 61)])
def test_momentum_adds_gradients_up(size, dtype):
    random = np.random.default_rng(0)
    expected = (random.normal(size=size), np.zeros(size))
    state = [torch.tensor(x, dtype=dtype) for x in expected]
    for _ in range(3):
        gradient = random.normal(size=size)
        expected = reference.sgd(expected[0], gradient, expected[1], learning_rate=0.1)
        optimizer_steps.sgd(
            state[0], torch.tensor(gradient, dtype=dtype), state[1], rate=0.1, momentum=0.9
        )
    for actual, array in zip(state, expected, strict=True):
        np.testing.assert_allclose(actual, array, rtol=1e-5, atol=1e-6)


def test_the_result_does_not_depend_on_the_number_of_threads(set_threads):
    generator = torch.Generator().manual_seed(0)
    x, gradient, direction = (torch.randn(300, 401, generator=generator) for _ in range(3))

    def every_loop() -> list[torch.Tensor]:
        pairs = optimizer_steps.Pairs([x], 2)
        products, slope = pairs.write(
            0, [], step=0.3, direction=[direction], gradient=[gradient], previous=[x]
        )
        parameter = x.clone()
        out = direction.clone()
        optimizer_steps.Pairs([parameter], 2).combine(
            [], np.ones(5), [gradient], out=[out], step=0.1
        )
        mean = torch.zeros_like(parameter)
        square = torch.zeros_like(parameter)
        optimizer_steps.adam(
            parameter,
            gradient,
            mean,
            square,
            rate=0.1,
            epsilon=1e-8,
            betas=(0.9, 0.99),
            salt=3,
        )
        return [torch.tensor(products), torch.tensor(slope), pairs.parts[0], out, parameter]

    set_threads(1)
    by_one = every_loop()
    set_threads(2)
    by_two = every_loop()
    for one, two in zip(by_one, by_two, strict=True):
        assert torch.equal(one, two)


def test_moments_in_16_bits_are_right_on_average(dtype):
    """1 + 1/512 lies a quarter of the way from one bfloat16 number to the next: a quarter is
    rounded up."""
    n = 40_000
    mean = torch.zeros(n, dtype=torch.bfloat16)
    square = torch.zeros(n, dtype=torch.bfloat16)
    optimizer_steps.adam(
        torch.zeros(n, dtype=dtype),
        torch.full((n,), 1 + 1 / 512, dtype=dtype),
        mean,
        square,
        rate=0.1,
        epsilon=0.0,
        betas=(0.0, 0.0),
        salt=1,
    )
    assert set(mean.tolist()) == {1.0, 1 + 1 / 128}
    # The tolerances are five standard errors.
    assert float(mean.double().mean()) == pytest.approx(1 + 1 / 512, abs=5 * 0.0034 / 200)
    assert float(square.double().mean()) == pytest.approx((1 + 1 / 512) ** 2, abs=5 * 0.0039 / 200)
    correlation = torch.corrcoef(torch.stack([mean, square]).float())[0, 1]
    assert abs(correlation) < 5 / 200  # the two are rounded independently


def test_compiled_loops_and_torch_round_alike(monkeypatch):
    def step(use_loops: bool) -> list[torch.Tensor]:
        monkeypatch.setattr(optimizer_steps, "compiled", lambda x: use_loops)
        parameter = torch.ones(50, 100)
        mean = torch.zeros(50, 100, dtype=torch.bfloat16)
        square = torch.zeros(50, 100, dtype=torch.bfloat16)
        optimizer_steps.adam(
            parameter,
            torch.arange(300.0).reshape(3, 100),
            mean,
            square,
            rows=torch.tensor([1, 7, 49]),
            rate=0.1,
            epsilon=1e-8,
            betas=(0.5, 0.75),
            salt=2**31 + 5,
        )
        return [parameter, mean, square]

    for compiled, by_torch in zip(step(True), step(False), strict=True):
        torch.testing.assert_close(compiled, by_torch, rtol=1e-6, atol=0)
