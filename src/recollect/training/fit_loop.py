"""Epoch after epoch: what every fit does around its steps, whatever they are.

Validation, the best weights, patience, watchers, Ctrl-C, snapshots, and the way back from a fit that breaks down. What learns in
an epoch is a `Learner`: gradient steps (`loop`) or exact solves in turn (`als`).
"""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from recollect.errors import TrainingError
from recollect.run import Run
from recollect.training import snapshot
from recollect.training.history import EarlyStopping, History, ValidationMetric

log = logging.getLogger("recollect")


@runtime_checkable
class Learner(Protocol):
    """What learns: a network, and an epoch of it."""

    net: nn.Module
    device: torch.device

    @property
    def converged(self) -> bool:
        """Whether further epochs would change nothing."""

    def epoch(self, number: int) -> dict[str, float]:
        """Learn for one epoch, counted from 1; its figures, "epoch" among them."""

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps beside the network: a tree of dicts, lists, numbers, texts and tensors."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from that state; the network has been taken up already."""


class DivergedError(Exception):
    """A step from which training cannot go on."""


def run_epochs(
    learner: Learner,
    run: Run,
    *,
    epochs: int,
    patience: int | None = None,
    validate_every: int = 1,
    measure: ValidationMetric | None = None,
    figure: str = "train_rmse",
    fit_key: dict[str, Any],
    hint: str = "",
) -> History:
    """Learn until the validation figure stands still, nothing changes, or so many epochs are over; the best weights are left in
    the network (the last, without validation). See `loop.fit`, whose parameters these are; `fit_key` and the seed name the
    fit.

    Raises: TrainingError if it breaks down before any weights were kept, or the snapshot belongs to another fit;
    KeyboardInterrupt after an epoch in which someone asked to stop, the snapshot written.
    """
    fit_key = {**fit_key, "seed": run.seed}
    history, best = (
        History(train_name=figure),
        EarlyStopping(learner.net, patience=patience, measure=measure),
    )
    history.valid_name = history.valid_name if measure is None else measure.name
    if run.folder and run.resume and not _resume(run, fit_key, learner, history, best):
        log.info("no snapshot in %s: starting from the beginning", run.folder)
    written, done = time.monotonic(), bool(history.epochs and history.epochs[-1].get("last"))
    with snapshot.stoppable() as stop:
        while len(history) < epochs and not done:
            begun, epoch = time.monotonic(), len(history) + 1
            try:
                figures = learner.epoch(epoch)
            except DivergedError as problem:
                history.stopped = _fall_back(
                    f"{problem} {hint}".strip(), run, fit_key, learner, history, best
                )
                break
            if measure is not None and (
                epoch % validate_every == 0 or epoch == epochs or learner.converged
            ):
                learner.net.eval()
                with torch.no_grad():
                    figures[measure.name] = measure.of()
                done = best.see(figures[measure.name], epoch)
            done = done or learner.converged
            history.seconds += time.monotonic() - begun
            figures["seconds"] = history.seconds
            history.epochs.append({**figures, "last": 1.0} if done else figures)
            for watcher in run.watchers:
                watcher(figures)
            for look in run.net_watchers:
                look(figures, learner.net)
            due = time.monotonic() - written >= run.snapshot_seconds
            if run.folder and (due or stop.asked or done or epoch == epochs):
                snapshot.write(
                    Path(run.folder) / "snapshot", _state(learner, history, best), fit_key=fit_key
                )
                written = time.monotonic()
            if stop.asked:
                kept = f"; the snapshot is in {run.folder}" if run.folder else ""
                raise KeyboardInterrupt(f"stopped after epoch {epoch}{kept}")
    best.restore()
    history.best_epoch, history.best_valid = best.epoch or len(history), best.figure
    learner.net.eval()
    return history


def _fall_back(
    why: str,
    run: Run,
    owner: dict[str, Any],
    learner: Learner,
    history: History,
    best: EarlyStopping,
) -> str:
    """The last good weights into the network: the best by validation (which `run_epochs` restores), else the snapshot's. Says so."""
    if not best.weights and (run.folder is None or not _resume(run, owner, learner, history, best)):
        raise TrainingError(
            f"{why} Nothing had been learned before it."
            if not len(history)
            else f"{why} No weights were kept before it: with validation ratings, or a folder for snapshots, the fit "
            "ends with the last good ones."
        )
    told = f"{why} The fit ends with the weights of epoch {best.epoch or len(history)}."
    log.warning(told)
    return told


def _state(learner: Learner, history: History, best: EarlyStopping) -> dict[str, Any]:
    on_device = torch.cuda.get_rng_state(learner.device) if learner.device.type == "cuda" else None
    return {
        "net": learner.net.state_dict(),
        "random": torch.get_rng_state(),
        "random_on_device": on_device,
        "epochs": history.epochs,
        "seconds": history.seconds,
        "learner": learner.state(),
        "best": {
            "weights": best.weights,
            "error": best.error if best.weights else None,
            "epoch": best.epoch,
            "waited": best.waited,
        },
    }


def _resume(
    run: Run, owner: dict[str, Any], learner: Learner, history: History, best: EarlyStopping
) -> bool:
    """Take up the snapshot; False if there is none."""
    assert run.folder is not None
    state = snapshot.read(Path(run.folder) / "snapshot", fit_key=owner)
    if state is None:
        return False
    learner.net.load_state_dict(state["net"])
    torch.set_rng_state(state["random"])
    if state["random_on_device"] is not None:
        torch.cuda.set_rng_state(state["random_on_device"], learner.device)
    history.epochs, history.seconds = state["epochs"], state["seconds"]
    found = state["best"]
    best.weights, best.epoch, best.waited = found["weights"], found["epoch"], found["waited"]
    best.error = math.inf if found["error"] is None else found["error"]
    learner.load_state(state["learner"])
    log.info("taken up after epoch %d", len(history))
    return True
