"""Factors by descent, user by user: SVD++ and its form with time. A Learner (see `epochs`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recollect.kernels.svdpp import SVDppArrays
from recollect.training.sgd import CompiledSGD


class SVDppSGD(CompiledSGD):
    """Steps on every rating, epoch after epoch; the network names where each thing that `visits` learns is kept (`places`)."""

    def __init__(self, net: Any, visits: SVDppArrays, *, decay: float) -> None:
        self.visits = visits
        super().__init__(net, learning_rate=visits.steps.rate, decay=decay)

    def descend(self, shrink: float, seed: int) -> tuple[float, float]:
        """See CompiledSGD."""
        return self.visits.descend(shrink=shrink, seed=seed), float(len(self.visits))

    def pairs(self) -> Iterator[tuple[np.ndarray, Tensor]]:
        """See CompiledSGD; less the columns that the kernel adds."""
        for name, theirs in self.net.places().items():
            ours = getattr(self.visits, name)
            yield (ours[:, : theirs.shape[1]] if theirs.ndim == 2 else ours), theirs

    def store_in_network(self) -> None:
        """See CompiledSGD; and the users' tastes, from which predictions are made."""
        super().store_in_network()
        taste = self.net.user[:, :-1]
        taste.copy_(torch.from_numpy(self.visits.tastes()[:, : taste.shape[1]]))
