"""Run: how to fit, never what.

Changing a Run may change how long a fit takes, not what it means (the seed excepted, and every result carries its seed).
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

Watcher = Callable[[dict[str, float]], None]  # called after each epoch with that epoch's figures


@dataclass(frozen=True, kw_only=True)
class Run:
    """How to fit: device, seed, threads, and where an unfinished fit is kept."""

    seed: int = 0
    device: str = "cpu"                                     # "cpu", "cuda", "cuda:1"
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
                         else os.cpu_count() or 1)
    folder: Path | None = None                              # where a snapshot is kept; None: keep none
    resume: bool = False                                    # take up the snapshot in folder, if there is one
    snapshot_seconds: float = 30.0                          # at most this much work is lost when a fit is killed
    watchers: tuple[Watcher, ...] = ()

    def generator(self) -> torch.Generator:
        """A new source of randomness, the same for the same seed."""
        return torch.Generator().manual_seed(self.seed)


def peak_memory_mb() -> float:
    """The most memory this process has held so far, in megabytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024**2 if sys.platform == "darwin" else 1024)  # bytes there, kilobytes elsewhere
