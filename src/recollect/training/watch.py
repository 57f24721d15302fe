"""Watch a fit: its history, the best weights so far, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass
class History:
    """What was measured after each epoch: one dict of figures an epoch, the same keys as far as they were measured."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0           # the epoch whose weights were kept
    best_valid_rmse: float = math.inf
    seconds: float = 0.0
    stopped: str = ""             # why the fit ended before its time, if training broke down

    def __len__(self) -> int:
        return len(self.epochs)

    def column(self, key: str) -> list[tuple[int, float]]:
        """(epoch, figure) wherever it was measured."""
        return [(int(e["epoch"]), e[key]) for e in self.epochs if key in e]


class Best:
    """The weights with the lowest validation error so far; says when waiting longer is pointless.

    Waiting starts once the error is below `par`: before, a network that has not yet learned the mean may stand still
    (its predictions clipped to the lowest rating) without being done.
    """

    def __init__(self, net: nn.Module, *, patience: int | None, par: float = math.inf, least_gain: float = 1e-5) -> None:
        self.patience, self.par, self.least_gain = patience, par, least_gain
        self.error, self.epoch, self.waited = math.inf, 0, 0
        self.weights: dict[str, Tensor] = {}
        self._net = net

    def see(self, error: float, epoch: int) -> bool:
        """Note an error; True if it is time to stop. An epoch that ends the wait must gain `least_gain`."""
        self.waited = 0 if error < self.error - self.least_gain or min(error, self.error) > self.par else self.waited + 1
        if error < self.error:
            self.error, self.epoch = error, epoch
            if not self.weights:
                self.weights = {name: torch.empty_like(x) for name, x in self._net.state_dict().items()}
            for name, x in self._net.state_dict().items():
                self.weights[name].copy_(x)
        return self.patience is not None and self.waited >= self.patience

    def restore(self) -> None:
        """Put the best weights back into the network."""
        if self.weights:
            self._net.load_state_dict(self.weights)
