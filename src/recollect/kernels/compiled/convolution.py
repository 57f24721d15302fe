"""The loops of `kernels.convolution`, compiled by Numba. Arrays only; no index is checked.

`word[start[d]:start[d + 1]]` is document d. Filter f of window h has the rows
`base[h] + offset * filters + f`, one for each offset of a word in the window. Beyond the end of a
document there is nothing, which adds 0.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange


@njit(
    parallel=True,
    cache=True,
    nogil=True,
    boundscheck=False,
)
@no_type_check
def forward(start, word, product, windows, base, filters, out, place):
    """out[d, h, f] = max_t Σ_offset product[word t + offset, row]; place[d, h, f]: that t.

    Args:
        start: the first word of each document, and the number of words.
        word: the row of each word in `product`.
        product: words × rows, the inner product of a word's vector and a row of the filters.
        windows: the number of words of each window.
        base: the first row of each window's filters.
        filters: number of filters of each window.
        out: documents × windows × filters, overwritten.
        place: of the same shape, overwritten.
    """
    for d in prange(len(start) - 1):
        first = start[d]
        n = start[d + 1] - start[d]
        # Within the loop: threads must not share it.
        value = np.empty(filters, np.float32)

        for h in range(len(windows)):
            # A document shorter than the window has one place, the first.
            for t in range(max(1, n - windows[h] + 1)):
                value[:] = 0

                # A phrase may end with the document, before the window does.
                for offset in range(min(windows[h], n - t)):
                    w = word[first + t + offset]
                    row = base[h] + offset * filters

                    for f in range(filters):
                        value[f] += product[w, row + f]

                # Of equal values the first place counts, so that the gradient has one.
                for f in range(filters):
                    if t == 0 or value[f] > out[d, h, f]:
                        out[d, h, f] = value[f]
                        place[d, h, f] = t


@njit(
    parallel=True,
    cache=True,
    nogil=True,
    boundscheck=False,
)
@no_type_check
def backward_to_filters(start, word, table, windows, base, filters, place, gradient, out):
    """out[row] = Σ_d gradient[d, h, f] · the vector of the word that the row met at its maximum.

    Args:
        start: as for `forward`, as all up to `filters` but the table.
        word: the row of each word in `table`.
        table: words × d, the words' vectors.
        windows: the number of words of each window.
        base: the first row of each window's filters.
        filters: number of filters of each window.
        place: as `forward` found it.
        gradient: of the objective by what `forward` put out.
        out: rows × d, overwritten.
    """
    # A thread owns whole rows, so that no two write to the same number.
    for row in prange(len(out)):
        # The window whose rows this one is among.
        h = 0

        while h + 1 < len(base) and row >= base[h + 1]:
            h += 1

        offset = (row - base[h]) // filters
        f = (row - base[h]) % filters
        out[row] = 0

        for d in range(len(start) - 1):
            token = start[d] + place[d, h, f] + offset
            # Beyond the document the row met nothing.
            if token < start[d + 1]:
                g = gradient[d, h, f]
                w = word[token]

                for c in range(table.shape[1]):
                    out[row, c] += g * table[w, c]


@njit(
    parallel=True,
    cache=True,
    nogil=True,
    boundscheck=False,
)
@no_type_check
def backward_to_words(start, word, weight, windows, base, filters, place, gradient, parts, out):
    """out[w] += Σ gradient[d, h, f] · row, over the rows of filters that met word w.

    Part p of the columns, `parts[p]` to `parts[p + 1]`, belongs to one thread: no two threads write
    to the same number, and every sum has one order.

    Args:
        start: as for `forward`, as all up to `filters` but the weight.
        word: the row of each word in `out`.
        weight: rows × d, the filters.
        windows: the number of words of each window.
        base: the first row of each window's filters.
        filters: number of filters of each window.
        place: as `forward` found it.
        gradient: of the objective by what `forward` put out.
        parts: the first column of each part, and the number of columns.
        out: words × d, zeros.
    """
    for p in prange(len(parts) - 1):
        for d in range(len(start) - 1):
            for h in range(len(windows)):
                for offset in range(windows[h]):
                    first_row = base[h] + offset * filters

                    for f in range(filters):
                        token = start[d] + place[d, h, f] + offset
                        g = gradient[d, h, f]
                        # ReLU leaves many gradients 0, and a row of columns is long.
                        if token < start[d + 1] and g != 0:
                            w = word[token]
                            row = first_row + f

                            for c in range(parts[p], parts[p + 1]):
                                out[w, c] += g * weight[row, c]
