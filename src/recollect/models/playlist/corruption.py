"""Hide-and-seek: what the network sees of a list in training, while it must give the whole list.

Whole kinds are hidden at random, as questions lack them, and of the others single items.

Source: Yang, Jeong, Choi, Lee. "MMCF: Multimodal Collaborative Filtering for Automatic Playlist
Continuation." RecSys Challenge 2018 (hide-and-seek).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from recollect.data.sparse_rows import Rows


def seen_cells(
    rows: Rows,
    kind_of_item: Int[np.ndarray, " n_items"],
    *,
    hide: float,
    drop: float,
    whole: int | None,
    random: np.random.Generator,
) -> Bool[np.ndarray, " cells"]:
    """The cells of lists that are seen: of each list at least one of its kinds is not hidden.

    Args:
        rows: lists of items.
        kind_of_item: the number of each item's kind.
        hide: the probability that a kind of a list is hidden; if all would be, one stays.
        drop: the probability that an item of a kind that is not hidden is not seen.
        whole: the kind whose items are seen together or not at all: words of titles; None: none.
        random: the generator.
    """
    kind = kind_of_item[rows.column]
    n_kinds = int(kind_of_item.max()) + 1
    present = np.zeros((len(rows), n_kinds), bool)
    present[rows.row, kind] = True
    # A number below 1 for each kind; the largest one of a list's own kinds is never hidden.
    drawn = np.where(present, random.random(present.shape), -1.0)
    hidden = drawn < hide
    hidden[np.arange(len(rows)), drawn.argmax(axis=1)] = False
    is_dropped = random.random(rows.n_cells) < drop
    if whole is not None:
        is_dropped &= kind != whole

    return ~hidden[rows.row, kind] & ~is_dropped


def only_cells(rows: Rows, keep: Bool[np.ndarray, " cells"]) -> Rows:
    """The rows with some of their cells.

    Args:
        rows: sparse rows.
        keep: which cells.
    """
    before = np.concatenate([[0], np.cumsum(keep)])
    start = before[rows.start].astype(np.int64)

    return Rows(start, rows.column[keep], rows.value[keep], rows.n_columns)
