"""Contrastive divergence: what is observed is made likelier, what the machine itself would put there unlikelier.

The update of Hinton (2002) is the gradient of free energy(data) − free energy(reconstruction), the reconstruction held fixed:
autograd works it out. A Learner (see `epochs`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError, unknown
from recollect.training import optimizers
from recollect.training.fit_loop import DivergedError
from recollect.training.losses import add_ridge


class Machine(Protocol):
    """What can be learned so: an `nn.Module` that says how much likelier it finds its own reconstruction of some rows."""

    def contrast(self, rows: Rows, *, steps: int, sample: bool) -> tuple[Tensor, float]:
        """Σ over rows of free energy(data) − free energy(after so many Gibbs steps), to be differentiated; and the squared error
        of the first reconstruction, summed over the cells."""

    def weights(self) -> list[nn.Parameter]:
        """What bears λ: all but the biases."""


@dataclass(frozen=True, kw_only=True)
class ContrastiveOptions:
    """How to descend."""

    optimizer: str
    learning_rate: float  # of gradients that are means over the rows of a batch
    batch_size: int  # rows
    steps: tuple[int, ...]  # T, Gibbs steps of a reconstruction
    steps_from: tuple[int, ...]  # epochs from which on the next T counts
    decay: float = 1.0  # what the learning rate is multiplied by after each epoch
    momentum: float = 0.9  # SGD only
    sample: bool = True  # hidden units are drawn 0 or 1; False: their probabilities go on

    def check(self) -> None:
        """Refuse what cannot be learned with."""
        if self.optimizer not in optimizers.BY_RATE:
            raise unknown("optimizer", self.optimizer, optimizers.BY_RATE)
        if self.batch_size < 1 or min(self.steps, default=0) < 1:
            raise SettingError(
                f"batch_size and every T of steps are 1 or more, found {self.batch_size} and {self.steps}."
            )
        if len(self.steps_from) != len(self.steps) - 1 or list(self.steps_from) != sorted(
            set(self.steps_from)
        ):
            raise SettingError(
                "steps_from are the epochs at which the next of steps begins, ascending and one fewer than steps; "
                f"found {self.steps_from} for {self.steps}."
            )
        if self.learning_rate <= 0 or not 0 < self.decay <= 1 or not 0 <= self.momentum < 1:
            raise SettingError(
                "learning_rate is above 0, decay above 0 and at most 1, momentum 0 or more and less than 1; found "
                f"{self.learning_rate}, {self.decay} and {self.momentum}."
            )

    def steps_at(self, epoch: int) -> int:
        """T in this epoch, counted from 1."""
        return self.steps[sum(epoch >= first for first in self.steps_from)]


class ContrastiveDivergence:
    """Descends along (Σ over rows of the contrast + λ/2 ‖weights‖²) / rows, some rows at a time."""

    def __init__(self, net: Any, rows: Rows, plan: ContrastiveOptions, *, reg: float) -> None:
        self.net, self.rows, self.plan = net, rows, plan
        self.device = next(net.parameters()).device
        self.reg = reg / max(1, int((rows.counts > 0).sum()))
        self.optimizer: Any = optimizers.make(
            plan.optimizer,
            net.parameters(),
            learning_rate=plan.learning_rate,
            momentum=plan.momentum,
        )

    @property
    def converged(self) -> bool:
        """Never: validation says when."""
        return False

    def epoch(self, number: int) -> dict[str, float]:
        """Every row once; the RMSE of the first reconstruction of what was rated, T and the rate."""
        self.net.train()
        plan, steps = self.plan, self.plan.steps_at(number)
        self.optimizer.rate = plan.learning_rate * plan.decay ** (number - 1)
        error = sum(self._step(batch, steps) for batch in self._batches())
        if not math.isfinite(error):
            raise DivergedError(
                f"The error of the reconstruction became {error} in epoch {number}; the step is too large: "
                f"lower learning_rate (it is {self.optimizer.rate:g}) or raise reg."
            )
        return {
            "epoch": float(number),
            "train_rmse": math.sqrt(error / max(1, self.rows.n_cells)),
            "steps": float(steps),
            "learning_rate": self.optimizer.rate,
        }

    def _batches(self) -> Iterator[Rows]:
        return self.rows.batches(self.plan.batch_size, torch.randperm(len(self.rows)).numpy())

    def _step(self, batch: Rows, steps: int) -> float:
        self.optimizer.zero_grad()
        contrast, error = self.net.contrast(batch, steps=steps, sample=self.plan.sample)
        (contrast / len(batch)).backward()
        for weight in self.net.weights():
            add_ridge(weight, self.reg)
        self.optimizer.step()
        return error

    def state(self) -> dict[str, Any]:
        """See Learner."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """See Learner."""
        self.optimizer.load_state_dict(state["optimizer"])
