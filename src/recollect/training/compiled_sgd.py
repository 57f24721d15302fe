"""Descent a rating at a time, in loops that have the factors to themselves. What Learners of it share (see `epochs`)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recollect.training.fit_loop import DivergedError


class CompiledSGD(ABC):
    """A step on every rating, epoch after epoch, on copies of what the network holds; the steps get smaller."""

    def __init__(self, net: Any, *, learning_rate: float, decay: float) -> None:
        self.net, self.device, self.rate, self.decay = net, net.user.device, learning_rate, decay
        self.load_from_network()

    @abstractmethod
    def pairs(self) -> Iterable[tuple[np.ndarray, Tensor]]:
        """What is learned where the loops have it, and where the network keeps it: views of the same shape."""

    def load_from_network(self) -> None:
        """Copy what the network keeps to where the loops have it."""
        for ours, theirs in self.pairs():
            ours[:] = theirs.cpu().numpy()

    def store_in_network(self) -> None:
        """And back."""
        for ours, theirs in self.pairs():
            theirs.copy_(torch.from_numpy(ours))

    @abstractmethod
    def descend(self, shrink: float, seed: int) -> tuple[float, float]:
        """A step on every rating, `shrink` times as long as at first; Σ squared errors, each before its step, and Σ weights."""

    @property
    def converged(self) -> bool:
        """Never: validation says when."""
        return False

    def epoch(self, number: int) -> dict[str, float]:
        """The RMSE on train while going, and the rate."""
        shrink = self.decay ** (number - 1)
        total, n = self.descend(shrink, int(torch.randint(2**62, ())))
        if not math.isfinite(total):
            raise DivergedError(
                f"The error became {total} in epoch {number}; the step is too large: lower learning_rate (it "
                f"is {self.rate * shrink:g})."
            )
        self.store_in_network()
        return {
            "epoch": float(number),
            "train_rmse": math.sqrt(total / n) if n else 0.0,
            "learning_rate": self.rate * shrink,
        }

    def state(self) -> dict[str, Any]:
        """See Learner: everything is in the network."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """See Learner."""
        self.load_from_network()


def views(
    ours: np.ndarray, offset: np.ndarray, theirs: Tensor, k: int
) -> list[tuple[np.ndarray, Tensor]]:
    """Pairs of k factors, which the loops may have padded, and of offsets, if the network keeps any behind them."""
    found = [(ours[..., :k], theirs[..., :k])]
    return [*found, (offset, theirs[..., k])] if theirs.shape[-1] > k else found
