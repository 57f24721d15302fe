"""Run what has no result yet: every run on every split is a job in a fresh process, as many at a time as memory allows."""

from __future__ import annotations

import inspect
import math
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from recollect import registry
from recollect.data import download, open_data
from recollect.data.ratings import Ratings
from recollect.data.sources import amazon, citeulike, movielens, netflix
from recollect.data.splitting import Split, find, random_split
from recollect.errors import RecollectError, TrainingError
from recollect.evaluation.metrics import rating_figures
from recollect.evaluation.protocols import held_out, new_users
from recollect.experiment.file import PUBLISHED, Cut, Entry, Part, Table
from recollect.experiment.results import Job, Results, is_done, job_of, made_by
from recollect.experiment.texts import same_texts
from recollect.memory_estimate import Shape
from recollect.model import Model
from recollect.run import Run, peak_memory_mb
from recollect.system.available_memory import available
from recollect.system.processes import run_each


@dataclass(frozen=True)
class Task:
    """A job, and what a process needs to do it."""

    job: Job
    part: Part
    cut: Cut
    results: Results
    threads: int | None
    label: str  # for people
    memory: int  # bytes, predicted


@dataclass(frozen=True)
class Planned:
    """An entry of a table on a part, and its jobs, one per split; without data here there are none."""

    part: Part
    table: Table
    entry: Entry
    jobs: tuple[Job, ...]


# --- what there is to do -------------------------------------------------------------------------------------------------


def look_for_data(
    parts: Sequence[Part], results: Results, *, others: Iterable[Part] = ()
) -> dict[str, dict[str, Any]]:
    """What is known of the parts' data, read anew if they are here, and kept with the results; of those of other parts, only
    whether they are here."""
    wanted = {part.source: part for part in parts}
    for name, part in ({part.source: part for part in others} | wanted).items():
        why = missing(part.data) or (part.texts and part.texts.missing(part.data))
        if why:
            results.note_data(name, {"missing": why})
        elif name in wanted:
            results.note_data(name, _about(load(part)))
        elif "missing" in results.data().get(name, {}):
            results.note_data(name, {})
    return results.data()


def load(part: Part) -> Ratings:
    """The ratings of a part, with their texts if it has some.

    Raises: as `sources.load` and `with_texts`.
    """
    ratings = open_data.load(part.data)
    return ratings if part.texts is None else part.texts.attached(ratings, part.data)


def missing(name: str) -> str | None:
    """Why the data of this name cannot be used here and how to get them; None if they are here. Nothing is downloaded."""
    if Path(name).exists():
        return None
    (family, _, variant), places = name.partition("/"), download.homes()
    if family == "netflix":
        is_here = any(
            netflix.is_folder(place / folder) for place in places for folder in netflix.FOLDERS
        )
        place = f"$RECOLLECT_DATA/{netflix.FOLDERS[0]}"
        return (
            None
            if is_here
            else f"{name} is not here; put your copy of the Netflix Prize at {place}"
        )
    if family in ("amazon", "citeulike"):
        source = {"amazon": amazon, "citeulike": citeulike}[family]
        if source.find(variant) is not None:
            return None
        folder = source.VARIANTS[variant].folder
        return f"{name} is not here; `recollect data fetch {name}` gets it, or put it at $RECOLLECT_DATA/{folder}"
    if family != "movielens":
        return None  # made here
    release = movielens.VARIANTS[variant]
    files = [
        path
        for place in places
        for path in (place / release.folder / release.ratings, place / f"{release.folder}.zip")
    ]
    if any(path.is_file() for path in files):
        return None
    return f"{name} is not here; `recollect data fetch {name}` gets it, or put it at $RECOLLECT_DATA/{release.folder}"


def _about(ratings: Ratings) -> dict[str, Any]:
    return {
        "fingerprint": ratings.fingerprint,
        "users": ratings.n_users,
        "items": ratings.n_items,
        "ratings": len(ratings),
        "timed": ratings.time is not None,
        "item_counts": np.quantile(
            ratings.count("item")[ratings.count("item") > 0], np.linspace(0, 1, 201)
        ).tolist(),
    }


def plan(chosen: Sequence[tuple[Table, Part]], data: dict[str, dict[str, Any]]) -> list[Planned]:
    """Every entry that is asked for, with its jobs as far as its data are known."""
    found = []
    for table, part in chosen:
        fingerprint = data.get(part.source, {}).get("fingerprint")
        for entry in table.entries[part.name]:
            jobs_ = (
                tuple(job_of(entry, cut, fingerprint) for cut in table.cuts(part))
                if entry.model and fingerprint
                else ()
            )
            found.append(Planned(part, table, entry, jobs_))
    return found


def tasks(
    planned: Sequence[Planned],
    results: Results,
    data: dict[str, dict[str, Any]],
    *,
    fresh: bool = False,
) -> list[Task]:
    """What must be run: jobs without a result (all, if `fresh`), each once."""
    found: dict[str, Task] = {}
    for each in planned:
        for job, cut in zip(each.jobs, each.table.cuts(each.part), strict=False):
            if job.key in found or (not fresh and is_done(results.read(job))):
                continue
            label = f"{each.part.name}, {each.table.name}, {each.entry.name}, {_told(cut)}"
            found[job.key] = Task(
                job, each.part, cut, results, None, label, _memory(job, data[each.part.source])
            )
    return list(found.values())


def _told(cut: Cut) -> str:
    return f"fold {cut.seed}" if cut.settings["how"] == PUBLISHED else f"seed {cut.seed}"


def _memory(job: Job, data: dict[str, Any]) -> int:
    """Bytes that the job will take, a little more than it should: as if all ratings were learned from."""
    n = int(data["ratings"])
    shape = Shape(
        n_users=data["users"],
        n_items=data["items"],
        n_train=n,
        n_valid=n // 20,
        timed=data["timed"],
    )
    return registry.make(job.model, **job.settings).memory(shape).peak


def at_once(needs: Sequence[int], *, cores: int, available: int | None) -> int:
    """How many jobs may run at a time: as many as cores, and as the largest of them fit into memory together; at least 1."""
    largest, most = sorted(needs, reverse=True), max(1, min(cores, len(needs)))
    fits = (n for n in range(most, 1, -1) if available is None or sum(largest[:n]) <= available)
    return next(fits, 1)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- doing it ------------------------------------------------------------------------------------------------------------


def each(
    todo: Sequence[Task], *, processes: int | None = None
) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Run the tasks and give each with its record, in their order; a record is on disk as soon as its job is done.

    `processes` at a time (0: in this one), by default what `at_once` says; each has its share of the cores. A job that fails
    is recorded with the reason, and the others go on.
    """
    there = available()
    n = processes
    if n is None:
        n = at_once(
            [task.memory for task in todo], cores=cores(), available=there.bytes if there else None
        )
    rest = deque(replace(task, threads=max(1, cores() // max(1, n))) for task in todo)
    begun = time.time()
    while rest:
        found = run_each(work, list(rest), processes=n)
        try:
            for record in found:
                yield rest.popleft(), record
        except (
            TrainingError
        ) as problem:  # a process died, its job with it; what the others did meanwhile is on disk
            task = rest.popleft()
            yield task, _keep_failure(task, str(problem))
            for task in [task for task in rest if _finished_since(task, begun)]:
                rest.remove(task)
                yield task, task.results.read(task.job) or {}


def _finished_since(task: Task, begun: float) -> bool:
    record = task.results.read(task.job)
    return record is not None and bool(record["made"]["finished"] >= begun)


def work(task: Task) -> dict[str, Any]:
    """Do a job in this process and keep its record: its figures, or why it failed."""
    _end_with_parent()
    begun = time.monotonic()
    try:
        figures, errors = _measured(task)
    except Exception as problem:
        kind = "" if isinstance(problem, RecollectError) else f"{type(problem).__name__}: "
        return _keep_failure(task, f"{kind}{problem}")
    return task.results.write(
        task.job,
        {
            **figures,
            "seconds": time.monotonic() - begun,
            "peak_memory_mb": peak_memory_mb(),
            **_made(task),
        },
        errors,
    )


def _keep_failure(task: Task, why: str) -> dict[str, Any]:
    return task.results.write(task.job, {"failed": why, **_made(task)})


def _made(task: Task) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "data": task.part.source,
        "made": {
            **made_by(task.job.model),
            "threads": task.threads,
            "finished": now.timestamp(),
            "date": now.isoformat(timespec="seconds"),
        },
    }


def _end_with_parent() -> None:
    """A killed `run` must not leave fits behind that nobody waits for."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()


def _measured(task: Task) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Fit, then score on test once: figures, and what comparisons need of each test rating."""
    split = cut(task.part, task.cut)
    model = registry.make(task.job.model, **task.job.settings)
    model.fit(split.train, split.valid, Run(seed=task.job.seed, threads=task.threads))
    scores = held_out(model, split.test) if split.given is None else new_users(model, split)
    history = model.history_
    curve = {key: history.column(key) for key in ("train_rmse", "valid_rmse", "objective")}
    errors = {
        "squared_error": scores.values["rmse"].astype(np.float32),
        "user": np.asarray(scores.group, np.int32),
    }
    return {
        "test": {name: float(scores[name]) for name in rating_figures()},
        "valid_rmse": validation_rmse(model, split.valid),
        "n_train": len(split.train),
        "n_valid": 0 if split.valid is None else len(split.valid),
        "n_test": len(split.test),
        "n_cold": scores.about["n_cold"],
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "curve": curve,
        "n_parameters": sum(p.numel() for p in model.net_.parameters()),
        "fit_seconds": model.seconds_,
    }, errors


def validation_rmse(model: Model, valid: Ratings | None) -> float | None:
    """The validation RMSE by which the model was chosen; of one without epochs, as held-out ratings; None if it saw them."""
    if math.isfinite(model.history_.best_valid_rmse):
        return model.history_.best_valid_rmse
    return None if valid is None or model.refit else float(held_out(model, valid)["rmse"])


def cut(part: Part, cut: Cut) -> Split:
    """A split of the data of a part.

    Raises: as `load` and the split.
    """
    settings = {key: value for key, value in cut.settings.items() if key != "how"}
    if cut.settings["how"] == PUBLISHED:
        return _published(part, cut.seed, settings.get("valid", 0.0))
    how = find(cut.settings["how"])
    seeded = {"seed": cut.seed} if "seed" in inspect.signature(how).parameters else {}
    return how(load(part), **settings, **seeded)


def _published(of: Part, fold: int, valid: float) -> Split:
    """A published fold of MovieLens 100K; `valid` is a share of its train, drawn by the fold's number as seed."""
    train, test = movielens.fold(fold)
    if of.texts is not None:
        train = of.texts.attached(train, of.data)
        test = same_texts(test, train)
    settings = {"fold": fold, "valid": valid}
    if not valid:
        return Split(train, None, test, "published fold", fold, settings)
    part = random_split(train, test=valid, seed=fold)
    return Split(part.train, part.test, test, "published fold", fold, settings)
