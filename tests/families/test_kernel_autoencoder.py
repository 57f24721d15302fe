"""Weights under a kernel, and the autoencoder that is made of them, against plain NumPy."""

import numpy as np
import pytest
import torch

from recollect.families.kernel_autoencoder import KernelAutoencoder, KernelLayer
from recollect.families.kernel_autoencoder.network import KernelProduct, kernel
from recollect.kernels import Block


def drawn(n=7, k=4, kernel_dim=3, std=0.5, **options):
    torch.manual_seed(0)
    return [
        torch.randn(n, k, **options),
        std * torch.randn(n, kernel_dim, **options),
        std * torch.randn(k, kernel_dim, **options),
    ]


def test_a_kernel_falls_with_the_squared_distance_and_ends_at_1():
    u, v = (
        torch.tensor([[0.0, 0.0], [0.6, 0.0], [2.0, 0.0]]),
        torch.tensor([[0.0, 0.0], [0.0, 0.8]]),
    )
    torch.testing.assert_close(kernel(u, v), torch.tensor([[1.0, 0.36], [0.64, 0.0], [0.0, 0.0]]))


@pytest.mark.parametrize("block", [2, 1024])
def test_weights_under_a_kernel_and_all_gradients_equal_the_plain_statement(monkeypatch, block):
    """In NumPy, the loss being c · (W ⊙ K) + 0.3 ‖K‖²; some weights are cut off."""
    monkeypatch.setattr("recollect.families.kernel_autoencoder.network.KERNEL_ROWS", block)
    layer = KernelLayer(7, 4, n_biases=4, kernel_dim=3, std=0.5)
    weight, squares = layer.effective_weight()
    c = torch.randn(7, 4)
    ((c * weight).sum() + 0.3 * squares).backward()

    W, u, v = (p.detach().double().numpy() for p in (layer.W, layer.u, layer.v))
    difference = u[:, None] - v
    K = np.maximum(0, 1 - (difference**2).sum(axis=2))
    grad_K = (c.numpy() * W + 0.6 * K) * (K > 0)
    assert 0 < (K == 0).sum() < K.size
    near = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(weight.detach(), W * K, **near)
    np.testing.assert_allclose(squares.detach(), (K**2).sum(), **near)
    np.testing.assert_allclose(layer.W.grad, c.numpy() * K, **near)
    np.testing.assert_allclose(
        layer.u.grad, (-2 * grad_K[:, :, None] * difference).sum(axis=1), **near
    )
    np.testing.assert_allclose(
        layer.v.grad, (2 * grad_K[:, :, None] * difference).sum(axis=0), **near
    )


def test_gradients_under_a_kernel_are_those_of_finite_differences():
    W, u, v = (x.requires_grad_() for x in drawn(dtype=torch.float64, std=0.3))
    assert torch.autograd.gradcheck(KernelProduct.apply, (W, u, v))


def test_some_rows_under_a_kernel_are_those_of_all():
    layer = KernelLayer(9, 4, n_biases=9, kernel_dim=2, std=0.5)
    rows = torch.tensor([7, 0, 3])
    torch.testing.assert_close(layer.effective_weight(rows)[0], layer.weight[rows])


def test_unit_vectors_start_close_to_each_other():
    layer = KernelLayer(50, 40, n_biases=40, kernel_dim=5, std=0.001)
    assert 0 < layer.u.abs().max() <= 0.002
    assert float(kernel(layer.u, layer.v).min().detach()) > 0.9999


def test_with_equal_unit_vectors_it_is_a_plain_autoencoder():
    """K = 1 everywhere: equations by hand, on a row with the ratings 2 and 4 of columns 0 and 2."""
    net = KernelAutoencoder(3, (1, 2), kernel_dim=2, std=0.1)
    with torch.no_grad():
        for layer in net.layers:
            layer.u.fill_(0.7)
            layer.v.fill_(0.7)
        net.input.W.copy_(torch.tensor([[0.5], [9.0], [-0.25]]))
        net.between[0].W.copy_(torch.tensor([[4.0], [-4.0]]))
        net.between[0].bias.copy_(torch.tensor([-2.0, 2.0]))
        net.output.W.copy_(torch.tensor([[2.0, 0.0], [4.0, 2.0], [0.0, 6.0]]))
        net.output.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    row = Block(np.array([0, 2]), np.array([0, 2]), np.array([2, 4], np.float32), n_columns=3)
    # 2 · 0.5 − 4 · 0.25 = 0, so the first code is 1/2; ±4 / 2 ∓ 2 = 0, so the second is 1/2, 1/2
    code = net.encode(row)
    expected = torch.tensor([[1.0, 4.0, 3.0]])
    torch.testing.assert_close(net.decode(code).detach(), expected)
    torch.testing.assert_close(net.decode(code, at=row).detach(), expected[0, [0, 2]])
    torch.testing.assert_close(
        net.decode(code, columns=torch.tensor([2, 1])).detach(), expected[:, [2, 1]]
    )
    weights, squares = net.effective_weights()
    assert float(squares.detach()) == pytest.approx(3 + 2 + 6)
    torch.testing.assert_close(
        net.decode(net.encode(row, weights), weights=weights), net.decode(code)
    )
