"""Run: how to fit, never what.

Changing a Run may change how long a fit takes, not what it means (the seed excepted, and every
result carries its seed). Another number of threads, device or precision adds numbers up in another
order: results are equal but for rounding, which a long fit of a deep network can amplify.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from recollect.errors import SettingError

# Called after each epoch with that epoch's figures.
Watcher = Callable[[dict[str, float]], None]
# The same with the network; but for L-BFGS, it holds the last gradients.
NetWatcher = Callable[[dict[str, float], torch.nn.Module], None]

PRECISIONS = (None, "32", "mixed")


@dataclass(frozen=True, kw_only=True)
class Run:
    """How to fit: device, seed, threads, and where an unfinished fit is kept."""

    seed: int = 0
    device: str = "cpu"  # "cpu", "cuda", "cuda:1"
    threads: int | None = None  # None: as torch is set, by default every core
    kernels: str | None = None  # a name of recollect.kernels.BACKENDS; None: the fastest
    folder: Path | str | None = None  # where a snapshot is kept; None: keep none
    resume: bool = False  # resume the snapshot in folder, if there is one
    snapshot_seconds: int | float = 30  # at most this much work is lost when a fit is killed
    watchers: tuple[Watcher, ...] = ()
    net_watchers: tuple[NetWatcher, ...] = ()
    precision: str | None = None  # of dense products: "32", "mixed"; None: what suits the model
    memory_check: bool = True  # refuse a fit that needs more memory than there is
    warn_if_worse: bool = True  # than the simplest model on the validation ratings

    def __post_init__(self) -> None:
        if self.folder is not None:
            object.__setattr__(self, "folder", Path(self.folder))

        if self.threads is not None and self.threads < 1:
            raise SettingError(
                f"threads must be 1 or more, found {self.threads}; leave it out for every core."
            )

        if self.precision not in PRECISIONS:
            raise SettingError(
                'precision is "32" or "mixed" (16-bit products, all else 32), found '
                f"{self.precision!r}."
            )

        self._check_device()

    def _check_device(self) -> None:
        try:
            kind = torch.device(self.device).type
        except RuntimeError as problem:
            raise SettingError(
                f'device is "cpu" or "cuda" (or "cuda:1", …), found {self.device!r}.'
            ) from problem

        if kind == "cuda" and not torch.cuda.is_available():
            raise SettingError(
                f"device={self.device!r}, but torch {torch.__version__} sees no GPU here; use "
                '"cpu".'
            )


def peak_memory_mb() -> float:
    """The most memory this process has used, in megabytes; NaN where the system hides it."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count what the parent used when it started this process.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024

    try:
        import resource
    except ImportError:  # Windows
        return float("nan")

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bytes_per_mb = 1024**2
    kilobytes_per_mb = 1024

    return peak / (bytes_per_mb if sys.platform == "darwin" else kilobytes_per_mb)
