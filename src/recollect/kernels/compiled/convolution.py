"""The loops of `phrases`, compiled by Numba. Arrays only; no index is checked.

`found[w, r]` is word w's part in row r of the filters: rows `base[h] + o * filters + f`, o being the word's place in a window of
`windows[h]` words. A document is `word[start[d]:start[d + 1]]`; beyond its end there is nothing, which adds 0.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange


@njit(parallel=True, cache=True, nogil=True, boundscheck=False)
@no_type_check
def largest(start, word, found, windows, base, filters, out, place):
    """out[d, h, f]: the largest sum over document d's windows; place: the window's first word, counted from the document's."""
    for d in prange(len(start) - 1):
        first, n = start[d], start[d + 1] - start[d]
        here = np.empty(filters, np.float32)
        for h in range(len(windows)):
            for t in range(max(1, n - windows[h] + 1)):
                here[:] = 0
                for o in range(min(windows[h], n - t)):
                    w, at = word[first + t + o], base[h] + o * filters
                    for f in range(filters):
                        here[f] += found[w, at + f]
                for f in range(filters):
                    if t == 0 or here[f] > out[d, h, f]:
                        out[d, h, f] = here[f]
                        place[d, h, f] = t


@njit(parallel=True, cache=True, nogil=True, boundscheck=False)
@no_type_check
def to_filters(start, word, table, windows, base, filters, place, gradient, out):
    """out[row of a filter] = Σ over documents of its gradient · the vector of the word that it met."""
    for r in prange(len(out)):
        h = 0
        while h + 1 < len(base) and r >= base[h + 1]:
            h += 1
        o, f = (r - base[h]) // filters, (r - base[h]) % filters
        out[r] = 0
        for d in range(len(start) - 1):
            at = start[d] + place[d, h, f] + o
            if at < start[d + 1]:
                g, w = gradient[d, h, f], word[at]
                for c in range(table.shape[1]):
                    out[r, c] += g * table[w, c]


@njit(parallel=True, cache=True, nogil=True, boundscheck=False)
@no_type_check
def to_words(start, word, weight, windows, base, filters, place, gradient, parts, out):
    """out[word] += Σ of the gradients of the filters that met it · their rows; each thread has columns of its own."""
    for p in prange(len(parts) - 1):
        for d in range(len(start) - 1):
            for h in range(len(windows)):
                for o in range(windows[h]):
                    for f in range(filters):
                        at = start[d] + place[d, h, f] + o
                        if at < start[d + 1] and gradient[d, h, f] != 0:
                            g, w, r = gradient[d, h, f], word[at], base[h] + o * filters + f
                            for c in range(parts[p], parts[p + 1]):
                                out[w, c] += g * weight[r, c]
