"""Blocks of sparse rows on a device, and which backend multiplies them.

A backend is a module of `kernels.backends` with the functions `times_dense` and `observed` on a `Pattern` and plain tensors:

    reference   NumPy, the definition
    cpu         compiled loops                                     every block on a CPU, unless
    dense       a block of rows at a time, filled in               three quarters of its cells are there
    csr         torch's own sparse products                        every block on a GPU
    cpu16       as cpu, the gathered operand in 16 bits            by request
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from recollect.data.sparse_rows import Rows
from recollect.errors import unknown
from recollect.kernels.pattern import Pattern

BACKENDS = ("reference", "cpu", "dense", "csr", "cpu16")
DENSE_FROM = 0.75  # share of a block's cells; measured on two cores: docs/log.md

_chosen: ContextVar[str | None] = ContextVar("kernels", default=None)


def backend_for(device: torch.device, density: float) -> str:
    """The name of the backend that is fastest for a block on this device, with this share of its cells there."""
    if device.type != "cpu":
        return "csr"
    return "dense" if density >= DENSE_FROM else "cpu"


def multiplies_16_bits(device: torch.device) -> bool:
    """Whether the device has units that multiply bfloat16 matrices faster than 32-bit ones."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    has: dict[str, Any] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # PyTorch before 2.9 does not say
    return device.type == "cpu" and bool(has.get("amx_bf16") or has.get("avx512_bf16"))


@contextmanager
def use(name: str | None) -> Iterator[None]:
    """Blocks made in here take this backend; None: the one that fits each.

    Raises: SettingError if there is none of that name.
    """
    if name is not None and name not in BACKENDS:
        raise unknown("kernels", name, BACKENDS)
    before = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(before)


class Block:
    """A block of sparse rows on a device: `start`, `column` and `value` as in CSR, and the same by column."""

    def __init__(
        self,
        start: np.ndarray,
        column: np.ndarray,
        value: np.ndarray | None = None,
        *,
        n_columns: int,
        device: str | torch.device = "cpu",
        backend: str | None = None,
    ) -> None:
        if len(column) >= 2**31:
            raise OverflowError(
                f"A block holds at most 2**31 - 1 cells, found {len(column)}; use smaller batches."
            )
        self.device = torch.device(device)
        self.rows = Pattern(
            torch.as_tensor(start.astype(np.int32)).to(self.device),
            torch.as_tensor(np.ascontiguousarray(column, dtype=np.int32)).to(self.device),
            n_columns,
        )
        self.value = None if value is None else torch.as_tensor(value).to(self.device)
        density = len(column) / max(1, self.n_rows * n_columns)
        self.backend: Any = import_module(
            f"recollect.kernels.backends.{backend or _chosen.get() or backend_for(self.device, density)}"
        )
        self.lazy = False  # gradients of what the columns point to are row-sparse: of the columns that have cells only
        self._columns: tuple[Pattern, Tensor] | None = None
        self._touched: tuple[Pattern, Tensor] | None = None
        self._value_by_column: Tensor | None = None

    @classmethod
    def of(cls, rows: Rows, device: str | torch.device = "cpu") -> Block:
        """Sparse rows, with their values, on a device."""
        return cls(rows.start, rows.column, rows.value, n_columns=rows.n_columns, device=device)

    @property
    def column(self) -> Tensor:
        """The column of each cell."""
        return self.rows.column

    @property
    def n_columns(self) -> int:
        """Columns of the block, with or without cells."""
        return self.rows.n_columns

    @property
    def n_rows(self) -> int:
        """Rows of the block, with or without cells."""
        return self.rows.n_rows

    @property
    def n_cells(self) -> int:
        """Cells of the block."""
        return len(self.rows)

    @property
    def columns(self) -> tuple[Pattern, Tensor]:
        """The cells by column, and which cell of the rows each one is. Worked out once, when first asked for."""
        if self._columns is None:
            cell = np.arange(self.n_cells, dtype=np.int32)
            by_column = csr_array(
                (cell, self.column.cpu().numpy(), self.rows.start.cpu().numpy()),
                shape=(self.n_rows, self.n_columns),
            ).tocsc()
            parts = (by_column.indptr, by_column.indices, by_column.data)
            start, row, order = (
                torch.as_tensor(part.astype(np.int32, copy=False)).to(self.device) for part in parts
            )
            self._columns = Pattern(start, row, self.n_rows), order
        return self._columns

    @property
    def touched(self) -> tuple[Pattern, Tensor]:
        """The cells by column as in `columns`, without the columns that have none; and which columns these are."""
        if self._touched is None:
            whole = self.columns[0]
            column = whole.start.diff().nonzero()[:, 0]
            start = torch.cat([whole.start[column], whole.start[-1:]])
            self._touched = Pattern(start, whole.column, self.n_rows), column
        return self._touched

    def by_column(self, value: Tensor) -> Tensor:
        """A number per cell, in the order of `columns`; that of the block's own values is kept."""
        if value is not self.value:
            return value.index_select(0, self.columns[1])
        if self._value_by_column is None:
            self._value_by_column = value.index_select(0, self.columns[1])
        return self._value_by_column
