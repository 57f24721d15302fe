"""The strongest answers of filters: compiled beside torch's own convolution, and a case by hand."""

import numpy as np
import pytest
import torch

from recollect.kernels.convolution import _plainly, strongest

LENGTHS = [1, 2, 3, 4, 5, 9, 40]


def documents(lengths, n_words, seed=0):
    word = np.random.default_rng(seed).integers(0, n_words, sum(lengths)).astype(np.int32)
    return np.concatenate([[0], np.cumsum(lengths)]), word


def test_two_words_by_hand():
    """The filter (1, 10) answers 1 · first + 10 · second word: 'b a' = 2 + 10 is less than 'a b' = 1 + 20."""
    table, weight = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [10.0]])
    start, word = np.array([0, 2, 4, 5]), np.array([0, 1, 1, 0, 1], np.int32)
    np.testing.assert_allclose(strongest(start, word, table, weight, [2])[:, 0, 0], [21, 12, 2])


def test_the_largest_of_all_places_counts():
    table, weight = torch.tensor([[-1.0], [3.0], [2.0]]), torch.tensor([[1.0]])
    start, word = np.array([0, 3, 4]), np.array([0, 1, 2, 0], np.int32)
    np.testing.assert_allclose(strongest(start, word, table, weight, [1])[:, 0, 0], [3, -1])


@pytest.mark.parametrize("windows", [(1,), (3,), (3, 4, 5)])
def test_answers_and_gradients_are_those_of_a_convolution(windows):
    start, word = documents(LENGTHS, 20)
    random = torch.Generator().manual_seed(0)
    table, weight = (
        torch.randn(25, 6, generator=random),
        torch.randn(7 * sum(windows), 6, generator=random),
    )
    pull, found = torch.randn(len(LENGTHS), len(windows), 7, generator=random), []
    for answer in (strongest, lambda *rest: _plainly(*rest, 7)):
        t, w = table.clone().requires_grad_(), weight.clone().requires_grad_()
        out = answer(start, word, t, w, windows)
        (out * pull).sum().backward()
        found.append((out.detach(), t.grad, w.grad))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)


def test_padding_before_a_document_adds_its_phrases():
    """What lies before short documents is part of the phrases, however far it goes: more of it than a window changes nothing."""
    table, weight = (
        torch.randn(5, 3, generator=torch.Generator().manual_seed(1)),
        torch.randn(4 * 3, 3),
    )
    few, many = (
        strongest(np.array([0, n + 2]), np.array([4] * n + [1, 2], np.int32), table, weight, [3])
        for n in (3, 50)
    )
    torch.testing.assert_close(few, many)


def test_a_document_without_words_answers_0():
    assert not strongest(
        np.array([0, 0]), np.empty(0, np.int32), torch.ones(2, 3), torch.ones(8, 3), [2]
    ).any()


def test_threads_change_nothing_to_the_bit():
    start, word = documents(LENGTHS, 20)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            t, w = (
                torch.ones(20, 33, requires_grad=True),
                torch.linspace(-1, 1, 5 * 3 * 33).view(15, 33).requires_grad_(),
            )
            strongest(start, word, t, w, [3]).square().sum().backward()
            found.append(torch.cat([t.grad.ravel(), w.grad.ravel()]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="weight must be"):
        strongest(
            np.array([0, 1]), np.array([0], np.int32), torch.ones(2, 3), torch.ones(7, 3), [2]
        )
