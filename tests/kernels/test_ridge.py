"""Ridge regressions, one per row: compiled and padded together, beside the equations in plain NumPy."""

import numpy as np
import pytest
import torch

from recollect.kernels import Block
from recollect.kernels.ridge import ridge


def block(counts, n_columns, seed=0, dtype=np.float32):
    random = np.random.default_rng(seed)
    column = (
        np.concatenate([np.sort(random.choice(n_columns, n, replace=False)) for n in counts])
        if sum(counts)
        else np.empty(0)
    )
    start = np.concatenate([[0], np.cumsum(counts)])
    return Block(
        start,
        column.astype(np.int32),
        random.normal(size=len(column)).astype(dtype),
        n_columns=n_columns,
    )


def plain(rows, features, reg, prior, base):
    """x = (base + λ I + Σ f fᵀ)⁻¹ (λ prior + Σ v f), row by row, in 64 bits."""
    start, column, value = (x.numpy() for x in (rows.rows.start, rows.column, rows.value))
    features, reg, prior, base = (
        x.numpy().astype(np.float64) for x in (features, reg, prior, base)
    )
    found = []
    for j in range(rows.n_rows):
        f, v = (
            features[column[start[j] : start[j + 1]]],
            value[start[j] : start[j + 1]].astype(np.float64),
        )
        found.append(
            np.linalg.solve(base + reg[j] * np.eye(f.shape[1]) + f.T @ f, reg[j] * prior[j] + v @ f)
        )
    return np.array(found)


@pytest.mark.parametrize("k", [1, 3, 31, 32, 33, 50, 65, 130])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_row_is_solved_as_numpy_solves_it(k, dtype):
    rows = block([0, 1, 5, 64, 65, 200, 3, 0, 130], 250)
    random = torch.Generator().manual_seed(k)
    features, prior = (torch.randn(n, k, generator=random, dtype=dtype) for n in (250, 9))
    reg, root = (
        torch.rand(9, generator=random, dtype=dtype) + 0.5,
        torch.randn(k, k, generator=random, dtype=dtype),
    )
    base = root @ root.t() / k
    found = ridge(rows, features, reg=reg, prior=prior, base=base)
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found,
        plain(rows, features, reg, prior, base),
        atol=2e-4 if dtype == torch.float32 else 1e-9,
    )


def test_a_row_without_a_cell_is_its_prior():
    prior = torch.arange(6.0).reshape(2, 3)
    found = ridge(block([0, 0], 4), torch.ones(4, 3), reg=torch.tensor([0.5, 2.0]), prior=prior)
    torch.testing.assert_close(found, prior)


def test_one_cell_by_hand():
    """(λ + f²) x = v f: (1 + 4) x = 3 · 2."""
    rows = Block(np.array([0, 1]), np.array([0]), np.array([3.0], np.float32), n_columns=1)
    torch.testing.assert_close(
        ridge(rows, torch.tensor([[2.0]]), reg=torch.ones(1)), torch.tensor([[1.2]])
    )


def test_equations_that_32_bits_cannot_factor_are_solved_in_64():
    rows = block([40], 40)
    features = (
        torch.ones(40, 8) + torch.randn(40, 8, generator=torch.Generator().manual_seed(0)) * 1e-4
    )
    reg, zero = torch.full((1,), 1e-6), torch.zeros
    found = ridge(rows, features, reg=reg)
    expected = plain(rows, features, reg, zero(1, 8), zero(8, 8))
    np.testing.assert_allclose(
        features.double() @ found[0].double(), features.double().numpy() @ expected[0], atol=1e-3
    )


def test_threads_change_nothing_to_the_bit():
    rows, features = block([3] * 50 + [200] * 5, 250), torch.randn(250, 20)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(ridge(rows, features, reg=torch.ones(55)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"reg must be \(2,\)"):
        ridge(block([1, 1], 3), torch.ones(3, 2), reg=torch.ones(3))
