"""Epoch after epoch: what every fit does around its learning steps.

A `Learner` learns for an epoch. `run_epochs` validates, keeps the best weights, stops early, calls
watchers, writes snapshots, resumes from them, stops on Ctrl-C, and falls back to the last good
weights if training diverges. After each epoch it calls

- every watcher of `run.watchers` with the epoch's figures: to draw a curve, say;
- every watcher of `run.net_watchers` with the figures and the network: to log weights and
  gradients.
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
from recollect.training.early_stopping import EarlyStopping, ValidationMetric
from recollect.training.history import History
from recollect.training.stop_request import stoppable

log = logging.getLogger("recollect")


@runtime_checkable
class Learner(Protocol):
    """A way to learn a network: gradient steps, exact solutions, passes of SGD, Gibbs sweeps.

    `net` is the network that `epoch` improves, `device` is where it lies. A snapshot holds the
    network and what `state` returns; together they must determine every later epoch.
    """

    net: nn.Module
    device: torch.device

    @property
    def converged(self) -> bool:
        """Whether further epochs would change nothing."""

    def epoch(self, number: int) -> dict[str, float]:
        """Learn for one epoch and return its figures, "epoch" among them.

        Args:
            number: of the epoch, counted from 1.

        Raises:
            DivergedError: if the network can no longer be trained.
        """

    def state(self) -> dict[str, Any]:
        """A tree of dicts, lists, numbers, texts and tensors that a snapshot keeps beside the
        network."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from what `state` returned; the network has been loaded already."""


class DivergedError(Exception):
    """Training took a step after which it cannot go on; the message says why and what to change."""


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
    validate_start: bool = False,
    hint: str = "",
) -> History:
    """Learn until patience is out, the learner has converged, or all epochs are done.

    The best weights by validation are left in the network; the last ones without validation.

    Args:
        learner: what learns.
        run: seed, folder for snapshots, watchers.
        epochs: how many epochs at most.
        patience: validations without a gain before stopping; None: never stop early.
        validate_every: epochs between validations; the last epoch is always validated.
        measure: the validation metric, measured in evaluation mode without gradients; None: no
            validation.
        figure: the key of the training figure in the history.
        fit_key: settings and data of this fit; a snapshot with another key or seed is refused.
        validate_start: whether the network before the first epoch is a candidate for the best one;
            its epoch is 0.
        hint: added to the message if training diverges, with what the model knows of the cause.

    Raises:
        TrainingError: if training diverges before any weights were kept, or the snapshot belongs to
            another fit.
        KeyboardInterrupt: after the epoch in which Ctrl-C or SIGTERM came; the snapshot is written.
    """
    history = _empty_history(figure, measure)
    best = EarlyStopping(learner.net, patience=patience, metric=measure)
    # Another seed is another fit: its snapshot must not be resumed.
    full_key = {**fit_key, "seed": run.seed}
    fit = _Fit(learner, run, history, best, measure, full_key)
    if run.folder and run.resume and not fit.resume():
        log.info("no snapshot in %s: starting from the beginning", run.folder)

    if validate_start and not len(history):
        fit.validate_start()

    with stoppable() as stop:
        while len(history) < epochs and not fit.done:
            try:
                figures = fit.learn_epoch(validate_every=validate_every, epochs=epochs)
            except DivergedError as problem:
                history.stopped = fit.fall_back(f"{problem} {hint}".strip())
                break

            fit.call_watchers(figures)
            # The last epoch is written whatever the time, so that a resumed fit has nothing to do.
            is_last = fit.done or len(history) == epochs
            if run.folder and (stop.asked or is_last or fit.snapshot_is_due):
                fit.write_snapshot()

            if stop.asked:
                raise KeyboardInterrupt(_where_it_stopped(fit))

    fit.finish()

    return history


def _empty_history(figure: str, measure: ValidationMetric | None) -> History:
    """A history without epochs that knows the names of its figures."""
    history = History(train_name=figure)
    if measure is not None:
        history.valid_name = measure.name

    return history


def _where_it_stopped(fit: _Fit) -> str:
    """The message of a fit that was asked to stop."""
    message = f"stopped after epoch {len(fit.history)}"
    if not fit.run.folder:
        return message

    if not fit.written_epoch:
        return f"{message}; no snapshot could be written"

    if fit.written_epoch < len(fit.history):
        return f"{message}; the snapshot in {fit.run.folder} is of epoch {fit.written_epoch}"

    return f"{message}; the snapshot is in {fit.run.folder}"


class _Fit:
    """A fit in progress: the learner, what was measured so far, and the best weights."""

    def __init__(
        self,
        learner: Learner,
        run: Run,
        history: History,
        best: EarlyStopping,
        metric: ValidationMetric | None,
        fit_key: dict[str, Any],
    ) -> None:
        self.learner = learner
        self.run = run
        self.history = history
        self.best = best
        self.metric = metric
        self.fit_key = fit_key
        self.done = False  # patience is out, or the learner has converged
        self.written_epoch = 0  # the epoch of the last snapshot
        self._written = time.monotonic()  # when it was tried last

    def learn_epoch(self, *, validate_every: int, epochs: int) -> dict[str, float]:
        """Learn for an epoch, validate if it is time to, and add the figures to the history."""
        start = time.monotonic()
        epoch = len(self.history) + 1
        figures = self.learner.epoch(epoch)

        is_last = epoch == epochs or self.learner.converged
        is_due = is_last or epoch % validate_every == 0
        if self.metric is not None and is_due:
            valid = self._validate(self.metric)
            figures[self.metric.name] = valid
            self.done = self.best.update(valid, epoch)

        self.done = self.done or self.learner.converged
        self.history.seconds += time.monotonic() - start
        figures["seconds"] = self.history.seconds

        entry = figures
        if self.done:
            # A fit that is resumed from its last snapshot must know that it was done; watchers get
            # the figures without this mark.
            entry = {**figures, "last": 1.0}

        self.history.epochs.append(entry)

        return figures

    def validate_start(self) -> None:
        """Make the network as it is a candidate for the best one."""
        if self.metric is not None:
            self.best.update(self._validate(self.metric), 0)

    def _validate(self, metric: ValidationMetric) -> float:
        self.learner.net.eval()
        with torch.no_grad():
            return metric.measure()

    def call_watchers(self, figures: dict[str, float]) -> None:
        """Show the epoch to everyone who follows the fit."""
        for watcher in self.run.watchers:
            watcher(figures)
        for net_watcher in self.run.net_watchers:
            net_watcher(figures, self.learner.net)

    @property
    def snapshot_is_due(self) -> bool:
        """Whether the last snapshot is so old that losing the work since would hurt."""
        age = time.monotonic() - self._written
        return age >= self.run.snapshot_seconds

    def write_snapshot(self) -> None:
        """Write everything that a resumed fit needs to end with the same weights, to the bit.

        If it cannot be written (a full disk), a warning says so and the fit goes on: hours of work
        are in memory.
        """
        state = self._state()
        self._written = time.monotonic()

        try:
            snapshot.write(self._snapshot_folder, state, fit_key=self.fit_key)
        except OSError as problem:
            log.warning(
                "The snapshot of epoch %d could not be written to %s: %s. The fit goes on; it "
                "can be resumed from the snapshot of epoch %d only.",
                len(self.history),
                self.run.folder,
                problem.strerror or problem,
                self.written_epoch,
            )
        else:
            self.written_epoch = len(self.history)

    def _state(self) -> dict[str, Any]:
        """What `resume` loads."""
        device = self.learner.device
        best = self.best
        # Each device has a generator of its own beside the CPU's.
        on_device = None
        if device.type == "cuda":
            on_device = torch.cuda.get_rng_state(device)

        return {
            "net": self.learner.net.state_dict(),
            "random": torch.get_rng_state(),
            "random_on_device": on_device,
            "epochs": self.history.epochs,
            "seconds": self.history.seconds,
            "learner": self.learner.state(),
            "best": {
                "weights": best.weights,
                "error": best.error if best.weights else None,  # JSON has no infinity
                "epoch": best.epoch,
                "waited": best.waited,
            },
        }

    def resume(self) -> bool:
        """Load the snapshot; False if there is none."""
        state = snapshot.read(self._snapshot_folder, fit_key=self.fit_key)
        if state is None:
            return False

        # The network first: a learner may copy its weights in `load_state`.
        self.learner.net.load_state_dict(state["net"])
        torch.set_rng_state(state["random"])
        if state["random_on_device"] is not None:
            torch.cuda.set_rng_state(state["random_on_device"], self.learner.device)

        epochs = state["epochs"]
        self.history.epochs = epochs
        self.written_epoch = len(epochs)
        self.history.seconds = state["seconds"]
        self.done = bool(epochs and epochs[-1].get("last"))

        best = state["best"]
        self.best.weights = best["weights"]
        self.best.epoch = best["epoch"]
        self.best.waited = best["waited"]
        if best["error"] is None:
            self.best.error = math.inf
        else:
            self.best.error = best["error"]

        self.learner.load_state(state["learner"])
        log.info("resumed after epoch %d", len(self.history))

        return True

    def fall_back(self, reason: str) -> str:
        """After divergence: make sure that good weights are left, and say which.

        They are the best ones by validation, which `run_epochs` restores, else those of the
        snapshot.

        Raises:
            TrainingError: if there are neither.
        """
        if not self.best.weights and (self.run.folder is None or not self.resume()):
            if len(self.history):
                raise TrainingError(
                    f"{reason} No weights were kept before it: with validation ratings, or a "
                    "folder for snapshots, the fit ends with the last good ones."
                )

            raise TrainingError(f"{reason} Nothing had been learned before it.")

        epoch = self.best_epoch
        message = f"{reason} The fit ends with the weights of epoch {epoch}."
        log.warning(message)

        return message

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are the best; without validation the last one."""
        return self.best.epoch if self.best.weights else len(self.history)

    def finish(self) -> None:
        """Leave the best weights in the network, and note in the history which they are."""
        # Without validation there are no best weights, and the last ones stay.
        self.best.restore()
        self.history.best_epoch = self.best_epoch
        self.history.best_valid = self.best.figure
        self.learner.net.eval()

    @property
    def _snapshot_folder(self) -> Path:
        assert self.run.folder is not None
        return Path(self.run.folder) / "snapshot"
