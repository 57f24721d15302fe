"""Losses and penalties, against autograd's own way."""

import torch

from recollect.training.losses import add_ridge, squared_error


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
    weight.grad = torch.sparse_coo_tensor([[1, 3]], torch.ones(2, 3), (4, 3), is_coalesced=True, check_invariants=True)
    assert add_ridge(weight, 6.0, share) == 3 * (0.5 * (9 + 16 + 25) + 2 * (81 + 100 + 121))
    expected = torch.zeros(4, 3)
    expected[[1, 3]] = 1 + 6 * share[:, None] * weight.detach()[[1, 3]]
    assert torch.equal(weight.grad.to_dense(), expected)
