"""Convolution with max pooling: by hand, and beside its plain NumPy statement and torch's own."""

import numpy as np
import pytest
import torch

from recollect.kernels.convolution import convolution_by_torch, max_pooled_convolution
from recollect.kernels.reference.convolution import max_pooled_convolution as plain

LENGTHS = [1, 2, 3, 4, 5, 9, 40]
D = 6
FILTERS = 7


@pytest.fixture
def documents():
    word = np.random.default_rng(0).integers(0, 20, sum(LENGTHS)).astype(np.int32)
    return np.concatenate([[0], np.cumsum(LENGTHS)]), word


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_two_words_by_hand():
    """The filter is 1 · first + 10 · second word: "b a" = 2 + 10 is below "a b" = 1 + 20."""
    table = torch.tensor([[1.0], [2.0]])
    weight = torch.tensor([[1.0], [10.0]])
    start = np.array([0, 2, 4, 5])
    word = np.array([0, 1, 1, 0, 1], np.int32)
    pooled = max_pooled_convolution(start, word, table, weight, [2])
    np.testing.assert_allclose(pooled[:, 0, 0], [21, 12, 2])


def test_the_largest_value_of_all_places_counts():
    table = torch.tensor([[-1.0], [3.0], [2.0]])
    start = np.array([0, 3, 4])
    word = np.array([0, 1, 2, 0], np.int32)
    pooled = max_pooled_convolution(start, word, table, torch.ones(1, 1), [1])
    np.testing.assert_allclose(pooled[:, 0, 0], [3, -1])


@pytest.mark.parametrize("windows", [(1,), (3,), (3, 4, 5)])
@pytest.mark.parametrize("operation", [max_pooled_convolution, convolution_by_torch])
def test_values_are_those_of_the_plain_statement(documents, windows, operation):
    table = drawn(25, D)
    weight = drawn(FILTERS * sum(windows), D, seed=1)
    pooled = operation(*documents, table, weight, windows)
    expected = plain(*documents, table.double().numpy(), weight.double().numpy(), windows)
    np.testing.assert_allclose(pooled, expected, atol=1e-5)


@pytest.mark.parametrize("windows", [(1,), (3,), (3, 4, 5)])
def test_gradients_are_those_of_torchs_convolution(documents, windows):
    upstream = drawn(len(LENGTHS), len(windows), FILTERS, seed=2)
    gradients = []
    for operation in (max_pooled_convolution, convolution_by_torch):
        table = drawn(25, D).requires_grad_()
        weight = drawn(FILTERS * sum(windows), D, seed=1).requires_grad_()
        (operation(*documents, table, weight, windows) * upstream).sum().backward()
        gradients.append((table.grad, weight.grad))
    for compiled, by_torch in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, by_torch, atol=1e-4, rtol=1e-4)


def test_padding_longer_than_a_window_changes_nothing():
    """Padding words before a document are part of its phrases, but only the last of them matter."""
    table = drawn(5, 3)
    weight = drawn(4 * 3, 3, seed=1)
    pooled = []
    for n in (3, 50):
        start = np.array([0, n + 2])
        word = np.array([4] * n + [1, 2], np.int32)
        pooled.append(max_pooled_convolution(start, word, table, weight, [3]))
    torch.testing.assert_close(*pooled)


def test_a_document_without_words_has_zeros():
    start = np.array([0, 0])
    word = np.empty(0, np.int32)
    assert not max_pooled_convolution(start, word, torch.ones(2, 3), torch.ones(8, 3), [2]).any()


def test_threads_change_nothing_to_the_bit(documents):
    n_threads = torch.get_num_threads()
    gradients = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            table = torch.ones(20, 33, requires_grad=True)
            weight = torch.linspace(-1, 1, 5 * 3 * 33).view(15, 33).requires_grad_()
            max_pooled_convolution(*documents, table, weight, [3]).square().sum().backward()
            gradients.append(torch.cat([table.grad.ravel(), weight.grad.ravel()]))
    finally:
        torch.set_num_threads(n_threads)
    assert torch.equal(*gradients)


def test_shapes_that_do_not_fit_are_refused():
    start = np.array([0, 1])
    word = np.array([0], np.int32)
    with pytest.raises(ValueError, match=r"weight must be \(filters · 2, 3\), found \(7, 3\)"):
        max_pooled_convolution(start, word, torch.ones(2, 3), torch.ones(7, 3), [2])
