"""Convolution over the words of documents with max pooling over places, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int


def max_pooled_convolution(
    start: Int[np.ndarray, " documents_and_one"],
    word: Int[np.ndarray, " tokens"],
    table: Float[np.ndarray, "n_words d"],
    weight: Float[np.ndarray, "rows d"],
    windows: Sequence[int],
) -> Float[np.ndarray, "documents windows filters"]:
    """The largest value that each filter has on any phrase of each document.

        c_f(t) = Σ_o W_f[o] · x_{t+o},  o = 0 … h − 1;      out_f = max_t c_f(t)

    A filter f of window h has h vectors W_f[o], and x_t is the vector of a document's word t. A
    document of fewer than h words is one phrase, which ends with the document.

    Args:
        start: where each document begins in `word`, and the end of the last.
        word: rows of `table`, one document after another.
        table: a vector for each word.
        weight: for each window of h words, h · filters rows: the vectors W_f[0] of all filters,
            then the vectors W_f[1], …
        windows: how many words the filters of each kind see.
    """
    filters = len(weight) // sum(windows)
    n_documents = len(start) - 1
    out = np.zeros((n_documents, len(windows), filters), table.dtype)
    first_row = 0

    for kind, h in enumerate(windows):
        last_row = first_row + h * filters
        W = weight[first_row:last_row].reshape(h, filters, -1)
        first_row = last_row

        for document in range(n_documents):
            words = word[start[document] : start[document + 1]]
            x = table[words]
            values = []

            # A document shorter than the window has one place, at which the window is cut.
            for t in range(max(1, len(x) - h + 1)):
                phrase = x[t : t + h]
                c = np.einsum("ofd,od->f", W[: len(phrase)], phrase)
                values.append(c)

            out[document, kind] = np.max(values, axis=0)

    return out
