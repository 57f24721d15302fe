"""Adam, for dense and for row-sparse gradients.

Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from recollect.errors import SettingError
from recollect.kernels import optimizer_steps
from recollect.training.optimizers.base import RateOptimizer


class Adam(RateOptimizer):
    """θ −= η · m̂ / (√v̂ + ε), with running means m of the gradient and v of its square.

    The arithmetic is that of torch.optim.Adam. Where a gradient is sparse, it is that of
    torch.optim.SparseAdam: only the rows that have a gradient step, and only their moments decay.

    Args:
        parameters: what the optimizer changes.
        learning_rate: η.
        betas: β₁ and β₂, how much of m and v a step keeps.
        epsilon: ε, added to the root.
        state_bits: 32, or 16 to keep m and v in bfloat16, for layers whose state would not fit. The
            arithmetic stays in 32 bits.

    Raises:
        SettingError: if `state_bits` is another number.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        state_bits: int = 32,
    ) -> None:
        if state_bits not in (16, 32):
            raise SettingError(f"state_bits is 16 or 32, found {state_bits}.")

        super().__init__(parameters, learning_rate=learning_rate)
        self._betas = betas
        self._epsilon = epsilon
        dtype = torch.bfloat16 if state_bits == 16 else None
        self._state = {"mean": self._zeros(dtype), "square": self._zeros(dtype)}
        self._steps = [0] * len(self._parameters)

    @override
    def update(self, index: int, parameter: Tensor, gradient: Tensor) -> None:
        self._steps[index] += 1
        step = self._steps[index]
        beta1, beta2 = self._betas
        # Running means begin at 0; by now they have this share of their full weight.
        mean_weight = 1 - beta1**step
        square_weight = 1 - beta2**step
        # θ −= η m̂ / (√v̂ + ε) with √v̂ = √v / root: times root above and below, the step divides
        # by √v itself.
        root = square_weight**0.5
        epsilon = self._epsilon * root
        rows = None
        if gradient.is_sparse:
            gradient, rows = _values_and_rows(gradient)
            # SparseAdam adds ε to the uncorrected root.
            epsilon = self._epsilon

        # The odd factor spreads consecutive steps over all 32 bits.
        salt = (step * 0x9E3779B9 + index) & 0xFFFFFFFF

        optimizer_steps.adam(
            parameter,
            gradient,
            self._state["mean"][index],
            self._state["square"][index],
            rows=rows,
            rate=self.rate * root / mean_weight,
            epsilon=epsilon,
            betas=self._betas,
            salt=salt,
        )

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"steps": list(self._steps), **self._state}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._steps = list(state["steps"])


def _values_and_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Values and row numbers of a sparse gradient, every row once and in order."""
    if gradient.sparse_dim() != 1:
        raise SettingError(
            "A sparse gradient must be sparse in rows only, found "
            f"{gradient.sparse_dim()} sparse dimensions."
        )

    gradient = gradient.coalesce()
    rows = gradient.indices()[0]
    # The compiled step checks no index: a row out of range would write to foreign memory.
    if len(rows) and not 0 <= int(rows[0]) <= int(rows[-1]) < len(gradient):
        raise IndexError(
            f"Rows are 0 to {len(gradient) - 1}, found {int(rows[0])} to {int(rows[-1])}."
        )

    return gradient.values(), rows
