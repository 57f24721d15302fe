"""Early stopping: the best weights by validation, and when to stop waiting for better ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class ValidationMetric:
    """What a fit is stopped by: a figure of the validation part, measured on the current
    network."""

    name: str  # of the figure in the history: "valid_rmse", "valid_ndcg@100"
    measure: Callable[[], float]
    better: Better = "lower"
    baseline: float | None = None  # of a constant prediction; patience starts once it is beaten


class EarlyStopping:
    """Keeps the weights with the best validation figure, and counts validations without a gain.

    Waiting starts once the figure is better than the metric's baseline. Before that, a network that
    has not yet learned the mean may not improve for a while (its predictions clipped to the lowest
    rating) although it still learns.

    Args:
        net: the network whose weights are kept.
        patience: validations without a gain before stopping; None: never stop.
        metric: which direction is better, and the baseline; None: lower is better, no baseline.
        least_gain: what counts as a gain.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        patience: int | None,
        metric: ValidationMetric | None = None,
        least_gain: float = 1e-5,
    ) -> None:
        self.patience = patience
        self.least_gain = least_gain
        self.error = math.inf  # the best figure, its sign changed if higher is better
        self.epoch = 0
        self.waited = 0  # validations since the last gain
        self.weights: dict[str, Tensor] = {}
        self._net = net
        # With −1 for "higher is better" every comparison below reads "lower is better".
        self._sign = 1.0
        self._baseline = math.inf
        if metric is not None and metric.better == "higher":
            self._sign = -1.0

        if metric is not None and metric.baseline is not None:
            self._baseline = self._sign * metric.baseline

    @property
    def figure(self) -> float | None:
        """The best figure; None before the first."""
        if not self.weights:
            return None
        return self._sign * self.error

    def update(self, figure: float, epoch: int) -> bool:
        """Note a validation figure, and keep the weights if it is the best; True if it is time to
        stop.

        Args:
            figure: of the validation metric.
            epoch: in which it was measured.
        """
        error = self._sign * figure
        has_gained = error < self.error - self.least_gain
        # Neither this figure nor an earlier one has beaten the baseline.
        is_above_baseline = min(error, self.error) > self._baseline
        if has_gained or is_above_baseline:
            self.waited = 0
        else:
            self.waited += 1

        # Weights are kept for any improvement, however small; only the wait needs a real gain.
        if error < self.error:
            self.error = error
            self.epoch = epoch
            self._keep_weights()

        return self.patience is not None and self.waited >= self.patience

    def restore(self) -> None:
        """Load the best weights into the network."""
        if self.weights:
            self._net.load_state_dict(self.weights)

    def _keep_weights(self) -> None:
        state = self._net.state_dict()
        if not self.weights:
            self.weights = {name: torch.empty_like(tensor) for name, tensor in state.items()}

        # Copied in place: a second copy of a large network might not fit.
        for name, tensor in state.items():
            self.weights[name].copy_(tensor)
