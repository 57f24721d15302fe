"""Layers that more than one model uses."""

import torch

from recollect.nn import Dropout


def test_dropout_takes_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.full((200, 500), 3.0)
    out = Dropout(0.8).train()(x)
    kept = out[out != 0]
    assert abs(len(kept) / x.numel() - 0.2) < 0.005
    torch.testing.assert_close(kept, torch.full_like(kept, 15.0))


def test_dropout_is_drawn_from_torchs_generator_and_its_gradient_is_the_mask():
    x, layer, found = torch.ones(40, 30, requires_grad=True), Dropout(0.5).train(), []
    for _ in range(2):
        torch.manual_seed(7)
        found.append((layer(x), layer(x)))
    assert torch.equal(found[0][0], found[1][0])
    assert not torch.equal(found[0][0], found[0][1])
    found[0][0].sum().backward()
    assert torch.equal(x.grad, found[0][0].detach())


def test_dropout_leaves_numbers_alone_outside_of_training():
    x = torch.randn(5, 5)
    assert torch.equal(Dropout(0.9).eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)
