"""Convolution over the words of documents with max pooling over places, and its gradient.

`kernels.reference.convolution` states the operation in plain NumPy. Two properties make it cheap:

- The convolution is linear, so a word's inner product with a row of the filters does not depend on
  its neighbors: each distinct word of a batch is multiplied with all rows once; places only add.
- Only the maximum counts, so the gradient of a filter meets one phrase of each document.

A step costs one dense product, instead of the three, on every place, of autograd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recollect.kernels.compiled import convolution
from recollect.kernels.compiled.threads import one_at_a_time


def max_pooled_convolution(
    start: np.ndarray,
    word: np.ndarray,
    table: Float[Tensor, "n_words d"],
    weight: Float[Tensor, "rows d"],
    windows: Sequence[int],
) -> Float[Tensor, "documents windows filters"]:
    """The largest value that each filter has on any phrase of each document; 0 without words.

    Args:
        start: where each document begins in `word`, and the end of the last.
        word: rows of `table`, one document after another.
        table: a vector for each word.
        weight: for each window of h words, h · filters rows: the vectors of all filters for the
            first word of a phrase, then those for the second, …
        windows: how many words the filters of each kind see. A document of fewer words is a phrase.

    Raises:
        ValueError: if the shapes do not fit.
    """
    # Windows of h words have h rows per filter: a row too many would go unused in silence.
    filters, excess = divmod(len(weight), sum(windows))
    if excess or weight.shape[1] != table.shape[1]:
        expected = f"(filters · {sum(windows)}, {table.shape[1]})"
        raise ValueError(f"weight must be {expected}, found {tuple(weight.shape)}.")

    if table.device.type != "cpu" or table.dtype != torch.float32:
        return convolution_by_torch(start, word, table, weight, windows)

    pooled: Tensor = _MaxPooledConvolution.apply(
        table, weight, start, word, tuple(windows), filters
    )

    return pooled


class _MaxPooledConvolution(torch.autograd.Function):
    """The operation by compiled loops, in 32 bits on the CPU."""

    @staticmethod
    def forward(
        ctx: Any,
        table: Tensor,
        weight: Tensor,
        start: np.ndarray,
        word: np.ndarray,
        windows: tuple[int, ...],
        filters: int,
    ) -> Tensor:
        # Frequent words stand in a batch many times, and are multiplied once.
        distinct, index = np.unique(word, return_inverse=True)
        rows = torch.from_numpy(distinct.astype(np.int64))
        vectors = table.detach()[rows]
        product = (vectors @ weight.detach().t()).float().numpy()
        layout = _layout(windows, filters)
        out = np.zeros((len(start) - 1, len(windows), filters), np.float32)
        place = np.zeros(out.shape, np.int32)

        with one_at_a_time():
            convolution.forward(start, index, product, *layout, out, place)

        # `backward` needs the place of each maximum, not the values at the others.
        ctx.documents = (start, index)
        ctx.layout = layout
        ctx.place = place
        ctx.rows = rows
        ctx.n_words = len(table)
        ctx.save_for_backward(vectors, weight)

        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        vectors, weight = ctx.saved_tensors
        n_columns = vectors.shape[1]
        gradient = grads[0].float().contiguous().numpy()
        weight_gradient = torch.empty_like(weight)
        vector_gradient = np.zeros(vectors.shape, np.float32)
        # Each thread has columns of its own, so that sums do not depend on the number of threads.
        parts = np.linspace(0, n_columns, torch.get_num_threads() + 1).astype(np.int64)
        documents = ctx.documents
        layout = ctx.layout
        place = ctx.place

        with one_at_a_time():
            convolution.backward_to_filters(
                *documents, vectors.numpy(), *layout, place, gradient, weight_gradient.numpy()
            )

            convolution.backward_to_words(
                *documents,
                weight.detach().numpy(),
                *layout,
                place,
                gradient,
                parts,
                vector_gradient,
            )

        table_gradient = torch.zeros(ctx.n_words, n_columns)
        table_gradient[ctx.rows] = torch.from_numpy(vector_gradient)

        return table_gradient, weight_gradient, None, None, None, None


def _layout(windows: tuple[int, ...], filters: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The windows, the first row of the filters of each, and the number of filters per window."""
    widths = np.array(windows, np.int64)
    words_before = np.cumsum(widths) - widths
    # A window of h words has a row for each filter and each of its words.
    return widths, filters * words_before, filters


def convolution_by_torch(
    start: np.ndarray,
    word: np.ndarray,
    table: Float[Tensor, "n_words d"],
    weight: Float[Tensor, "rows d"],
    windows: Sequence[int],
) -> Float[Tensor, "documents windows filters"]:
    """The same by torch's own convolution, on any device and in any precision.

    Args:
        start: as in `max_pooled_convolution`.
        word: as there.
        table: as there.
        weight: as there.
        windows: as there.
    """
    filters = len(weight) // sum(windows)
    length = torch.as_tensor(np.diff(start), device=table.device)
    vectors = _padded_vectors(length, word, table, at_least=max(windows))
    pooled: list[Tensor] = []
    first_row = 0

    for h in windows:
        last_row = first_row + h * filters
        rows = weight[first_row:last_row]
        first_row = last_row
        # torch has filters × channels × places; the channels are the numbers of a word's vector.
        kernel = rows.view(h, filters, -1).permute(1, 2, 0)
        values = torch.nn.functional.conv1d(vectors.transpose(1, 2), kernel)
        # Phrases that reach into the padding do not count, except the one of a short document.
        last_place = (length - h).clamp(min=0)
        place = torch.arange(values.shape[2], device=table.device)
        is_beyond = place > last_place[:, None]
        # values: documents × filters × places.
        values = values.masked_fill(is_beyond[:, None, :], -torch.inf)
        pooled.append(values.amax(dim=2))

    return torch.stack(pooled, dim=1)


def _padded_vectors(
    length: Tensor, word: np.ndarray, table: Tensor, *, at_least: int
) -> Float[Tensor, "documents places d"]:
    """The vectors of each document's words, followed by zeros."""
    longest = int(length.max()) if len(length) else 0
    # A document shorter than the widest window still has one place of every window.
    n_places = max(longest, at_least)
    place = torch.arange(n_places, device=table.device)
    is_word = place < length[:, None]
    vectors = table.new_zeros(len(length), n_places, table.shape[1])
    rows = torch.as_tensor(word, device=table.device).long()
    word_vectors = table[rows]

    # The words of all documents stand one after another, in the order of the mask's cells.
    return vectors.masked_scatter(is_word[:, :, None], word_vectors)
