"""The pattern of sparse rows: which cells exist, without their values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor


@dataclass(eq=False)
class Pattern:
    """Row j has the cells start[j] … start[j + 1]; the columns of a row ascend. 32-bit numbers."""

    start: Tensor  # rows + 1
    column: Tensor  # cells
    n_columns: int
    plan: Any = field(default=None, repr=False)  # what a backend computes once and keeps here

    def __len__(self) -> int:
        return len(self.column)

    @property
    def n_rows(self) -> int:
        """Rows, with or without cells."""
        return len(self.start) - 1

    def row_of_cells(self) -> Int64[Tensor, " cells"]:
        """The row of each cell."""
        numbers = torch.arange(self.n_rows, device=self.start.device)
        return numbers.repeat_interleave(self.start.diff())
