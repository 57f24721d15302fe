"""The sparse products and their gradients, against dense NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recollect.data.ratings import Rows
from recollect.kernels import BACKENDS, Block, observed, times_dense


def random_rows(seed: int, n_rows: int, n_columns: int, share: float) -> tuple[Rows, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = random.random((n_rows, n_columns)) < share
    row, column = np.nonzero(mask)
    value = random.normal(size=len(row)).astype(np.float32)
    rows, _ = Rows.group(row, column, value, n_rows=n_rows, n_columns=n_columns)
    dense = np.zeros((n_rows, n_columns), np.float32)
    dense[row, column] = value
    return rows, mask, dense


def block_of(rows: Rows, backend: str) -> Block:
    return Block(rows.start, rows.column, rows.value, n_columns=rows.n_columns, backend=backend)


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@given(seed=st.integers(0, 99), n_rows=st.integers(1, 9), n_columns=st.integers(1, 9), k=st.integers(1, 5),
       share=st.sampled_from([0.0, 0.3, 1.0]))
def test_products_and_gradients_equal_dense(backend, seed, n_rows, n_columns, k, share):
    rows, mask, dense = random_rows(seed, n_rows, n_columns, share)
    block = block_of(rows, backend)
    random = np.random.default_rng(seed)
    left, right = (random.normal(size=(n, k)).astype(np.float32) for n in (n_rows, n_columns))
    V, H = torch.tensor(right, requires_grad=True), torch.tensor(left, requires_grad=True)

    product, cells = times_dense(block, V), observed(block, H, V)
    up = random.normal(size=(n_rows, k)).astype(np.float32), random.normal(size=len(rows.column)).astype(np.float32)
    (product * torch.tensor(up[0])).sum().backward(retain_graph=True)
    by_product = V.grad.numpy().copy()
    V.grad = None
    (cells * torch.tensor(up[1])).sum().backward()

    spread = np.zeros_like(dense)
    spread[mask] = up[1]
    near = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(product.detach().numpy(), dense @ right, **near)
    np.testing.assert_allclose(by_product, dense.T @ up[0], **near)
    np.testing.assert_allclose(cells.detach().numpy(), (left @ right.T)[mask], **near)
    np.testing.assert_allclose(H.grad.numpy(), spread @ right, **near)
    np.testing.assert_allclose(V.grad.numpy(), spread.T @ left, **near)


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_other_values_on_the_same_cells(backend):
    rows, mask, _ = random_rows(3, 5, 6, 0.4)
    other = np.arange(len(rows.column), dtype=np.float32)
    dense = np.zeros(mask.shape, np.float32)
    dense[mask] = other
    V = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    found = times_dense(block_of(rows, backend), torch.tensor(V), torch.tensor(other))
    np.testing.assert_allclose(found.numpy(), dense @ V, rtol=1e-5, atol=1e-5)


def test_a_listed_zero_is_a_cell():
    rows, _ = Rows.group(np.array([0, 0]), np.array([0, 2]), np.array([0.0, 2.0], np.float32), n_rows=1, n_columns=3)
    block = Block(rows.start, rows.column, rows.value, n_columns=3)
    assert observed(block, torch.ones(1, 1), torch.tensor([[7.0], [8.0], [9.0]])).tolist() == [7.0, 9.0]


def test_a_block_without_values_cannot_be_multiplied():
    block = Block(np.array([0, 1]), np.array([0]), n_columns=1)
    with pytest.raises(ValueError, match="no values"):
        times_dense(block, torch.ones(1, 1))
