"""What `Model.vectors` returns: rows whose cosines are similarities."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from recollect.data.ratings import Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SizeError
from recollect.model import Model

MOST_NUMBERS = 1 << 29  # in all rows, written out: 2 GB


def centered(
    model: Model, side: Side, vectors: Float32[np.ndarray, "rows k"]
) -> Float32[np.ndarray, "rows k"]:
    """The vectors of users or items less the mean over those that the model knows.

    Factors share a large common part, which is no similarity: without it, cosines would all be near
    1.

    Args:
        model: a fitted model.
        side: whose vectors they are.
        vectors: a row per user or item.
    """
    if side == "item":
        is_known = model.known_items()
    else:
        n_ratings = model.given_.count("user")
        is_known = n_ratings > 0

    # The vectors of the others were never trained, and would move the mean.
    mean = vectors[is_known].mean(axis=0)

    return vectors - mean


def written_out(rows: Rows, side: Side, given: str) -> Float32[np.ndarray, "rows columns"]:
    """Sparse rows with their zeros, as vectors of users or items.

    Args:
        rows: a row per user or item.
        side: whose rows they are.
        given: what is in them, "events" or "ratings".

    Raises:
        SizeError: if they would take more than 2 GB.
    """
    if len(rows) * rows.n_columns > MOST_NUMBERS:
        raise SizeError(
            f"The vectors of {side}s are their rows of {given}, {len(rows):,} × {rows.n_columns:,} "
            "numbers here, more than 2 GB; ask for similarity of a model with factors, such as pmf."
        )

    dense = np.zeros((len(rows), rows.n_columns), np.float32)
    dense[rows.row, rows.column] = rows.value

    return dense
