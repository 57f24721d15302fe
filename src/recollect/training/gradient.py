"""The only gradient loop.

It trains any `torch.nn.Module` on blocks of sparse rows. A loss returns a sum and a count, a penalty counts once per
pass over the data whatever the batch size; the objective is (sum of losses + penalty) / ratings. A loss that is a generator
gives several sums and counts, and after each the optimizer steps before the next is worked out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from recollect.data.sparse_rows import AnyRows, Rows
from recollect.errors import SettingError
from recollect.kernels import Block, multiplies_16_bits
from recollect.run import Run
from recollect.system.allocator import reusing_blocks
from recollect.training import optimizers
from recollect.training.fit_loop import DivergedError, run_epochs
from recollect.training.history import History, ValidationMetric
from recollect.training.losses import add_ridge

Step = (
    tuple[Tensor, int] | tuple[Tensor, int, float]
)  # sum, count, and what multiplies the gradient of their quotient
Loss = Callable[
    [Any, Block], Step | Iterator[Step]
]  # of the network, and rows; of several steps the first is the loss proper
Penalty = Callable[
    [Any], list[tuple[Tensor, float]]
]  # of a network: weights, and the λ of λ/2 · ‖weight‖² on each

EXPLODED = 1000.0  # times the first step's loss, and a fit has no way back


@dataclass(frozen=True, kw_only=True)
class GradientOptions:
    """How long and with what to train."""

    epochs: int
    optimizer: str = "lbfgs"
    learning_rate: float = 0.001  # L-BFGS finds its own; Rprop's first step
    momentum: float = 0.9  # SGD only
    history: int = 5  # L-BFGS only: pairs remembered
    state_bits: int = 32  # Adam only: of each of its two moments
    lazy: bool = False  # Adam in batches only: what a batch does not touch stays as it is
    batch_size: int | None = None  # rows; None: all at once
    milestones: tuple[
        int, ...
    ] = ()  # Adam and SGD only: epochs from which on the learning rate is multiplied by decay
    decay: float = 0.5
    mixed: bool = (
        False  # dense products in 16 bits where the device has units for them, unless the run says
    )
    patience: int | None = (
        None  # looks at validation without a gain before stopping; None: never stop early
    )
    validate_every: int = 1  # epochs between looks at validation

    def check(self) -> None:
        """Refuse what cannot be trained with."""
        if self.optimizer not in optimizers.OPTIMIZERS:
            raise optimizers.unknown("optimizer", self.optimizer, optimizers.OPTIMIZERS)
        if self.optimizer in optimizers.FULL_BATCH and self.batch_size is not None:
            raise SettingError(
                f"optimizer={self.optimizer!r} needs the whole data at each step, found batch_size="
                f"{self.batch_size}; leave batch_size out, or use adam or sgd."
            )
        if self.lazy and (self.optimizer != "adam" or self.batch_size is None):
            raise SettingError(
                f"lazy=True leaves alone what a batch does not touch: it needs optimizer='adam' and a batch_size, "
                f"found optimizer={self.optimizer!r} and batch_size={self.batch_size}."
            )
        if self.state_bits not in (16, 32) or (self.state_bits == 16 and self.optimizer != "adam"):
            raise SettingError(
                f"state_bits is 32, or 16 with optimizer='adam'; found {self.state_bits} with "
                f"{self.optimizer!r}."
            )
        for name in ("epochs", "validate_every", "history", "patience", "batch_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise SettingError(f"{name} must be 1 or more, found {getattr(self, name)}.")
        if self.learning_rate <= 0:
            raise SettingError(f"learning_rate must be above 0, found {self.learning_rate}.")
        if self.milestones and self.optimizer not in optimizers.BY_RATE:
            raise SettingError(
                f"milestones change the learning rate of {' and '.join(optimizers.BY_RATE)}; optimizer="
                f"{self.optimizer!r} has none: leave them out."
            )
        if (
            list(self.milestones) != sorted(set(self.milestones))
            or min(self.milestones, default=1) < 1
            or self.decay <= 0
        ):
            raise SettingError(
                f"milestones are epochs, 1 or more and ascending, and decay is above 0; found {self.milestones} "
                f"and {self.decay}."
            )

    def rate(self, epoch: int) -> float:
        """The learning rate in this epoch, counted from 1."""
        return self.learning_rate * self.decay ** sum(epoch >= m for m in self.milestones)


def fit(
    net: nn.Module,
    rows: AnyRows,
    loss: Loss,
    run: Run,
    plan: GradientOptions,
    *,
    penalty: Penalty | None = None,
    measure: ValidationMetric | None = None,
    figure: str = "train_rmse",
    fit_key: dict[str, Any] | None = None,
    column_cells: Int64[np.ndarray, " columns"] | None = None,
    hint: str = "",
) -> History:
    """Train the network in place and leave the best weights in it (the last, without validation).

    `measure` is the figure of the validation part that the fit stops by; it is called in evaluation mode without gradients.
    `figure` is what the training figure is called: "train_rmse", the root of the loss per count, else the loss per count itself.
    `column_cells`, how many cells each column has in all rows, is needed if the plan is lazy: a row of weights then bears its λ
    by the share of them in the batch.
    With `run.folder` a snapshot is kept there; with `run.resume` it is taken up, if it belongs to this fit. A loss that is no
    number or explodes ends the fit with the best weights by validation, else those of the snapshot; `history.stopped` and a
    warning say so, with the likely cause, to which the model may add a `hint`.

    Raises: SettingError for a plan that cannot work; TrainingError if the loss explodes before any weights were kept, or the
    snapshot belongs to another fit; KeyboardInterrupt after an epoch in which someone asked to stop, the snapshot written.
    """
    plan.check()
    if not rows.in_memory and plan.batch_size is None:
        raise SettingError(
            f"optimizer={plan.optimizer!r} with batch_size=None needs the whole data at each step, and these "
            'ratings are on disk, to be read batch by batch: use optimizer="adam" (or "sgd") and '
            "batch_size=512, or so."
        )
    mixed = _mixed(run, plan, next(net.parameters()).device)
    learner = _Steps(net, rows, loss, penalty, plan, column_cells, mixed=mixed, figure=figure)
    owner = {
        **asdict(plan),
        **(fit_key or {}),
        "rows": len(rows),
        "cells": rows.n_cells,
        "mixed": mixed,
    }
    again = nullcontext() if plan.batch_size is None else reusing_blocks()
    with again:
        return run_epochs(
            learner,
            run,
            epochs=plan.epochs,
            patience=plan.patience,
            validate_every=plan.validate_every,
            measure=measure,
            figure=figure,
            fit_key=owner,
            hint=hint,
        )


class _Steps:
    """Gradient steps: the network, its data and its optimizer, for as long as the fit lasts. A Learner."""

    def __init__(
        self,
        net: nn.Module,
        rows: AnyRows,
        loss: Loss,
        penalty: Penalty | None,
        plan: GradientOptions,
        column_cells: np.ndarray | None,
        *,
        mixed: bool,
        figure: str,
    ) -> None:
        assert not plan.lazy or column_cells is not None
        self.column_cells = None if column_cells is None else torch.as_tensor(column_cells)
        self.net, self.rows, self.loss, self.penalty, self.plan = net, rows, loss, penalty, plan
        self.n_cells, self.mixed, self.figure = max(1, rows.n_cells), mixed, figure
        self.device = next(net.parameters()).device
        self.optimizer = optimizers.make(
            plan.optimizer,
            net.parameters(),
            learning_rate=plan.learning_rate,
            momentum=plan.momentum,
            history=plan.history,
            state_bits=plan.state_bits,
        )
        self.first: float | None = None  # the loss at the first step, per cell
        self._whole: Block | None = None

    @property
    def converged(self) -> bool:
        return isinstance(self.optimizer, optimizers.LBFGS) and self.optimizer.converged

    def state(self) -> dict[str, Any]:
        """See Learner."""
        return {"optimizer": self.optimizer.state_dict(), "first": self.first}

    def load_state(self, state: dict[str, Any]) -> None:
        """See Learner."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.first = state["first"]

    def blocks(self) -> Iterator[Block]:
        """Every row once, in batches; the rows without a cell are left out, they have no loss."""
        if self.plan.batch_size is not None:
            for batch in self.rows.batches(
                self.plan.batch_size, torch.randperm(len(self.rows)).numpy()
            ):
                block = Block.of(batch, self.device)
                block.lazy = self.plan.lazy
                yield block
            return
        if self._whole is None:
            assert isinstance(self.rows, Rows)
            self._whole = Block.of(self.rows, self.device)
        yield self._whole

    def epoch(self, number: int) -> dict[str, float]:
        """One pass over the data (one iteration, for L-BFGS). Returns the epoch's figures."""
        self.net.train()
        rate = self.plan.rate(number)
        if isinstance(self.optimizer, optimizers.Adam | optimizers.RMSprop | optimizers.SGD):
            self.optimizer.rate = rate
        total, count, objective = 0.0, 0, 0.0
        for block in self.blocks():
            for j, (loss, n, value) in enumerate(self._steps(block)):
                self._check(loss / max(n, 1), value, j, number, rate)
                if j == 0:
                    total, count, objective = total + loss, count + n, objective + value * n
        figures = {"epoch": float(number)}
        if count:
            mean = total / count
            figures |= {
                self.figure: math.sqrt(mean) if self.figure == "train_rmse" else mean,
                "objective": objective / count,
            }
        if isinstance(self.optimizer, optimizers.LBFGS):
            figures["evaluations"] = float(self.optimizer.evaluations)
        if self.plan.optimizer in optimizers.BY_RATE:
            figures["learning_rate"] = rate
        return figures

    def _steps(self, block: Block) -> Iterator[tuple[float, int, float]]:
        """Step, and give the sum, the count and the objective of each step."""
        if not isinstance(self.optimizer, optimizers.LBFGS):
            parts, penalize = self._parts(block), True
            while (part := self._next(parts)) is not None:
                self.optimizer.zero_grad()
                yield self._descend(
                    block, *part, penalize=penalize
                )  # looked at before the weights move
                self.optimizer.step()
                penalize = False
            return
        sums: list[tuple[float, int, float]] = []

        def closure() -> float:
            sums.append(self._descend(block, *next(self._parts(block))))
            return sums[-1][2]

        self.optimizer.step(closure)
        if sums:
            yield sums[-1]

    def _parts(self, block: Block) -> Iterator[Step]:
        found = self.loss(self.net, block)
        if isinstance(found, tuple):
            yield found
        else:
            yield from found

    def _next(self, parts: Iterator[Step]) -> Step | None:
        """The next part, in a cast of its own: weights in 16 bits are good until the optimizer's next step."""
        if not self.mixed:
            return next(parts, None)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            return next(parts, None)

    def _descend(
        self, block: Block, loss: Tensor, n: int, weight: float = 1.0, *, penalize: bool = True
    ) -> tuple[float, int, float]:
        """Set the gradients; the sum, the count and the objective."""
        (loss * (weight / max(n, 1))).backward()
        value = float(loss.detach())
        return value, n, value / max(n, 1) + (self._penalize(block, n) if penalize else 0.0)

    def _check(self, mean: float, objective: float, part: int, number: int, rate: float) -> None:
        """Refuse a loss that is no number, or that is far beyond where it began."""
        if self.first is None:
            self.first = mean
        if math.isfinite(objective) and (part > 0 or mean <= EXPLODED * max(self.first, 1.0)):
            return
        times = mean / max(self.first, 1e-30)
        what = (
            f"{mean:.3g}, {times:.3g} times that of the first step,"
            if math.isfinite(mean)
            else str(mean)
        )
        which = "The loss" if part == 0 else "The loss of the further step on the same rows"
        raise DivergedError(
            f"{which} became {what} in epoch {number}; the step is too large: lower learning_rate (it is "
            f"{rate:g}) or raise reg."
        )

    def _penalize(self, block: Block, n: int) -> float:
        """Add the penalty's gradient to the loss's; returns its part of the objective. Over an epoch, by either way, each weight
        bears its λ once: in equal parts per cell, or, where only touched rows count, in parts per cell of that row."""
        total = 0.0
        for weight, reg in self.penalty(self.net) if self.penalty else ():
            if weight.grad is not None and weight.grad.is_sparse:
                pattern, column = block.touched
                share = pattern.start.diff() / self.column_cells.to(column.device)[column]  # type: ignore[union-attr]
                total += add_ridge(weight, reg / max(n, 1), share)
            else:
                total += add_ridge(weight, reg / self.n_cells)
        return total


def _mixed(run: Run, plan: GradientOptions, device: torch.device) -> bool:
    """Whether dense products are in 16 bits: as the run says, else as the plan does, where there are units for it."""
    if run.precision == "mixed" and plan.optimizer == "lbfgs":
        raise SettingError(
            "L-BFGS compares objectives that differ in the sixth place, and 16-bit products keep three; leave "
            "precision out, or use another optimizer."
        )
    if run.precision is not None:
        return run.precision == "mixed"
    return plan.mixed and multiplies_16_bits(device)
