"""Losses, against autograd's own way."""

import torch

from recollect.training.losses import square, squared_error


def test_squared_error_is_a_sum_and_a_count():
    total, count = squared_error(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 0.0, 1.0]))
    assert (float(total), count) == (13.0, 3)


def test_square_and_its_gradient():
    weight = torch.tensor([[1.0, -2.0], [3.0, 0.5]], requires_grad=True)
    (3 * square(weight)).backward()
    assert float(square(weight).detach()) == 14.25
    assert torch.equal(weight.grad, 6 * weight.detach())
