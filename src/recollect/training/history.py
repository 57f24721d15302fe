"""Watch a fit: its history, the best weights so far, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class ValidationMetric:
    """What a fit is stopped by: a figure of the validation part, measured on the network as it is."""

    name: str  # of the figure in the history: "valid_rmse", "valid_ndcg@100"
    of: Callable[[], float]
    better: Better = "lower"
    baseline: float | None = (
        None  # what a constant prediction would reach; patience runs only beyond it
    )


@dataclass
class History:
    """What was measured after each epoch: one dict of figures an epoch, the same keys as far as they were measured."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0  # the epoch whose weights were kept
    best_valid: float | None = None  # its validation figure; None without validation
    seconds: float = 0.0
    stopped: str = ""  # why the fit ended before its time, if training broke down
    train_name: str = "train_rmse"  # what the training figure is called: train_rmse, or train_loss where it is no RMSE
    valid_name: str = "valid_rmse"  # and the validation figure

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def best_valid_rmse(self) -> float:
        """The validation RMSE of the kept weights; infinite without one."""
        return (
            self.best_valid
            if self.best_valid is not None and self.valid_name == "valid_rmse"
            else math.inf
        )

    def column(self, key: str) -> list[tuple[int, float]]:
        """(epoch, figure) wherever it was measured."""
        return [(int(e["epoch"]), e[key]) for e in self.epochs if key in e]


class EarlyStopping:
    """The weights with the best validation figure so far; says when waiting longer is pointless.

    Waiting starts once the figure is better than the measure's `par`: before, a network that has not yet learned the mean may
    stand still (its predictions clipped to the lowest rating) without being done.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        patience: int | None,
        measure: ValidationMetric | None = None,
        least_gain: float = 1e-5,
    ) -> None:
        self.patience, self.least_gain = patience, least_gain
        self._sign = (
            -1.0 if measure is not None and measure.better == "higher" else 1.0
        )  # inside, lower is better
        self._baseline = (
            math.inf
            if measure is None or measure.baseline is None
            else self._sign * measure.baseline
        )
        self.error, self.epoch, self.waited = math.inf, 0, 0
        self.weights: dict[str, Tensor] = {}
        self._net = net

    @property
    def figure(self) -> float | None:
        """The best figure; None before the first."""
        return self._sign * self.error if self.weights else None

    def see(self, figure: float, epoch: int) -> bool:
        """Note a figure; True if it is time to stop. An epoch that ends the wait must gain `least_gain`."""
        error = self._sign * figure
        self.waited = (
            0
            if error < self.error - self.least_gain or min(error, self.error) > self._baseline
            else self.waited + 1
        )
        if error < self.error:
            self.error, self.epoch = error, epoch
            if not self.weights:
                self.weights = {
                    name: torch.empty_like(x) for name, x in self._net.state_dict().items()
                }
            for name, x in self._net.state_dict().items():
                self.weights[name].copy_(x)
        return self.patience is not None and self.waited >= self.patience

    def restore(self) -> None:
        """Put the best weights back into the network."""
        if self.weights:
            self._net.load_state_dict(self.weights)
