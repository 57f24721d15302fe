"""Factors by descent, user by user: SVD++ and its form with time. A Learner (see `epochs`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recollect.kernels.svdpp import Visits
from recollect.training.epochs import BrokenDownError


class Visit:
    """Steps on every rating, epoch after epoch; the network names where each thing that `visits` learns is kept (`places`)."""

    def __init__(self, net: Any, visits: Visits, *, decay: float) -> None:
        self.net, self.device, self.visits, self.decay = net, net.user.device, visits, decay
        self._in()

    @property
    def converged(self) -> bool:
        """Never: validation says when."""
        return False

    def epoch(self, number: int) -> dict[str, float]:
        """A step on every rating; the RMSE on train while going, and the rate."""
        shrink = self.decay ** (number - 1)
        rate = self.visits.steps.rate * shrink
        total = self.visits.descend(shrink=shrink, seed=int(torch.randint(2**62, ())))
        if not math.isfinite(total):
            raise BrokenDownError(f"The error became {total} in epoch {number}; the step is too large: lower learning_rate (it "
                                  f"is {rate:g}).")
        self._out()
        return {"epoch": float(number), "train_rmse": math.sqrt(total / len(self.visits)), "learning_rate": rate}

    def _pairs(self) -> Iterator[tuple[np.ndarray, Tensor]]:
        """What is learned, less the columns that the kernel adds, and where the network keeps it."""
        for name, theirs in self.net.places().items():
            ours = getattr(self.visits, name)
            yield (ours[:, :theirs.shape[1]] if theirs.ndim == 2 else ours), theirs

    def _in(self) -> None:
        for ours, theirs in self._pairs():
            ours[:] = theirs.cpu().numpy()

    def _out(self) -> None:
        for ours, theirs in self._pairs():
            theirs.copy_(torch.from_numpy(ours))
        taste = self.net.user[:, :-1]
        taste.copy_(torch.from_numpy(self.visits.tastes()[:, :taste.shape[1]]))

    def state(self) -> dict[str, Any]:
        """See Learner: everything is in the network."""
        return {}

    def take_up(self, state: dict[str, Any]) -> None:
        """See Learner."""
        self._in()
