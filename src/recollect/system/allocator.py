"""How this process shares the machine: memory it is done with goes back, idle threads sleep. The command line asks for it.

Linux with glibc only; elsewhere nothing changes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from ctypes import CDLL

MB = 1 << 20
LARGE = 4 * MB  # blocks from here on are the system's own, and go back to it when freed
LARGE_IN_BATCHES = 64 * MB
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's names for what mallopt sets


def share() -> None:
    """Let the blocks of a fit go back to the system when it is done with them, instead of lying in pieces: a fit's peak falls
    by a quarter. Huge pages keep that from costing time.

    And let torch's idle threads sleep after a thousand looks for work, instead of a third of a million: on a busy machine, two
    threads that wait for each other so are ten times slower than one. Comes before torch is imported.
    """
    if sys.platform != "linux":
        return
    os.environ.setdefault(
        "_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0"
    )  # Polars: keep nothing freed
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch: huge pages for large blocks
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault(
        "MALLOC_MMAP_THRESHOLD_", str(LARGE)
    )  # glibc: the same for processes started from here
    _set(MMAP_THRESHOLD, LARGE)


@contextlib.contextmanager
def reusing_blocks() -> Iterator[None]:
    """In here blocks are kept and used again: for work that asks for the same ones over and over, batch after batch, and would
    wait for the system's empty pages each time. Nothing to do unless `share` was called, here or where this process was
    started."""
    if os.environ.get("MALLOC_MMAP_THRESHOLD_") != str(LARGE):
        yield
        return
    _set(MMAP_THRESHOLD, LARGE_IN_BATCHES)
    _set(TRIM_THRESHOLD, 4 * LARGE_IN_BATCHES)
    try:
        yield
    finally:
        _set(MMAP_THRESHOLD, LARGE)
        _set(TRIM_THRESHOLD, 128 * 1024)  # glibc's own
        with contextlib.suppress(OSError, AttributeError):
            CDLL(None).malloc_trim(0)


def _set(what: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        CDLL(None).mallopt(what, value)
