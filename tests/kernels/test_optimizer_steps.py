"""The passes over vectors, against plain NumPy: compiled (32 bits) and through torch (64 bits, or any device)."""

import numpy as np
import pytest
import torch

from recollect.kernels import optimizer_steps

SIZES = [
    (1,),
    (16,),
    (3, 7),
    (2048,),
    (70, 61),
    (),
]  # shorter and longer than a vector and a block, no multiples


@pytest.fixture(params=["compiled", "torch", "64 bits"])
def dtype(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(optimizer_steps, "compiled", lambda x: False)
    return torch.float64 if request.param == "64 bits" else torch.float32


def parts(seed: int, dtype: torch.dtype) -> list[torch.Tensor]:
    random = np.random.default_rng(seed)
    return [torch.tensor(random.normal(size=size), dtype=dtype) for size in SIZES]


def whole(parts: list[torch.Tensor]) -> np.ndarray:
    return np.concatenate([x.reshape(-1).double().numpy() for x in parts])


def rows(pairs: optimizer_steps.Pairs) -> np.ndarray:
    """All the rows of all the parts, without the zeros at their ends."""
    return np.concatenate(
        [
            part.double().numpy()[:, : max(1, int(np.prod(size)))]
            for part, size in zip(pairs.parts, SIZES, strict=True)
        ],
        axis=1,
    )


def filled(
    dtype: torch.dtype,
) -> tuple[optimizer_steps.Pairs, list[torch.Tensor], tuple[np.ndarray, float]]:
    """Three pairs of four, written in the order 2, 0, 3; and what the last writing returned."""
    parameters = parts(0, dtype)
    pairs, known = optimizer_steps.Pairs(parameters, 4), []
    for k, pair in enumerate((2, 0, 3)):
        found = pairs.write(
            pair,
            known,
            step=0.5 + k,
            direction=parts(10 + k, dtype),
            gradient=parts(20 + k, dtype),
            before=parts(30 + k, dtype),
        )
        known = [*known, pair]
    return pairs, parameters, found


def test_a_pair_is_the_step_and_the_change_of_the_gradient(dtype):
    pairs, _, _ = filled(dtype)
    near = (
        {"rtol": 2**-8, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-12}
    )  # bfloat16 has 8 digits
    np.testing.assert_allclose(rows(pairs)[6], 2.5 * whole(parts(12, dtype)), **near)
    np.testing.assert_allclose(
        rows(pairs)[7], whole(parts(22, dtype)) - whole(parts(32, dtype)), **near
    )


def test_inner_products_are_those_of_what_is_stored(dtype):
    pairs, _, (found, slope) = filled(dtype)
    gradient = whole(parts(22, dtype))
    everything = np.vstack([rows(pairs), gradient])
    np.testing.assert_allclose(found, everything[[6, 7, 8]] @ everything.T, rtol=1e-5, atol=1e-3)
    assert slope == pytest.approx(gradient @ whole(parts(12, dtype)), rel=1e-5)


def test_a_combination_becomes_the_direction_and_moves_the_parameters(dtype):
    pairs, parameters, _ = filled(dtype)
    shares, out, gradient = np.linspace(-1, 1, 9), parts(40, dtype), parts(41, dtype)
    pairs.combine([2, 3], shares, gradient, out=out, step=0.25)
    expected = shares[[4, 5, 6, 7]] @ rows(pairs)[[4, 5, 6, 7]] + shares[8] * whole(gradient)
    np.testing.assert_allclose(whole(out), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        whole(parameters), whole(parts(0, dtype)) + 0.25 * expected, rtol=1e-5, atol=1e-6
    )


def test_pairs_that_are_not_named_do_not_count(dtype):
    pairs, _, _ = filled(dtype)
    for part in pairs.parts:
        part[0:2] = torch.nan
    direction = parts(50, dtype)
    found, _ = pairs.write(
        1, [2], step=1.0, direction=direction, gradient=parts(51, dtype), before=parts(52, dtype)
    )
    pairs.combine([1, 2], np.ones(9), parts(51, dtype), out=direction, step=1.0)
    assert np.isfinite(found).all()
    assert np.isfinite(whole(direction)).all()


def test_threads_change_nothing(two_threads):
    random = torch.Generator().manual_seed(0)
    x, g, d = (torch.randn(300, 401, generator=random) for _ in range(3))
    found = []
    for threads in (1, 2):
        two_threads(threads)
        p, out, pairs = x.clone(), d.clone(), optimizer_steps.Pairs([x], 2)
        products, slope = pairs.write(0, [], step=0.3, direction=[d], gradient=[g], before=[x])
        optimizer_steps.Pairs([p], 2).combine([], np.ones(5), [g], out=[out], step=0.1)
        optimizer_steps.adam(
            p,
            g,
            torch.zeros_like(p),
            torch.zeros_like(p),
            rate=0.1,
            epsilon=1e-8,
            betas=(0.9, 0.99),
            salt=3,
        )
        found.append((torch.tensor(products), torch.tensor(slope), pairs.parts[0], out, p))
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_moments_in_16_bits_are_right_on_average(dtype):
    """1 + 1/512 lies a quarter of the way from one number of bfloat16 to the next, so a quarter is rounded up."""
    p, gradient = torch.zeros(40000, dtype=dtype), torch.full((40000,), 1 + 1 / 512, dtype=dtype)
    mean, square = (torch.zeros(40000, dtype=torch.bfloat16) for _ in range(2))
    optimizer_steps.adam(p, gradient, mean, square, rate=0.1, epsilon=0.0, betas=(0.0, 0.0), salt=1)
    assert set(mean.tolist()) == {1.0, 1 + 1 / 128}
    assert float(mean.double().mean()) == pytest.approx(
        1 + 1 / 512, abs=5 * 0.0034 / 200
    )  # five standard errors
    assert float(square.double().mean()) == pytest.approx((1 + 1 / 512) ** 2, abs=5 * 0.0039 / 200)
    assert (
        torch.corrcoef(torch.stack([mean, square]).float())[0, 1].abs() < 5 / 200
    )  # each by itself


def test_compiled_and_torch_round_alike(monkeypatch):
    found = []
    for works in (True, False):
        monkeypatch.setattr(optimizer_steps, "compiled", lambda x, works=works: works)
        p, mean, square = (
            torch.ones(50, 100),
            *(torch.zeros(50, 100, dtype=torch.bfloat16) for _ in range(2)),
        )
        optimizer_steps.adam(
            p,
            torch.arange(300.0).reshape(3, 100),
            mean,
            square,
            rows=torch.tensor([1, 7, 49]),
            rate=0.1,
            epsilon=1e-8,
            betas=(0.5, 0.75),
            salt=2**31 + 5,
        )
        found.append((p, mean, square))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
