"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from typing_extensions import override

from recollect.kernels import optimizer_steps
from recollect.training.optimizers.base import RateOptimizer


class SGD(RateOptimizer):
    """u = μ u + g, θ −= η · u; torch.optim.SGD's arithmetic: u is a sum of gradients, not their
    mean.

    Args:
        parameters: what the optimizer changes.
        learning_rate: η.
        momentum: μ, how much of u a step keeps.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        learning_rate: float = 0.001,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(parameters, learning_rate=learning_rate)
        self._momentum = momentum
        self._state = {"speed": self._zeros()}

    @override
    def update(self, index: int, parameter: Tensor, gradient: Tensor) -> None:
        velocity = self._state["speed"][index]
        optimizer_steps.sgd(
            parameter,
            gradient,
            velocity,
            rate=self.rate,
            momentum=self._momentum,
        )
