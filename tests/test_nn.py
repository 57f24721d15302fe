"""Layers that more than one model uses."""

import torch

from recollect.nn import Dropout, ObservedOutput, ScaledActivation


def test_dropout_takes_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.full((200, 500), 3.0)
    out = Dropout(0.8).train()(x)
    kept = out[out != 0]
    assert abs(len(kept) / x.numel() - 0.2) < 0.005
    torch.testing.assert_close(kept, torch.full_like(kept, 15.0))


def test_dropout_is_drawn_from_torchs_generator_and_its_gradient_is_the_mask():
    x = torch.ones(40, 30, requires_grad=True)
    layer = Dropout(0.5).train()
    torch.manual_seed(7)
    first, second = layer(x), layer(x)
    torch.manual_seed(7)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)
    first.sum().backward()
    assert torch.equal(x.grad, first.detach())


def test_dropout_leaves_numbers_alone_outside_of_training():
    x = torch.randn(5, 5)
    assert torch.equal(Dropout(0.9).eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)


def test_a_bounded_activation_covers_the_scale_and_an_unbounded_one_is_left_alone():
    x = torch.tensor([-50.0, 0.0, 50.0])
    torch.testing.assert_close(ScaledActivation("tanh", (1.0, 5.0))(x), torch.tensor([1.0, 3, 5]))
    torch.testing.assert_close(ScaledActivation("identity", (1.0, 5.0))(x), x)


def test_the_sum_of_squares_of_an_output_needs_no_number_per_cell():
    torch.manual_seed(0)
    layer = ObservedOutput(3, 6, std=0.5)
    code = torch.randn(4, 3)
    torch.testing.assert_close(layer.sum_of_squares(code), layer(code).square().sum())


def test_some_columns_of_an_output_are_those_of_all():
    torch.manual_seed(0)
    layer = ObservedOutput(3, 6, std=0.5)
    code = torch.randn(4, 3)
    columns = torch.tensor([5, 0])
    torch.testing.assert_close(layer.at_columns(code, columns), layer(code)[:, columns])
