"""RMSprop, with ε beside the root or under it.

Source: Tieleman and Hinton, lecture 6.5 of "Neural Networks for Machine Learning", 2012. They write
no ε: torch adds one to the root, Keras 0.3.3 added one under it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from typing_extensions import override

from recollect.kernels import optimizer_steps
from recollect.training.optimizers.base import RateOptimizer


class RMSprop(RateOptimizer):
    """θ −= η · g / (√v + ε), with a running mean v of the squared gradient.

    With `inside` it is θ −= η · g / √(v + ε). Of gradients far below √ε the difference is large:
    beside the root ε leaves steps of length η, under it steps shrink with the gradient.

    Args:
        parameters: what the optimizer changes.
        learning_rate: η.
        decay: how much of v a step keeps.
        epsilon: ε.
        inside: whether ε stands under the root.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        learning_rate: float = 0.001,
        decay: float = 0.9,
        epsilon: float = 1e-7,
        inside: bool = False,
    ) -> None:
        super().__init__(parameters, learning_rate=learning_rate)
        self._decay = decay
        self._epsilon = 0.0 if inside else epsilon
        self._epsilon_inside = epsilon if inside else 0.0
        # The gradient is state, too: the step computes it as m + (g − m), which is not g to the
        # bit.
        self._state = {"gradient": self._zeros(), "square": self._zeros()}

    @override
    def update(self, index: int, parameter: Tensor, gradient: Tensor) -> None:
        # Adam's step with β₁ = 0 and without the correction of its moments.
        optimizer_steps.adam(
            parameter,
            gradient,
            self._state["gradient"][index],
            self._state["square"][index],
            rate=self.rate,
            epsilon=self._epsilon,
            epsilon_inside=self._epsilon_inside,
            betas=(0.0, self._decay),
            salt=0,
        )
