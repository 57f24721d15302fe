"""Losses and penalties, against autograd's own way and plain NumPy."""

import numpy as np
import pytest
import torch

from recollect.training.losses import (
    add_ridge,
    logistic_loss,
    multinomial_loss,
    squared_error,
    weighted_error,
)


def test_squared_error_is_a_sum_and_a_count():
    total, count = squared_error(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 0.0, 1.0]))
    assert (float(total), count) == (13.0, 3)


def test_a_ridge_adds_to_the_gradient():
    weight = torch.nn.Parameter(torch.tensor([[1.0, -2.0], [3.0, 0.5]]))
    weight.sum().backward()
    assert add_ridge(weight, 6.0) == 3 * 14.25
    assert torch.equal(weight.grad, 1 + 6 * weight.detach())


def test_a_ridge_on_a_row_sparse_gradient_counts_its_rows_by_their_share():
    weight, share = torch.nn.Parameter(torch.arange(12.0).reshape(4, 3)), torch.tensor([0.5, 2.0])
    weight.grad = torch.sparse_coo_tensor(
        [[1, 3]], torch.ones(2, 3), (4, 3), is_coalesced=True, check_invariants=True
    )
    assert add_ridge(weight, 6.0, share) == 3 * (0.5 * (9 + 16 + 25) + 2 * (81 + 100 + 121))
    expected = torch.zeros(4, 3)
    expected[[1, 3]] = 1 + 6 * share[:, None] * weight.detach()[[1, 3]]
    assert torch.equal(weight.grad.to_dense(), expected)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def weighted(out: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    """The value, and its gradient by hand: alpha = 3, absent = 0.5."""
    p = counts > 0
    weight = np.where(p, 1 + 3 * counts, 0.5)
    value = (weight * (p - out) ** 2).sum()
    return value, -2 * weight * (p - out)


def logistic(out: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    p = counts > 0
    weight = np.where(p, 1, 0.5)
    probability = np.where(p, sigmoid(out), 1 - sigmoid(out))
    value = -(weight * np.log(probability)).sum()
    return value, weight * (sigmoid(out) - p)


def multinomial(out: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    softmax = np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
    value = -(counts * np.log(softmax)).sum()
    return value, counts.sum(axis=1, keepdims=True) * softmax - counts


def loss_of_events(name: str, out: torch.Tensor, row, column, count):
    if name == "weighted":
        return weighted_error(out, row, column, count, alpha=3.0, absent=0.5)
    if name == "logistic":
        return logistic_loss(out, row, column, absent=0.5)
    return multinomial_loss(out, row, column, count)


@pytest.mark.parametrize("expected", [weighted, logistic, multinomial], ids=lambda f: f.__name__)
def test_a_loss_of_events_is_its_plain_statement_over_every_cell(expected):
    """The value and every output's gradient; one row has no event, one event counts 2.5."""
    random = np.random.default_rng(0)
    counts = np.array([[1, 0, 2.5, 0], [0, 0, 0, 0], [0, 1, 1, 3]])
    dense = random.normal(size=counts.shape) * 2
    out = torch.tensor(dense, requires_grad=True)
    row, column = (torch.as_tensor(place) for place in np.nonzero(counts))
    count = torch.as_tensor(counts[counts > 0])
    total, n = loss_of_events(expected.__name__, out, row, column, count)
    total.backward()
    value, gradient = expected(dense, counts)
    assert n == 5
    assert float(total.detach()) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(out.grad, gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["logistic", "multinomial"])
def test_outputs_far_from_0_give_finite_losses(name):
    """−log σ(−200) is 200, and so is the log of e²⁰⁰ + 1: in 32 bits e²⁰⁰ is not."""
    out = torch.tensor([[-200.0, 0.0], [200.0, 0.0]], requires_grad=True)
    first = torch.tensor([0])
    total, _ = loss_of_events(name, out, first, first, torch.ones(1))
    total.backward()
    assert torch.isfinite(out.grad).all()
    absent = 0.5 * (np.log(2) + 200 + np.log(2)) if name == "logistic" else 0.0
    assert float(total.detach()) == pytest.approx(200 + absent, rel=1e-6)


def test_the_error_is_in_32_bits_where_products_are_in_16():
    """Summed in bfloat16 it would be off in the third place; and each new number of cells would
    leave compiled code behind."""
    predicted, value = torch.full((1001,), 3.3), torch.full((1001,), 3.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, count = squared_error(predicted, value)
    assert total.dtype == torch.float32
    assert count == 1001
    assert abs(float(total) - 1001 * 0.09) < 1e-3
