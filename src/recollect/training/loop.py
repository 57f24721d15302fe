"""The only gradient loop.

It trains any `torch.nn.Module` on blocks of sparse rows. A loss returns a sum and a count, a penalty counts once per
pass over the data whatever the batch size; the objective is (sum of losses + penalty) / ratings.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from recollect.data.rows import AnyRows, Rows
from recollect.errors import SettingError, TrainingError
from recollect.kernels import Block
from recollect.run import Run
from recollect.training import optim, snapshot
from recollect.training.losses import add_ridge
from recollect.training.watch import Best, History

Loss = Callable[[Any, Block], tuple[Tensor, int]]   # the network, and rows
Penalty = Callable[[Any], list[tuple[Tensor, float]]]   # of a network: weights, and the λ of λ/2 · ‖weight‖² on each

log = logging.getLogger("recollect")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and with what to train."""

    epochs: int
    optimizer: str = "lbfgs"
    learning_rate: float = 0.001     # L-BFGS finds its own; Rprop's first step
    momentum: float = 0.9            # SGD only
    history: int = 5                 # L-BFGS only: pairs remembered
    state_bits: int = 32             # Adam only: of each of its two moments
    lazy: bool = False               # Adam in batches only: what a batch does not touch stays as it is
    batch_size: int | None = None    # rows; None: all at once
    patience: int | None = None      # looks at validation without a gain before stopping; None: never stop early
    look_every: int = 1              # epochs between looks at validation

    def check(self) -> None:
        """Refuse what cannot be trained with."""
        if self.optimizer not in optim.OPTIMIZERS:
            raise optim.unknown("optimizer", self.optimizer, optim.OPTIMIZERS)
        if self.optimizer in optim.FULL_BATCH and self.batch_size is not None:
            raise SettingError(f"optimizer={self.optimizer!r} needs the whole data at each step, found batch_size="
                               f"{self.batch_size}; leave batch_size out, or use adam or sgd.")
        if self.lazy and (self.optimizer != "adam" or self.batch_size is None):
            raise SettingError(f"lazy=True leaves alone what a batch does not touch: it needs optimizer='adam' and a batch_size, "
                               f"found optimizer={self.optimizer!r} and batch_size={self.batch_size}.")
        if self.state_bits not in (16, 32) or (self.state_bits == 16 and self.optimizer != "adam"):
            raise SettingError(f"state_bits is 32, or 16 with optimizer='adam'; found {self.state_bits} with "
                               f"{self.optimizer!r}.")
        for name in ("epochs", "look_every", "history", "patience", "batch_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise SettingError(f"{name} must be 1 or more, found {getattr(self, name)}.")
        if self.learning_rate <= 0:
            raise SettingError(f"learning_rate must be above 0, found {self.learning_rate}.")


def fit(net: nn.Module, rows: AnyRows, loss: Loss, run: Run, plan: Plan, *, penalty: Penalty | None = None,
        validate: Callable[[], float] | None = None, par: float = math.inf, belongs_to: dict[str, Any] | None = None,
        column_cells: Int64[np.ndarray, " columns"] | None = None) -> History:
    """Train the network in place and leave the best weights in it (the last, without validation).

    `validate` returns the validation RMSE of the network as it is; it is called in evaluation mode without gradients.
    Patience runs only once that is below `par`, what a constant prediction would reach. `column_cells`, how many cells each
    column has in all rows, is needed if the plan is lazy: a row of weights then bears its λ by the share of them in the batch.
    With `run.folder` a snapshot is kept there; with `run.resume` it is taken up, if it belongs to this fit.

    Raises: SettingError for a plan that cannot work; TrainingError if the objective is NaN or infinite, or the snapshot
    belongs to another fit; KeyboardInterrupt after an epoch in which someone asked to stop, the snapshot written.
    """
    plan.check()
    if not rows.in_memory and plan.batch_size is None:
        raise SettingError(f"optimizer={plan.optimizer!r} with batch_size=None needs the whole data at each step, and these "
                           "ratings are on disk, to be read batch by batch: use optimizer=\"adam\" (or \"sgd\") and "
                           "batch_size=512, or so.")
    keep = _Keeper(net, rows, loss, penalty, plan, column_cells)
    history, best = History(), Best(net, patience=plan.patience, par=par)
    owner = {**asdict(plan), **(belongs_to or {}), "seed": run.seed, "rows": len(rows), "cells": rows.n_cells}
    if run.folder and run.resume:
        _take_up(run, owner, keep, history, best)
    written, done = time.monotonic(), bool(history.epochs and history.epochs[-1].get("last"))
    with snapshot.stoppable() as stop:
        while len(history) < plan.epochs and not done:
            begun = time.monotonic()
            figures = keep.epoch(len(history) + 1)
            epoch = len(history) + 1
            if validate is not None and (epoch % plan.look_every == 0 or epoch == plan.epochs or keep.converged):
                net.eval()
                with torch.no_grad():
                    figures["valid_rmse"] = validate()
                done = best.see(figures["valid_rmse"], epoch)
            done = done or keep.converged
            history.seconds += time.monotonic() - begun
            figures["seconds"] = history.seconds
            history.epochs.append({**figures, "last": 1.0} if done else figures)
            for watcher in run.watchers:
                watcher(figures)
            due = time.monotonic() - written >= run.snapshot_seconds
            if run.folder and (due or stop.asked or done or epoch == plan.epochs):
                snapshot.write(Path(run.folder) / "snapshot", _state(keep, history, best), belongs_to=owner)
                written = time.monotonic()
            if stop.asked:
                kept = f"; the snapshot is in {run.folder}" if run.folder else ""
                raise KeyboardInterrupt(f"stopped after epoch {epoch}{kept}")
    best.restore()
    history.best_epoch, history.best_valid_rmse = best.epoch or len(history), best.error
    net.eval()
    return history


class _Keeper:
    """The network, its data and its optimiser, for as long as the fit lasts."""

    def __init__(self, net: nn.Module, rows: AnyRows, loss: Loss, penalty: Penalty | None, plan: Plan,
                 column_cells: np.ndarray | None) -> None:
        assert not plan.lazy or column_cells is not None
        self.column_cells = None if column_cells is None else torch.as_tensor(column_cells)
        self.net, self.rows, self.loss, self.penalty, self.plan = net, rows, loss, penalty, plan
        self.n_cells = max(1, rows.n_cells)
        self.device = next(net.parameters()).device
        self.optimizer = optim.make(plan.optimizer, net.parameters(), learning_rate=plan.learning_rate,
                                    momentum=plan.momentum, history=plan.history, state_bits=plan.state_bits)
        self._whole: Block | None = None

    @property
    def converged(self) -> bool:
        return isinstance(self.optimizer, optim.LBFGS) and self.optimizer.converged

    def blocks(self) -> Iterator[Block]:
        """Every row once, in batches; the rows without a cell are left out, they have no loss."""
        if self.plan.batch_size is not None:
            for batch in self.rows.batches(self.plan.batch_size, torch.randperm(len(self.rows)).numpy()):
                block = _block(batch, self.device)
                block.lazy = self.plan.lazy
                yield block
            return
        if self._whole is None:
            assert isinstance(self.rows, Rows)
            self._whole = _block(self.rows, self.device)
        yield self._whole

    def epoch(self, number: int) -> dict[str, float]:
        """One pass over the data (one iteration, for L-BFGS). Returns the epoch's figures."""
        self.net.train()
        total, count, objective = 0.0, 0, 0.0
        for block in self.blocks():
            sums: dict[str, Any] = {}

            def closure(block: Block = block, sums: dict[str, Any] = sums) -> float:
                loss, n = self.loss(self.net, block)
                (loss / max(n, 1)).backward()
                error = float(loss.detach())
                sums.update(loss=error, count=n, objective=error / max(n, 1) + self._penalise(block, n))
                return sums["objective"]

            self.optimizer.zero_grad()
            self.optimizer.step(closure)
            if sums:
                if not math.isfinite(sums["objective"]):
                    raise TrainingError(f"The objective became {sums['objective']} in epoch {number}; the step is too "
                                        f"large: lower learning_rate (it is {self.plan.learning_rate:g}) or raise reg.")
                total, count = total + sums["loss"], count + sums["count"]
                objective += sums["objective"] * sums["count"]
        figures = {"epoch": float(number)}
        if count:
            figures |= {"train_rmse": math.sqrt(total / count), "objective": objective / count}
        if isinstance(self.optimizer, optim.LBFGS):
            figures["evaluations"] = float(self.optimizer.evaluations)
        return figures


    def _penalise(self, block: Block, n: int) -> float:
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


def _block(rows: Rows, device: torch.device) -> Block:
    return Block(rows.start, rows.column, rows.value, n_columns=rows.n_columns, device=device)


def _state(keep: _Keeper, history: History, best: Best) -> dict[str, Any]:
    on_device = torch.cuda.get_rng_state(keep.device) if keep.device.type == "cuda" else None
    return {"net": keep.net.state_dict(), "optimizer": keep.optimizer.state_dict(), "random": torch.get_rng_state(),
            "random_on_device": on_device,
            "epochs": history.epochs, "seconds": history.seconds,
            "best": {"weights": best.weights, "error": best.error if best.weights else None, "epoch": best.epoch,
                     "waited": best.waited}}


def _take_up(run: Run, owner: dict[str, Any], keep: _Keeper, history: History, best: Best) -> None:
    assert run.folder is not None
    state = snapshot.read(Path(run.folder) / "snapshot", belongs_to=owner)
    if state is None:
        log.info("no snapshot in %s: starting from the beginning", run.folder)
        return
    keep.net.load_state_dict(state["net"])
    keep.optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    if state["random_on_device"] is not None:
        torch.cuda.set_rng_state(state["random_on_device"], keep.device)
    history.epochs, history.seconds = state["epochs"], state["seconds"]
    found = state["best"]
    best.weights, best.epoch, best.waited = found["weights"], found["epoch"], found["waited"]
    best.error = math.inf if found["error"] is None else found["error"]
    log.info("taken up after epoch %d", len(history))
