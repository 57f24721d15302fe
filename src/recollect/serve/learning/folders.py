"""Where versions lie, which are kept, and the curve of a fit."""

from __future__ import annotations

import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from recollect.model import Model
from recollect.serve.store import experiments, versions
from recollect.serve.store.database import Session

KEPT = 3  # versions whose folders stay, the newest


def new_folder(versions_folder: Path) -> Path:
    """A name for a new version's folder; nothing is made."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return versions_folder / f"{moment}-{uuid.uuid4().hex[:8]}"


def to_remove(session: Session) -> list[tuple[int, Path]]:
    """The versions beyond those that are kept, and their folders.

    The active one stays, and the arms of the experiment that runs.
    """
    running = experiments.running(session)
    in_use = {versions.active(session)}
    if running is not None:
        in_use |= {arm.version for arm in running.arms}

    every = [one for one in versions.every(session) if one.state != versions.REMOVED]
    older = [one for one in every[KEPT:] if one.version not in in_use]

    return [(one.version, Path(one.folder)) for one in older]


def remove(folder: Path, versions_folder: Path) -> None:
    """Remove the folder of a version that the service wrote; one that it was given stays."""
    if folder.resolve().parent == versions_folder.resolve():
        with suppress(OSError):
            shutil.rmtree(folder)


def curve_of(model: Model) -> dict[str, list[tuple[int, float]]]:
    """What was measured after each epoch of a fit, by the name of the figure."""
    history = model.history_
    names = (history.train_name, history.valid_name)
    return {name: points for name in names if (points := history.column(name))}
