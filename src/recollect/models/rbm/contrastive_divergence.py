"""Contrastive divergence: makes the data more probable and the machine's own reconstructions less.

Hinton's update (2002) is the gradient of free energy(data) − free energy(reconstruction) with the
reconstruction held fixed; autograd computes it. `ContrastiveDivergence` is a Learner of
`training/fit_loop.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from typing_extensions import override

from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.models.rbm.network import Network
from recollect.training import optimizers
from recollect.training.fit_loop import DivergedError, Learner
from recollect.training.losses import add_ridge


@dataclass(frozen=True, kw_only=True)
class ContrastiveOptions:
    """How the contrastive divergence is followed."""

    optimizer: str
    learning_rate: float  # of gradients that are means over the rows of a batch
    batch_size: int  # rows
    steps: tuple[int, ...]  # T, Gibbs steps of a reconstruction
    steps_from: tuple[int, ...]  # epochs from which on the next T counts
    decay: float  # factor of the learning rate after each epoch
    momentum: float  # SGD only
    sample: bool  # whether hidden units are drawn as 0 or 1; else their probabilities are used

    def check(self) -> None:
        """Refuse a schedule of T that cannot be followed.

        Raises:
            SettingError: naming the two settings.
        """
        # A set, so that an epoch that stands twice is refused, too.
        ascending = list(self.steps_from) == sorted(set(self.steps_from))
        n_changes = len(self.steps) - 1
        if not self.steps or len(self.steps_from) != n_changes or not ascending:
            raise SettingError(
                "steps is one or more values of T, and steps_from the epochs at which the next of "
                "them begins, ascending and one fewer than steps; found "
                f"steps={self.steps} and steps_from={self.steps_from}."
            )

    def steps_in(self, epoch: int) -> int:
        """T in this epoch, counted from 1."""
        n_begun = sum(epoch >= first for first in self.steps_from)
        return self.steps[n_begun]

    def rate_in(self, epoch: int) -> float:
        """The learning rate in this epoch, counted from 1."""
        n_decays = epoch - 1
        return self.learning_rate * self.decay**n_decays


class ContrastiveDivergence(Learner):
    """Gradient steps on (Σ over rows of the contrastive loss + λ/2 ‖weights‖²) / rows.

    Args:
        net: the machine.
        rows: the ratings to learn from.
        options: optimizer, batches and schedules.
        reg: λ, beside a loss that is a sum over all rows.
    """

    def __init__(self, net: Any, rows: Rows, options: ContrastiveOptions, *, reg: float) -> None:
        self.net: Network = net
        self.rows = rows
        self.options = options
        self.device = next(net.parameters()).device
        # A batch's loss is a mean over its rows, so λ is divided by the rows that are trained on.
        n_trained = int((rows.counts > 0).sum())
        self.reg = reg / max(1, n_trained)
        self.optimizer: Any = optimizers.make(
            options.optimizer,
            net.parameters(),
            learning_rate=options.learning_rate,
            momentum=options.momentum,
        )

    @property
    @override
    def converged(self) -> bool:
        return False  # reconstructions are drawn, so the weights never stand still

    @override
    def epoch(self, number: int) -> dict[str, float]:
        """Train on every row once.

        Returns:
            The RMSE of the first reconstruction over the ratings, T and the learning rate.

        Raises:
            DivergedError: if that error is not finite.
        """
        self.net.train()
        steps = self.options.steps_in(number)
        self.optimizer.rate = self.options.rate_in(number)
        error = sum(self._step(batch, steps) for batch in self._batches())
        # Weights that overflow give probabilities that are not numbers.
        if not math.isfinite(error):
            raise DivergedError(
                f"The error of the reconstruction became {error} in epoch {number}; the step is "
                f"too large: lower learning_rate (it is {self.optimizer.rate:g}) or raise reg."
            )

        mean_square = error / max(1, self.rows.n_cells)
        return {
            "epoch": float(number),
            "train_rmse": math.sqrt(mean_square),
            "steps": float(steps),
            "learning_rate": self.optimizer.rate,
        }

    def _batches(self) -> Iterator[Rows]:
        order = torch.randperm(len(self.rows)).numpy()
        return self.rows.batches(self.options.batch_size, order)

    def _step(self, batch: Rows, steps: int) -> float:
        self.optimizer.zero_grad()
        loss, error = self.net.contrastive_loss(batch, steps=steps, sample=self.options.sample)
        mean_loss = loss / len(batch)
        mean_loss.backward()

        # λ is added to the gradient by hand, because autograd would copy every matrix.
        for weight in self.net.weights():
            add_ridge(weight, self.reg)

        self.optimizer.step()

        return error

    @override
    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
