"""A few rows that a row model encodes at once, and the cells of them that it predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from recollect.kernels import Block


@dataclass(frozen=True)
class PredictionBatch:
    """A few rows to encode, and the cells of them to predict."""

    block: Block  # the rows as the network sees them
    cells: Block  # the cells to predict; its values are not used
    row_mean: Float32[np.ndarray, " cells"] | None  # added to the network's output; None: nothing
    position: Int64[np.ndarray, " cells"]  # of each cell in the answer
