"""The strongest answer of each filter to any phrase of a document: a convolution over words, and its maximum over the places.

A filter of h words is h vectors; its answer to a phrase is the sum of their products with the phrase's word vectors. As it is
linear, a word's part in it does not depend on its neighbors: each word of a batch is multiplied once with all vectors, however
often it stands there, and places only add. And as only the largest answer counts, the gradient meets one phrase per document
and filter. So a step costs one dense product instead of the three, on every place, of a convolution with autograd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recollect.kernels.backends import cpu
from recollect.kernels.compiled import convolution


def strongest(
    start: np.ndarray,
    word: np.ndarray,
    table: Float[Tensor, "n_words d"],
    weight: Float[Tensor, "rows d"],
    windows: Sequence[int],
) -> Float[Tensor, "documents windows filters"]:
    """The largest answer of every filter to a phrase of each document.

    Document j is `word[start[j]:start[j + 1]]`, numbers of rows of `table`; one shorter than a window is a phrase by itself.
    `weight` has, for each window of h words, h · filters rows: all filters' vectors for the first word, then for the second, …
    A document without words answers 0.

    Raises: ValueError if the shapes do not fit.
    """
    filters, rest = divmod(len(weight), sum(windows))
    if rest or weight.shape[1] != table.shape[1]:
        raise ValueError(
            f"weight must be (filters · {sum(windows)}, {table.shape[1]}), found {tuple(weight.shape)}."
        )
    if table.device.type == "cpu" and table.dtype == torch.float32:
        found: Tensor = _Strongest.apply(table, weight, start, word, tuple(windows), filters)
        return found
    return _plainly(start, word, table, weight, windows, filters)


class _Strongest(torch.autograd.Function):
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
        here, number = np.unique(word, return_inverse=True)
        vectors = table.detach()[torch.from_numpy(here.astype(np.int64))]
        parts = (vectors @ weight.detach().t()).float()
        out = np.zeros((len(start) - 1, len(windows), filters), np.float32)
        ctx.where = start, number, windows, filters, np.zeros(out.shape, np.int32)
        _run(
            convolution.largest,
            start,
            number,
            parts.numpy(),
            *_layout(windows, filters),
            out,
            ctx.where[4],
        )
        ctx.here, ctx.n_words = here, len(table)
        ctx.save_for_backward(vectors, weight)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        start, number, windows, filters, place = ctx.where
        vectors, weight = ctx.saved_tensors
        gradient, to_weight = grads[0].float().contiguous().numpy(), torch.empty_like(weight)
        layout, to_table = _layout(windows, filters), np.zeros(vectors.shape, np.float32)
        _run(
            convolution.to_filters,
            start,
            number,
            vectors.numpy(),
            *layout,
            place,
            gradient,
            to_weight.numpy(),
        )
        parts = np.linspace(0, vectors.shape[1], torch.get_num_threads() + 1).astype(np.int64)
        _run(
            convolution.to_words,
            start,
            number,
            weight.detach().numpy(),
            *layout,
            place,
            gradient,
            parts,
            to_table,
        )
        whole = torch.zeros(ctx.n_words, vectors.shape[1])
        whole[torch.from_numpy(ctx.here.astype(np.int64))] = torch.from_numpy(to_table)
        return whole, to_weight, None, None, None, None


def _layout(windows: tuple[int, ...], filters: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The windows, where the rows of each begin, and the filters."""
    base = filters * np.concatenate([[0], np.cumsum(windows)[:-1]])
    return np.array(windows, np.int64), base.astype(np.int64), filters


def _run(loop: Any, *arguments: Any) -> None:
    with cpu.one_at_a_time:
        numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
        loop(*arguments)


def _plainly(
    start: np.ndarray,
    word: np.ndarray,
    table: Tensor,
    weight: Tensor,
    windows: Sequence[int],
    filters: int,
) -> Tensor:
    """The same by torch's own convolution, on any device and in any precision; the definition."""
    length = torch.as_tensor(np.diff(start), device=table.device)
    longest = max(int(length.max()) if len(length) else 0, max(windows))
    place = torch.arange(longest, device=table.device)
    there = place < length[:, None]
    numbers = torch.as_tensor(word, device=table.device).long()
    vectors = table.new_zeros(len(length), longest, table.shape[1])
    vectors = vectors.masked_scatter(there[:, :, None], table[numbers])
    found, row = [], 0
    for h in windows:
        kernel = weight[row : row + h * filters].view(h, filters, -1).permute(1, 2, 0)
        answers = torch.nn.functional.conv1d(vectors.transpose(1, 2), kernel)
        last = (length - h).clamp(min=0)  # the first word of the last phrase
        beyond = torch.arange(answers.shape[2], device=table.device) > last[:, None]
        found.append(answers.masked_fill(beyond[:, None, :], -torch.inf).amax(dim=2))
        row += h * filters
    return torch.stack(found, dim=1)
