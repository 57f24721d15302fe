"""Blocks of sparse rows on a device, and which backend multiplies them.

A backend is a module of `kernels.backends` with functions `times_dense` and `observed` of a
`Pattern` and plain tensors:

    reference   plain NumPy, for comparison            by name
    cpu         compiled loops                         every block on a CPU, except for
    dense       rows filled in, a block at a time      blocks with three quarters of their cells
    csr         torch's own sparse products            every block on a GPU
    cpu16       as cpu, the dense operand in 16 bits   by name
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from recollect.data.sparse_rows import Rows
from recollect.errors import unknown
from recollect.kernels.pattern import Pattern

BACKENDS = ("reference", "cpu", "dense", "csr", "cpu16")
DENSE_FROM = 0.75  # share of a block's cells; measured on two cores: docs/log.md

_chosen: ContextVar[str | None] = ContextVar("kernels", default=None)


def backend_for(device: torch.device, density: float) -> str:
    """The name of the fastest backend for a block on this device with this share of its cells."""
    if device.type != "cpu":
        return "csr"
    return "dense" if density >= DENSE_FROM else "cpu"


def multiplies_16_bits(device: torch.device) -> bool:
    """Whether the device has units that multiply bfloat16 matrices faster than 32-bit ones."""
    if device.type == "cuda":
        # Capability 8.0 (Ampere) was the first with bfloat16 units.
        return torch.cuda.get_device_capability(device) >= (8, 0)

    if device.type != "cpu":
        return False

    # PyTorch before 2.9 cannot tell what the processor has.
    get_capabilities = getattr(torch.cpu, "get_capabilities", dict)
    capabilities: dict[str, Any] = get_capabilities()

    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


@contextmanager
def use(name: str | None) -> Iterator[None]:
    """Blocks made inside this context have this backend; None: the fastest for each.

    Raises:
        SettingError: if there is none of that name.
    """
    if name is not None and name not in BACKENDS:
        raise unknown("kernels", name, BACKENDS)

    token = _chosen.set(name)

    try:
        yield
    finally:
        _chosen.reset(token)


class Block:
    """Sparse rows on a device, as CSR and, once needed, by column.

    Args:
        start: rows + 1, the first cell of each row.
        column: cells, the column of each cell; ascending within a row.
        value: cells, the number in each cell; None: a pattern without values.
        n_columns: columns of the block, with or without cells.
        device: where the block lies.
        backend: a name of BACKENDS; None: that of the surrounding `use`, else the fastest.

    Raises:
        OverflowError: if there are more cells than 32-bit numbers can count.
    """

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
        # 32 bits for both: the loops read a column number for every cell, and torch's CSR products
        # want one type.
        starts = self._to_device(start.astype(np.int32))
        columns = self._to_device(column)
        self.rows = Pattern(starts, columns, n_columns)
        self.value = None
        if value is not None:
            self.value = torch.as_tensor(value).to(self.device)

        density = len(column) / max(1, self.n_rows * n_columns)
        name = backend or _chosen.get() or backend_for(self.device, density)
        self.backend: Any = import_module(f"recollect.kernels.backends.{name}")
        # Whether gradients of what has a row per column are row-sparse: of the columns with cells.
        self.lazy = False
        self._columns: tuple[Pattern, Tensor] | None = None
        self._touched: tuple[Pattern, Tensor] | None = None
        self._value_by_column: Tensor | None = None

    @classmethod
    def of(cls, rows: Rows, device: str | torch.device = "cpu") -> Block:
        """Sparse rows with their values, on a device."""
        return cls(
            rows.start,
            rows.column,
            rows.value,
            n_columns=rows.n_columns,
            device=device,
        )

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
        """The cells by column, and for each of them its number in `rows`; computed once."""
        if self._columns is None:
            # SciPy sorts cell numbers instead of values, so that any value can be put in order.
            cell = np.arange(self.n_cells, dtype=np.int32)
            by_column = csr_array(
                (cell, self.column.cpu().numpy(), self.rows.start.cpu().numpy()),
                shape=(self.n_rows, self.n_columns),
            ).tocsc()
            start = self._to_device(by_column.indptr)
            row = self._to_device(by_column.indices)
            order = self._to_device(by_column.data)
            self._columns = Pattern(start, row, self.n_rows), order

        return self._columns

    @property
    def touched(self) -> tuple[Pattern, Tensor]:
        """`columns` without the columns that have no cell, and the numbers of those that have
        some."""
        if self._touched is None:
            every = self.columns[0]
            column = every.start.diff().nonzero()[:, 0]
            # A column without cells begins where the next one does, so its start may be left out.
            start = torch.cat([every.start[column], every.start[-1:]])
            self._touched = Pattern(start, every.column, self.n_rows), column

        return self._touched

    def dense(self) -> Float[Tensor, "rows columns"]:
        """The block with its zeros."""
        assert self.value is not None
        out = torch.zeros(self.n_rows, self.n_columns, device=self.device)
        out[self.rows.row_of_cells(), self.column.long()] = self.value

        return out

    def by_column(self, value: Tensor) -> Tensor:
        """A number per cell, in the order of `columns`; kept for the block's own values."""
        order = self.columns[1]
        # Gradients and the like are new in each step: keeping them would only hold memory.
        if value is not self.value:
            return value.index_select(0, order)

        if self._value_by_column is None:
            self._value_by_column = value.index_select(0, order)

        return self._value_by_column

    def _to_device(self, numbers: np.ndarray) -> Tensor:
        short = np.ascontiguousarray(numbers, dtype=np.int32)
        return torch.as_tensor(short).to(self.device)
