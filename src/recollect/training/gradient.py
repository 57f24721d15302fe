"""Training of a network by gradient steps on blocks of sparse rows.

The objective is (sum of losses + penalty) / cells. A loss returns a sum and a count. A penalty
counts once per pass over the data, whatever the batch size. A loss may also be a generator of
several sums and counts: the optimizer steps after each, before the next one is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.sparse_rows import AnyRows, Rows
from recollect.errors import SettingError
from recollect.kernels import Block, multiplies_16_bits
from recollect.run import Run
from recollect.system.allocator import reusing_blocks
from recollect.training import optimizers
from recollect.training.early_stopping import ValidationMetric
from recollect.training.fit_loop import DivergedError, Learner, run_epochs
from recollect.training.gradient_options import GradientOptions
from recollect.training.history import History
from recollect.training.losses import add_ridge
from recollect.training.optimizers import LBFGS, RateOptimizer

# Sum, count, and optionally a factor of the gradient of their quotient.
Step = tuple[Tensor, int] | tuple[Tensor, int, float]
# Of network and rows; where there are several steps, the first one is the loss proper.
Loss = Callable[[Any, Block], Step | Iterator[Step]]
# Of a network: weights, and the λ of λ/2 · ‖weight‖² on each.
Penalty = Callable[[Any], list[tuple[Tensor, float]]]

EXPLODED = 1000.0  # times the first step's loss, from which no fit comes back


def fit(
    net: nn.Module,
    rows: AnyRows,
    loss: Loss,
    run: Run,
    options: GradientOptions,
    *,
    penalty: Penalty | None = None,
    measure: ValidationMetric | None = None,
    figure: str = "train_rmse",
    fit_key: dict[str, Any] | None = None,
    column_cells: Int64[np.ndarray, " columns"] | None = None,
    validate_start: bool = False,
    hint: str = "",
) -> History:
    """Train the network in place and leave the best weights in it (the last, without validation).

    With `run.folder` a snapshot is kept there; with `run.resume` the fit goes on from it. If the
    loss is no number or explodes, the fit ends with the best weights by validation, else those of
    the snapshot; `history.stopped` and a warning say so.

    Args:
        net: trained in place, on the device of its parameters.
        rows: the training data, in memory or on disk.
        loss: of the network and a block of rows.
        run: seed, precision, snapshots, watchers.
        options: optimizer, epochs, batches, patience.
        penalty: weights and their λ; None: no penalty.
        measure: the validation metric that the fit stops by; None: no validation.
        figure: the key of the training figure: "train_rmse", the root of the mean loss, else the
            mean loss itself.
        fit_key: settings and data of this fit; a snapshot with another key is refused.
        column_cells: how many cells each column has in all rows; needed if options.lazy, where a
            row of weights bears λ in proportion to the cells of its column in the batch.
        validate_start: whether the network before the first epoch may be the best one.
        hint: added to the message if training diverges.

    Raises:
        SettingError: for options that cannot go together or do not fit the data.
        TrainingError: if the loss explodes before any weights were kept, or the snapshot belongs to
            another fit.
        KeyboardInterrupt: after the epoch in which Ctrl-C or SIGTERM came; the snapshot is written.
    """
    options.check()
    _check_batches(rows, options)
    mixed = _is_mixed(run, options, next(net.parameters()).device)
    learner = GradientSteps(
        net, rows, loss, penalty, options, column_cells, mixed=mixed, figure=figure
    )

    fit_key = {
        **asdict(options),
        **(fit_key or {}),
        "rows": len(rows),
        "cells": rows.n_cells,
        "mixed": mixed,
    }
    # Batches differ in size, and the allocator would return their memory to the system each time.
    memory = nullcontext() if options.batch_size is None else reusing_blocks()

    with memory:
        return run_epochs(
            learner,
            run,
            epochs=options.epochs,
            patience=options.patience,
            validate_every=options.validate_every,
            measure=measure,
            figure=figure,
            fit_key=fit_key,
            validate_start=validate_start,
            hint=hint,
        )


class StepFigures(NamedTuple):
    """What one step measured, before the weights moved."""

    loss: float  # the sum
    n: int  # the count
    objective: float

    @property
    def mean(self) -> float:
        """The loss per count."""
        return self.loss / max(self.n, 1)


class GradientSteps(Learner):
    """Gradient steps on a network's weights: one pass over the data per epoch, one iteration for
    L-BFGS.

    Args:
        net: trained in place.
        rows: the training data.
        loss: of the network and a block of rows.
        penalty: weights and their λ; None: no penalty.
        options: optimizer and batches.
        column_cells: how many cells each column has in all rows; needed if options.lazy.
        mixed: whether dense products are in 16 bits.
        figure: the key of the training figure; "train_rmse" is the root of the mean loss.
    """

    def __init__(
        self,
        net: nn.Module,
        rows: AnyRows,
        loss: Loss,
        penalty: Penalty | None,
        options: GradientOptions,
        column_cells: np.ndarray | None,
        *,
        mixed: bool,
        figure: str,
    ) -> None:
        assert not options.lazy or column_cells is not None
        self.net = net
        self.rows = rows
        self.loss = loss
        self.penalty = penalty
        self.options = options
        self.column_cells = None if column_cells is None else torch.as_tensor(column_cells)
        self.mixed = mixed
        self.figure = figure
        self.n_cells = max(1, rows.n_cells)
        self.device = next(net.parameters()).device
        self.optimizer = optimizers.make(
            options.optimizer,
            net.parameters(),
            learning_rate=options.learning_rate,
            momentum=options.momentum,
            history=options.history,
            state_bits=options.state_bits,
        )
        # The mean loss of the first step, with which later ones are compared to find divergence.
        self.first: float | None = None
        self._whole: Block | None = None

    @property
    @override
    def converged(self) -> bool:
        if isinstance(self.optimizer, LBFGS):
            return self.optimizer.converged
        return False

    @override
    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "first": self.first}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.first = state["first"]

    @override
    def epoch(self, number: int) -> dict[str, float]:
        self.net.train()
        rate = self.options.rate(number)
        if isinstance(self.optimizer, RateOptimizer):
            self.optimizer.rate = rate

        loss, n, objective = 0.0, 0, 0.0

        for block in self._blocks():
            for index, step in enumerate(self._steps(block)):
                # Before the weights move: a divergent step must not spoil them.
                self._check(step, index, number, rate)
                if index == 0:  # further steps on the same rows are not of the loss proper
                    loss += step.loss
                    n += step.n
                    objective += step.objective * step.n

        figures = {"epoch": float(number)}
        if n:
            mean = loss / n
            is_root = self.figure == "train_rmse"
            figures[self.figure] = math.sqrt(mean) if is_root else mean
            figures["objective"] = objective / n

        if isinstance(self.optimizer, LBFGS):
            figures["evaluations"] = float(self.optimizer.evaluations)

        if self.options.optimizer in optimizers.BY_RATE:
            figures["learning_rate"] = rate

        return figures

    def _blocks(self) -> Iterator[Block]:
        """Every row once: in batches of random rows, or all in one block that is made once."""
        if self.options.batch_size is None:
            yield self._whole_block()
            return

        # By torch's generator, whose state a snapshot keeps: a resumed fit draws the same order.
        order = torch.randperm(len(self.rows)).numpy()

        for batch in self.rows.batches(self.options.batch_size, order):
            block = Block.of(batch, self.device)
            block.lazy = self.options.lazy
            yield block

    def _whole_block(self) -> Block:
        if self._whole is None:
            assert isinstance(self.rows, Rows)
            self._whole = Block.of(self.rows, self.device)
        return self._whole

    def _steps(self, block: Block) -> Iterator[StepFigures]:
        """Take the steps of a block; the figures of each come before its weights move."""
        if isinstance(self.optimizer, LBFGS):
            yield from self._iterate(self.optimizer, block)
            return

        parts = self._parts(block)
        # The penalty goes with the first step: it counts once, however many a block has.
        penalize = True

        while (part := self._next_part(parts)) is not None:
            self.optimizer.zero_grad()
            yield self._set_gradients(block, *part, penalize=penalize)
            self.optimizer.step()
            penalize = False

    def _iterate(self, optimizer: LBFGS, block: Block) -> Iterator[StepFigures]:
        """One iteration of L-BFGS; the figures of its last evaluation, which is where it ends."""
        evaluations: list[StepFigures] = []

        def closure() -> float:
            part = next(self._parts(block))
            evaluations.append(self._set_gradients(block, *part))
            return evaluations[-1].objective

        optimizer.step(closure)
        if evaluations:
            yield evaluations[-1]

    def _parts(self, block: Block) -> Iterator[Step]:
        result = self.loss(self.net, block)
        # A generator is not run through at once: the weights move between its parts.
        if isinstance(result, tuple):
            yield result
        else:
            yield from result

    def _next_part(self, parts: Iterator[Step]) -> Step | None:
        if not self.mixed:
            return next(parts, None)
        # A cast for each part: autocast keeps weights in 16 bits, which are wrong after a step.
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            return next(parts, None)

    def _set_gradients(
        self, block: Block, loss: Tensor, n: int, weight: float = 1.0, *, penalize: bool = True
    ) -> StepFigures:
        count = max(n, 1)
        objective = loss * (weight / count)
        objective.backward()
        value = float(loss.detach())
        penalty = 0.0
        if penalize:
            penalty = self._add_penalty(block, n)

        return StepFigures(value, n, value / count + penalty)

    def _add_penalty(self, block: Block, n: int) -> float:
        """Add the penalty's gradient to that of the loss; its part of the objective.

        Over an epoch each weight bears its λ once: in equal parts per cell, or, where only rows
        with cells in the batch count, in equal parts per cell of the row's column.
        """
        if self.penalty is None:
            return 0.0

        total = 0.0

        for weight, reg in self.penalty(self.net):
            if weight.grad is not None and weight.grad.is_sparse:
                shares = self._column_shares(block)
                total += add_ridge(weight, reg / max(n, 1), shares)
            else:
                total += add_ridge(weight, reg / self.n_cells)

        return total

    def _column_shares(self, block: Block) -> Tensor:
        """Which share of its cells each column with cells in the block has there."""
        assert self.column_cells is not None
        pattern, column = block.touched
        cells_in_block = pattern.start.diff()
        all_cells = self.column_cells.to(column.device)

        return cells_in_block / all_cells[column]

    def _check(self, step: StepFigures, index: int, epoch: int, rate: float) -> None:
        """Refuse a loss that is no number, or that is far beyond where it began."""
        if self.first is None:
            self.first = step.mean

        # "not … <=" instead of ">", so that a loss that is no number counts, too.
        limit = EXPLODED * max(self.first, 1.0)
        has_exploded = index == 0 and not step.mean <= limit
        if math.isfinite(step.objective) and not has_exploded:
            return

        size = str(step.mean)
        if math.isfinite(step.mean):
            # A first loss of 0 must not divide by 0.
            times = step.mean / max(self.first, 1e-30)
            size = f"{step.mean:.3g}, {times:.3g} times that of the first step,"

        name = "The loss" if index == 0 else "The loss of the further step on the same rows"
        raise DivergedError(
            f"{name} became {size} in epoch {epoch}; the step is too large: lower learning_rate "
            f"(it is {rate:g}) or raise reg."
        )


def _check_batches(rows: AnyRows, options: GradientOptions) -> None:
    """Refuse a full batch of ratings that are read from disk."""
    if not rows.in_memory and options.batch_size is None:
        raise SettingError(
            f"optimizer={options.optimizer!r} with batch_size=None needs the whole data at each "
            "step, and these ratings are on disk, to be read batch by batch: use "
            'optimizer="adam" (or "sgd") and batch_size=512, or so.'
        )


def _is_mixed(run: Run, options: GradientOptions, device: torch.device) -> bool:
    """Whether dense products are in 16 bits: as the run says, else where that is fast."""
    if run.precision == "mixed" and options.optimizer == "lbfgs":
        raise SettingError(
            "L-BFGS compares objectives that differ in the sixth place, and 16-bit products keep "
            "three; leave precision out, or use another optimizer."
        )

    if run.precision is not None:
        return run.precision == "mixed"

    return options.mixed and multiplies_16_bits(device)
