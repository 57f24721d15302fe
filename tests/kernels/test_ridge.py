"""Ridge regressions, one per row: compiled and padded together, beside the equations in plain
NumPy.
"""

import numpy as np
import pytest
import torch

from recollect.errors import TrainingError
from recollect.kernels import Block
from recollect.kernels.reference import ridge as reference
from recollect.kernels.ridge import ridge


def random_block(counts, n_columns, seed=0):
    """Rows with these numbers of cells, in random columns, with random values."""
    random = np.random.default_rng(seed)
    columns = [np.sort(random.choice(n_columns, n, replace=False)) for n in counts]
    column = np.concatenate([np.empty(0, np.int64), *columns]).astype(np.int32)
    value = random.normal(size=len(column)).astype(np.float32)
    start = np.concatenate([[0], np.cumsum(counts)])
    return Block(start, column, value, n_columns=n_columns)


def by_numpy(block, features, *, reg, prior, base):
    arrays = (block.rows.start, block.column, block.value, features)
    return reference.ridge(
        *(array.numpy() for array in arrays),
        reg=reg.numpy().astype(np.float64),
        prior=prior.numpy().astype(np.float64),
        base=base.numpy().astype(np.float64),
    )


@pytest.mark.parametrize("k", [1, 3, 31, 32, 33, 50, 65, 130])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_row_is_solved_as_numpy_solves_it(k, dtype):
    block = random_block([0, 1, 5, 64, 65, 200, 3, 0, 130], 250)
    random = torch.Generator().manual_seed(k)
    features = torch.randn(250, k, generator=random, dtype=dtype)
    prior = torch.randn(9, k, generator=random, dtype=dtype)
    reg = torch.rand(9, generator=random, dtype=dtype) + 0.5
    root = torch.randn(k, k, generator=random, dtype=dtype)
    base = root @ root.t() / k

    solution = ridge(block, features, reg=reg, prior=prior, base=base)

    expected = by_numpy(block, features, reg=reg, prior=prior, base=base)
    assert solution.dtype == dtype
    np.testing.assert_allclose(solution, expected, atol=2e-4 if dtype == torch.float32 else 1e-9)


def test_a_row_without_a_cell_is_its_prior():
    block = random_block([0, 0], 4)
    prior = torch.arange(6.0).reshape(2, 3)
    solution = ridge(block, torch.ones(4, 3), reg=torch.tensor([0.5, 2.0]), prior=prior)
    torch.testing.assert_close(solution, prior)


def test_one_cell_by_hand():
    """(λ + f²) x = v f: (1 + 4) x = 3 · 2."""
    block = Block(np.array([0, 1]), np.array([0]), np.array([3.0], np.float32), n_columns=1)
    solution = ridge(block, torch.tensor([[2.0]]), reg=torch.ones(1))
    torch.testing.assert_close(solution, torch.tensor([[1.2]]))


def test_equations_that_32_bits_cannot_factor_are_solved_in_64():
    block = random_block([40], 40)
    noise = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    features = torch.ones(40, 8) + 1e-4 * noise
    reg = torch.full((1,), 1e-6)

    solution = ridge(block, features, reg=reg)

    expected = by_numpy(block, features, reg=reg, prior=torch.zeros(1, 8), base=torch.zeros(8, 8))
    # The solutions differ along directions that hardly matter; what they predict does not.
    predicted = features.double() @ solution[0].double()
    np.testing.assert_allclose(predicted, features.double().numpy() @ expected[0], atol=1e-3)


def test_threads_change_nothing_to_the_bit():
    block = random_block([3] * 50 + [200] * 5, 250)
    features = torch.randn(250, 20)
    before = torch.get_num_threads()
    solutions = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            solutions.append(ridge(block, features, reg=torch.ones(55)))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*solutions)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"reg must be \(2,\)"):
        ridge(random_block([1, 1], 3), torch.ones(3, 2), reg=torch.ones(3))


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 1e30])
def test_numbers_that_have_overflowed_are_an_error_of_ours(number):
    block = random_block([3, 4], 6)
    features = torch.full((6, 3), number)
    # 1e30 squared is infinite in 32 bits; in 64 bits it has a solution.
    if number == 1e30:
        assert ridge(block, features, reg=torch.ones(2)).isfinite().all()
        return

    with pytest.raises(TrainingError, match="have overflowed"):
        ridge(block, features, reg=torch.ones(2))


@pytest.mark.parametrize("n", [0, 1, 4, 15, 16, 17, 31, 32, 33, 64])
def test_rows_with_few_cells_are_solved_as_numpy_solves_them(n):
    """By an equation for each cell up to half of the factors, by one for each factor beyond."""
    k = 64
    block = random_block([n] * 3, 250)
    random = torch.Generator().manual_seed(n)
    features = torch.randn(250, k, generator=random)
    prior = torch.randn(3, k, generator=random)
    reg = torch.tensor([0.5, 1.0, 300.0])
    of_all = torch.randn(500, k, generator=random)
    for base in (torch.zeros(k, k), 0.2 * of_all.t() @ of_all):
        solution = ridge(block, features, reg=reg, prior=prior, base=base)
        expected = by_numpy(block, features, reg=reg, prior=prior, base=base)
        np.testing.assert_allclose(solution, expected, atol=2e-4)
