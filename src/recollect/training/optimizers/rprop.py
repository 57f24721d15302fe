"""Resilient propagation, for full batches.

Source: Riedmiller and Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The
RPROP Algorithm", ICNN 1993; without backtracking.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from typing_extensions import override

from recollect.kernels import optimizer_steps
from recollect.training.optimizers.base import Optimizer


class Rprop(Optimizer):
    """θ −= Δ · sign(g): only the signs of the gradient count; torch.optim.Rprop's arithmetic.

    Args:
        parameters: what the optimizer changes.
        learning_rate: the first Δ of every number.
        etas: the factors of Δ where the gradient's sign changes and where it stays.
        step_sizes: the smallest and largest Δ.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        learning_rate: float = 0.01,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-8, 1.0),
    ) -> None:
        super().__init__(parameters)
        self._etas = etas
        self._limits = step_sizes
        size = [torch.full_like(p, learning_rate, requires_grad=False) for p in self._parameters]
        self._state = {"before": self._zeros(), "size": size}

    @override
    def update(self, index: int, parameter: Tensor, gradient: Tensor) -> None:
        optimizer_steps.rprop(
            parameter,
            gradient,
            self._state["before"][index],
            self._state["size"][index],
            etas=self._etas,
            limits=self._limits,
        )
