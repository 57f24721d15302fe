"""Losses, against autograd's own way."""

import torch

from recollect.training.losses import square, square_of_rows, squared_error


def test_squared_error_is_a_sum_and_a_count():
    total, count = squared_error(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 0.0, 1.0]))
    assert (float(total), count) == (13.0, 3)


def test_square_and_its_gradient():
    weight = torch.tensor([[1.0, -2.0], [3.0, 0.5]], requires_grad=True)
    (3 * square(weight)).backward()
    assert float(square(weight).detach()) == 14.25
    assert torch.equal(weight.grad, 6 * weight.detach())


def test_the_square_of_some_rows_has_a_row_sparse_gradient():
    weight, row, share = torch.nn.Parameter(torch.arange(12.0).reshape(4, 3)), torch.tensor([1, 3]), torch.tensor([0.5, 2.0])
    total = square_of_rows(weight, row, share)
    assert total.item() == 0.5 * (9 + 16 + 25) + 2 * (81 + 100 + 121)
    (3 * total).backward()
    expected = torch.zeros(4, 3)
    expected[row] = 6 * share[:, None] * weight.detach()[row]
    assert torch.equal(weight.grad.to_dense(), expected)
