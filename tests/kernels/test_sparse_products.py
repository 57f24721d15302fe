"""The sparse products and their gradients, against dense NumPy and their plain statements."""

import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recollect.data.ratings import Rows
from recollect.errors import SettingError
from recollect.kernels import BACKENDS, Block, backend_for, observed, times_dense, use
from recollect.kernels.backends import cpu
from recollect.kernels.reference import products as reference

EXACT = [name for name in BACKENDS if name != "cpu16"]


def random_rows(
    seed: int, n_rows: int, n_columns: int, share: float
) -> tuple[Rows, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = random.random((n_rows, n_columns)) < share
    row, column = np.nonzero(mask)
    value = random.normal(size=len(row)).astype(np.float32)
    rows, _ = Rows.group(row, column, value, n_rows=n_rows, n_columns=n_columns)
    dense = np.zeros((n_rows, n_columns), np.float32)
    dense[row, column] = value
    return rows, mask, dense


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def block_of(rows: Rows, backend: str) -> Block:
    return Block(rows.start, rows.column, rows.value, n_columns=rows.n_columns, backend=backend)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_a_block_is_made_dense_with_its_zeros(share):
    rows, _, dense = random_rows(3, 9, 5, share)
    np.testing.assert_array_equal(block_of(rows, "reference").dense(), dense)


@pytest.mark.parametrize("backend", EXACT)
@settings(deadline=None)  # the first call compiles
@given(
    seed=st.integers(0, 99),
    n_rows=st.integers(1, 9),
    n_columns=st.integers(1, 9),
    k=st.integers(1, 5),
    share=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_products_and_gradients_equal_dense(backend, seed, n_rows, n_columns, k, share):
    rows, mask, dense = random_rows(seed, n_rows, n_columns, share)
    block = block_of(rows, backend)
    left = normal(seed, n_rows, k)
    right = normal(seed + 1, n_columns, k)
    H = torch.tensor(left, requires_grad=True)
    V = torch.tensor(right, requires_grad=True)
    product_gradient = normal(seed + 2, n_rows, k)
    cell_gradient = normal(seed + 3, len(rows.column))

    product = times_dense(block, V)
    product.backward(torch.tensor(product_gradient))
    V_gradient_of_product = V.grad.numpy().copy()
    V.grad = None
    cells = observed(block, H, V)
    cells.backward(torch.tensor(cell_gradient))

    error = np.zeros_like(dense)
    error[mask] = cell_gradient
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(product.detach().numpy(), dense @ right, **tolerance)
    np.testing.assert_allclose(V_gradient_of_product, dense.T @ product_gradient, **tolerance)
    np.testing.assert_allclose(cells.detach().numpy(), (left @ right.T)[mask], **tolerance)
    np.testing.assert_allclose(H.grad.numpy(), error @ right, **tolerance)
    np.testing.assert_allclose(V.grad.numpy(), error.T @ left, **tolerance)


def test_the_plain_statements_are_dense_products():
    rows, mask, dense = random_rows(0, 7, 9, 0.4)
    left = normal(1, 7, 3)
    right = normal(2, 9, 3)
    product = reference.times_dense(rows.start, rows.column, rows.value, right)
    cells = reference.observed(rows.start, rows.column, left, right)
    np.testing.assert_allclose(product, dense @ right, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cells, (left @ right.T)[mask], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", EXACT)
def test_other_values_on_the_same_cells(backend):
    rows, mask, _ = random_rows(3, 5, 6, 0.4)
    other = np.arange(len(rows.column), dtype=np.float32)
    dense = np.zeros(mask.shape, np.float32)
    dense[mask] = other
    V = normal(0, 6, 2)
    product = times_dense(block_of(rows, backend), torch.tensor(V), torch.tensor(other))
    np.testing.assert_allclose(product.numpy(), dense @ V, rtol=1e-5, atol=1e-5)


def test_a_listed_zero_is_a_cell():
    rows, _ = Rows.group(
        np.array([0, 0]), np.array([0, 2]), np.array([0.0, 2.0], np.float32), n_rows=1, n_columns=3
    )
    block = Block(rows.start, rows.column, rows.value, n_columns=3)
    right = torch.tensor([[7.0], [8.0], [9.0]])
    assert observed(block, torch.ones(1, 1), right).tolist() == [7.0, 9.0]


def test_a_block_without_values_cannot_be_multiplied():
    block = Block(np.array([0, 1]), np.array([0]), n_columns=1)
    with pytest.raises(ValueError, match="no values"):
        times_dense(block, torch.ones(1, 1))


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "k", "share"),
    [
        (40, 300, 500, 0.3),
        (300, 40, 64, 0.3),
        (30, 200, 65, 0.5),
        (30, 200, 16, 0.5),
        (20, 90, 40, 0.2),
        (7, 500, 128, 0.01),
        (1, 1, 1000, 1.0),
        (50, 5000, 100, 0.02),
        (200, 64, 127, 0.9),
    ],
)
@pytest.mark.parametrize("tile", [1, 13, 64, 2048])
@pytest.mark.parametrize("packed", [True, False])
def test_tiles_panels_and_overlaps_equal_the_definition(
    monkeypatch, n_rows, n_columns, k, share, tile, packed
):
    monkeypatch.setattr(cpu, "TILE", tile)
    monkeypatch.setattr(cpu, "CELLS_PER_TILE", 1)
    monkeypatch.setattr(cpu, "PACK_FROM", 0 if packed else 10**9)
    rows, _, _ = random_rows(1, n_rows, n_columns, share)
    left = torch.tensor(normal(2, n_rows, k))
    right = torch.tensor(normal(3, n_columns, k))
    block = block_of(rows, "cpu")
    plain = block_of(rows, "reference")
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    product = times_dense(block, right)
    torch.testing.assert_close(product, times_dense(plain, right), **tolerance)
    cells = observed(block, left, right)
    torch.testing.assert_close(cells, observed(plain, left, right), **tolerance)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="this machine has one core")
def test_the_numbers_do_not_depend_on_the_threads():
    rows, _, _ = random_rows(4, 60, 300, 0.3)
    left = torch.tensor(normal(0, 60, 130))
    right = torch.tensor(normal(1, 300, 130))
    block = block_of(rows, "cpu")
    products, cells = [], []
    before = torch.get_num_threads()
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            products.append(times_dense(block, right))
            cells.append(observed(block, left, right))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*products)
    assert torch.equal(*cells)


@pytest.mark.parametrize("column", [[2, 1], [0, 3], [-1, 0]])
def test_columns_that_do_not_ascend_or_lie_outside_are_refused(column):
    block = Block(
        np.array([0, 2]), np.array(column), np.ones(2, np.float32), n_columns=3, backend="cpu"
    )
    with pytest.raises(ValueError, match="must ascend and be 0 to 2"):
        times_dense(block, torch.ones(3, 4))


def test_a_pair_asked_for_twice_is_answered_twice():
    for backend in BACKENDS:
        block = Block(
            np.array([0, 2]),
            np.array([1, 1]),
            np.array([1, 2], np.float32),
            n_columns=3,
            backend=backend,
        )
        assert observed(block, torch.ones(1, 20), torch.ones(3, 20) * 2).tolist() == [40.0, 40.0]
        assert times_dense(block, torch.ones(3, 1)).tolist() == [[3.0]]


def test_sixteen_bits_are_within_half_a_percent():
    rows, _, _ = random_rows(5, 60, 300, 0.3)
    left = torch.tensor(normal(0, 60, 130))
    right = torch.tensor(normal(1, 300, 130))
    exact = block_of(rows, "cpu")
    short = block_of(rows, "cpu16")
    for product in (lambda b: times_dense(b, right), lambda b: observed(b, left, right)):
        error = (product(short) - product(exact)).norm() / product(exact).norm()
        assert 1e-5 < error < 0.005


def test_the_backend_fits_the_block_or_is_the_named_one():
    full, _, _ = random_rows(0, 20, 20, 0.95)
    thin, _, _ = random_rows(0, 20, 20, 0.1)
    assert Block.of(full).backend.__name__.endswith(".dense")
    assert Block.of(thin).backend.__name__.endswith(".cpu")
    with use("csr"):
        assert Block.of(thin).backend.__name__.endswith(".csr")
    assert backend_for(torch.device("cuda"), 0.1) == "csr"
    with pytest.raises(SettingError, match=r"no kernels 'cup'.*Did you mean 'cpu'"), use("cup"):
        pass


def test_double_precision_is_kept():
    block = Block(np.array([0, 1]), np.array([0]), np.ones(1), n_columns=1)
    assert times_dense(block, torch.full((1, 2), 1 + 1e-12, dtype=torch.float64)).tolist() == [
        [1 + 1e-12] * 2
    ]


@pytest.mark.parametrize("backend", EXACT)
def test_a_lazy_block_gives_the_same_gradients_row_sparse(backend):
    rows, _, _ = random_rows(6, 5, 40, 0.1)
    left = torch.tensor(normal(0, 5, 20))

    def gradient(lazy: bool) -> torch.Tensor:
        block = block_of(rows, backend)
        block.lazy = lazy
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 800).reshape(40, 20))
        product = times_dense(block, weight).square().sum()
        cells = observed(block, left, weight).square().sum()
        (product + cells).backward()
        return weight.grad

    sparse = gradient(lazy=True)
    assert sparse.is_sparse
    assert sparse.coalesce().indices().shape[1] == len(np.unique(rows.column)) < 40
    torch.testing.assert_close(sparse.to_dense(), gradient(lazy=False), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("product", "shapes", "message"),
    [
        (cpu.times_dense, [(1,), (2, 20)], r"dense must be \(3, 20\).* found \(2, 20\)"),
        (cpu.times_dense, [(2,), (3, 20)], r"value must be \(1,\).* found \(2,\)"),
        (cpu.observed, [(2, 20), (3, 20)], r"left must be \(1, 20\).* found \(2, 20\)"),
        (cpu.observed, [(1, 20), (3, 19)], r"right must be \(3, 20\).* found \(3, 19\)"),
    ],
)
def test_operands_of_another_shape_are_refused(product, shapes, message):
    """The loops would read past their end."""
    rows = Block(np.array([0, 1]), np.array([2]), n_columns=3).rows
    with pytest.raises(ValueError, match=message):
        product(rows, *(torch.ones(shape) for shape in shapes))
