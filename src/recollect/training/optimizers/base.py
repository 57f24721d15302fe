"""What optimizers share: a step of every parameter that has a gradient, and a state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

Closure = Callable[[], Tensor | float]  # sets the gradients and returns the objective
Vector = list[Tensor]  # a long vector in parts, one part per parameter


class Optimizer(ABC):
    """Steps of parameters, each by its own gradient and state.

    A subclass writes `update` and keeps its state in `self._state`.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._state: dict[str, Vector] = {}

    @abstractmethod
    def update(self, index: int, parameter: Tensor, gradient: Tensor) -> None:
        """Change one parameter and its state in place.

        Args:
            index: of the parameter, and of its part of each vector of the state.
            parameter: what is to change.
            gradient: of the objective by the parameter; may be sparse for Adam.
        """

    def zero_grad(self) -> None:
        """Forget the gradients."""
        forget_gradients(self._parameters)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> None:
        """One step of every parameter that has a gradient; `closure`, if given, sets the gradients
        first."""
        if closure is not None:
            with torch.enable_grad():
                closure()

        for index, parameter in enumerate(self._parameters):
            if parameter.grad is not None:
                self.update(index, parameter, parameter.grad)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on beside the parameters."""
        return dict(self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state; its tensors may be on another device."""
        for name, vector in self._state.items():
            copy_vector(state[name], vector)

    def _zeros(self, dtype: torch.dtype | None = None) -> Vector:
        """A vector of zeros as long as the parameters, in their types or in `dtype`."""
        vector = []

        for parameter in self._parameters:
            zeros = torch.zeros_like(parameter, dtype=dtype, requires_grad=False)
            vector.append(zeros)

        return vector


class RateOptimizer(Optimizer):
    """An optimizer whose steps are proportional to a learning rate, `rate`, which may be changed at
    any time."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], *, learning_rate: float) -> None:
        super().__init__(parameters)
        self.rate = learning_rate


def forget_gradients(parameters: list[torch.nn.Parameter]) -> None:
    """Free the gradients, so that the next backward pass does not add to them."""
    for parameter in parameters:
        parameter.grad = None


def copy_vector(source: Vector, target: Vector) -> None:
    """Copy part by part, across devices if need be: a snapshot comes back on the CPU."""
    for source_part, target_part in zip(source, target, strict=True):
        target_part.copy_(source_part)
