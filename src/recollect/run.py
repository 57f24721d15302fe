"""Run: how to fit, never what.

Changing a Run may change how long a fit takes, not what it means (the seed excepted, and every result carries its seed).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from recollect.errors import SettingError

Watcher = Callable[[dict[str, float]], None]  # called after each epoch with that epoch's figures
NetWatcher = Callable[
    [dict[str, float], torch.nn.Module], None
]  # and with the network; but for L-BFGS, with its last gradients


@dataclass(frozen=True, kw_only=True)
class Run:
    """How to fit: device, seed, threads, and where an unfinished fit is kept."""

    seed: int = 0
    device: str = "cpu"  # "cpu", "cuda", "cuda:1"
    threads: int | None = None  # None: as many as torch was told, by default every core
    kernels: str | None = None  # a name of recollect.kernels.BACKENDS; None: the fastest
    folder: Path | str | None = None  # where a snapshot is kept; None: keep none
    resume: bool = False  # take up the snapshot in folder, if there is one
    snapshot_seconds: int | float = 30  # at most this much work is lost when a fit is killed
    watchers: tuple[Watcher, ...] = ()
    net_watchers: tuple[NetWatcher, ...] = ()
    precision: str | None = None  # of dense products: "32", "mixed"; None: what suits the model
    memory_check: bool = True  # refuse a fit for which the memory will not do

    def __post_init__(self) -> None:
        if self.folder is not None:
            object.__setattr__(self, "folder", Path(self.folder))
        if self.threads is not None and self.threads < 1:
            raise SettingError(
                f"threads must be 1 or more, found {self.threads}; leave it out for every core."
            )
        if self.precision not in (None, "32", "mixed"):
            raise SettingError(
                f'precision is "32" or "mixed" (16-bit products, all else 32), found {self.precision!r}.'
            )
        try:
            kind = torch.device(self.device).type
        except RuntimeError as problem:
            raise SettingError(
                f'device is "cpu" or "cuda" (or "cuda:1", …), found {self.device!r}.'
            ) from problem
        if kind == "cuda" and not torch.cuda.is_available():
            raise SettingError(
                f'device={self.device!r}, but torch {torch.__version__} sees no GPU here; use "cpu".'
            )


def peak_memory_mb() -> float:
    """The most memory this process has held so far, in megabytes; NaN where the system does not say (Windows)."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this process
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024**2 if sys.platform == "darwin" else 1024
    )
