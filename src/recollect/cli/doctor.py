"""The verb doctor: what there is to work with, and whether it works."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from recollect.cli.show import Answer, Screen, facts, memory, seconds
from recollect.errors import TrainingError

PACKAGES = ("recollect", "torch", "numpy", "scipy", "polars", "pyarrow", "safetensors", "matplotlib")


def doctor(screen: Screen) -> Answer:
    """Show versions, devices, memory and data folders, and test the installation on made-up ratings."""
    import torch

    from recollect.data import fetch

    devices = ["cpu", *(f"cuda:{j} ({torch.cuda.get_device_name(j)})" for j in range(torch.cuda.device_count()))]
    homes = [str(home.resolve()) for home in fetch.homes()]
    found: dict[str, Any] = {
        "python": platform.python_version(), "system": platform.platform(terse=True),
        "packages": {name: _version(name) for name in PACKAGES}, "devices": devices, "threads": torch.get_num_threads(),
        "memory_mb": _memory_mb(), "data_folders": {home: _holds(Path(home)) for home in homes}, "cache": homes[-1]}
    found["self_test_seconds"] = _self_test()
    about = {"Python": f"{found['python']} on {found['system']}",
             **{name: v or "not installed" for name, v in found["packages"].items()},
             "devices": ", ".join(devices), "threads": found["threads"],
             "memory": "unknown" if found["memory_mb"] is None else memory(found["memory_mb"])}
    folders = {home: ", ".join(holds) or ("empty" if Path(home).is_dir() else "not there yet")
               for home, holds in found["data_folders"].items()}
    return Answer(found, [facts(about), "", facts(folders, title="Data are looked for in"), "",
                          f"Self-test passed in {seconds(found['self_test_seconds'])}: fitted, saved, loaded and asked "
                          "a model."])


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory_mb() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**2
    except (AttributeError, ValueError, OSError):    # not a POSIX system
        return None


def _holds(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if not path.name.startswith(".")) if home.is_dir() else []


def _self_test() -> float:
    """Fit, save, load, predict; the seconds it took.

    Raises: TrainingError if the loaded model predicts otherwise than the fitted one.
    """
    from recollect import catalogue, checkpoint
    from recollect.data.sources import load

    started = time.monotonic()
    ratings = load("planted/tiny")
    model = catalogue.make("autorec", hidden=8, reg=1.0, epochs=5).fit(ratings)
    with tempfile.TemporaryDirectory() as folder:
        again = checkpoint.load(checkpoint.save(model, Path(folder) / "model"))
    if not (again.predict(ratings.user, ratings.item) == model.predict(ratings.user, ratings.item)).all():
        raise TrainingError("A model predicts otherwise once it was saved and loaded; the installation is broken: set "
                            "it up anew.")
    return time.monotonic() - started
