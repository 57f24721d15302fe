"""Doing what the planner found: each task in a process of its own, its record on disk at once."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from recollect import registry
from recollect.data.ratings import Ratings
from recollect.data.splitting import Split
from recollect.errors import RecollectError, TrainingError
from recollect.evaluation.metrics import rating_figures
from recollect.evaluation.protocols import Scores, held_out, new_users
from recollect.experiment.event_fit import measure_events
from recollect.experiment.part_data import split_part
from recollect.experiment.planner import Task, available_cores, processes_that_fit
from recollect.experiment.results import Record, UserSums, made_by
from recollect.model import Model
from recollect.run import Run, peak_memory_mb
from recollect.system.available_memory import available as available_memory
from recollect.system.processes import run_each

CURVE_DIGITS = 6  # significant ones: enough to draw and to compare epochs


def run_tasks(
    tasks: Sequence[Task], *, processes: int | None = None, device: str = "cpu"
) -> Iterator[tuple[Task, Record]]:
    """Run tasks and give each with its record, in their order.

    A record is on disk as soon as its job is done. A job that fails is recorded with the reason,
    and the others go on.

    Args:
        tasks: what to run; the cores are divided among those that run at a time.
        processes: how many run at a time; 0: one after another in this process; None: as many as
            cores and memory allow.
        device: where to fit: "cpu", "cuda", "cuda:1"; all tasks share it.

    Raises:
        SettingError: there is no such device; no job is recorded as failed for it.
    """
    Run(device=device)
    if processes is None:
        processes = _default_processes(tasks)

    threads = max(1, available_cores() // max(1, processes))
    remaining = deque(replace(task, threads=threads, device=device) for task in tasks)
    begun = datetime.now(UTC)

    while remaining:
        records = run_each(run_task, list(remaining), processes=processes)

        try:
            for record in records:
                yield remaining.popleft(), record
        except TrainingError as problem:
            # A process died and took its job with it. What the others finished is on disk.
            task = remaining.popleft()
            yield task, _write_failure(task, str(problem))
            finished = [task for task in remaining if _finished_since(task, begun)]

            for task in finished:
                remaining.remove(task)
                yield task, task.results.read(task.job) or {}


def _default_processes(tasks: Sequence[Task]) -> int:
    available = available_memory()
    return processes_that_fit(
        [task.memory for task in tasks],
        cores=available_cores(),
        available=available.bytes if available else None,
    )


def _finished_since(task: Task, begun: datetime) -> bool:
    record = task.results.read(task.job)
    if record is None:
        return False

    date = record["made"]["date"]

    return datetime.fromisoformat(date) >= begun


def run_task(task: Task) -> Record:
    """Do a task in this process and write its record: figures, or why it failed."""
    begun = time.monotonic()

    try:
        figures, user_sums = _measure(task)
    except Exception as problem:
        kind = "" if isinstance(problem, RecollectError) else f"{type(problem).__name__}: "
        return _write_failure(task, f"{kind}{problem}")

    seconds = round(time.monotonic() - begun, 3)
    figures |= {"seconds": seconds, "peak_memory_mb": round(peak_memory_mb(), 1)}

    return task.results.write(task.job, {**figures, **_provenance(task)}, user_sums)


def _write_failure(task: Task, reason: str) -> Record:
    record = {"failed": reason, **_provenance(task)}
    return task.results.write(task.job, record)


def _provenance(task: Task) -> dict[str, Any]:
    date = datetime.now(UTC).isoformat(timespec="milliseconds")
    made = {**made_by(), "threads": task.threads, "date": date}
    if task.device != "cpu":
        made["device"] = torch.cuda.get_device_name(task.device)

    return {"data": task.part.source, "made": made}


def _measure(task: Task) -> tuple[dict[str, Any], UserSums | None]:
    """Fit, then score the test ratings once."""
    split = split_part(task.part, task.split)
    model = registry.make(task.job.model, **task.job.settings)
    run = Run(seed=task.job.seed, threads=task.threads, device=task.device)
    if task.part.events is None:
        figures, scores = _measure_ratings(model, split, run)
        return figures, _sum_by_user(scores) if task.keeps_user_sums else None

    sums_of = task.part.metric if task.keeps_user_sums else None

    return measure_events(model, split, run, sums_of=sums_of)


def _measure_ratings(model: Model, split: Split, run: Run) -> tuple[dict[str, Any], Scores]:
    """The figures of a fit to ratings, and the scores of the test ratings behind them."""
    model.fit(split.train, split.valid, run)
    scores = held_out(model, split.test) if split.given is None else new_users(model, split)
    history = model.history_
    curve = {}

    for key in ("train_rmse", "valid_rmse"):
        curve[key] = _round_curve(history.column(key))

    figures = {
        "test": {name: float(scores[name]) for name in rating_figures()},
        "valid_rmse": validation_rmse(model, split.valid),
        "n_train": len(split.train),
        "n_valid": 0 if split.valid is None else len(split.valid),
        "n_test": len(split.test),
        "n_cold": scores.about["n_cold"],
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "curve": curve,
        "fit_seconds": round(model.seconds_, 3),
    }

    return figures, scores


def validation_rmse(model: Model, valid: Ratings | None) -> float | None:
    """The validation RMSE by which a fit was stopped, or that of a model without epochs.

    None without validation ratings, and if the model was fitted to them too.
    """
    best = model.history_.best_valid_rmse
    if math.isfinite(best):
        return best

    if valid is None or model.refit:
        return None

    scores = held_out(model, valid)

    return float(scores["rmse"])


def _round_curve(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    rounded = []

    for epoch, value in points:
        text = f"{value:.{CURVE_DIGITS}g}"
        rounded.append((epoch, float(text)))

    return rounded


def _sum_by_user(scores: Scores) -> UserSums:
    assert scores.group is not None
    user = np.asarray(scores.group)
    # Single precision first: the errors of a fit are not known any better.
    values = {metric: scores.values[metric].astype(np.float32) for metric in ("rmse", "mae")}

    return UserSums.of(user, values)
