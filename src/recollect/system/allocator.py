"""How a process shares the machine: freed memory goes back, idle threads sleep.

The command line asks for it. Linux with glibc only; elsewhere nothing changes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from ctypes import CDLL

MB = 1 << 20
LARGE = 4 * MB  # larger blocks are mapped by the system one by one, and returned when freed
LARGE_IN_BATCHES = 64 * MB

# glibc's names for the settings of mallopt.
TRIM_THRESHOLD = -1
MMAP_THRESHOLD = -3
DEFAULT_TRIM_THRESHOLD = 128 * 1024


def configure() -> None:
    """Return freed blocks to the system at once, use huge pages, and let idle threads sleep.

    Without it the freed blocks of a fit stay with the process in pieces, and its peak is a quarter
    higher. Torch's idle threads spin a thousand times instead of a third of a million: on a busy
    machine two spinning threads that wait for each other are ten times slower than one. Call it
    before torch is imported.
    """
    if sys.platform != "linux":
        return

    # Polars (jemalloc): keep nothing that was freed.
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
    # torch: huge pages for large blocks, so that mapping them costs no time.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # glibc: by environment for processes started from here, by mallopt for this one.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(LARGE))
    _mallopt(MMAP_THRESHOLD, LARGE)


@contextlib.contextmanager
def reusing_blocks() -> Iterator[None]:
    """Within this block freed memory is kept and used again.

    For work that allocates the same blocks batch after batch and would wait for fresh pages each
    time. Does nothing unless `configure` was called, here or where this process was started.
    """
    if os.environ.get("MALLOC_MMAP_THRESHOLD_") != str(LARGE):
        yield
        return

    _mallopt(MMAP_THRESHOLD, LARGE_IN_BATCHES)
    _mallopt(TRIM_THRESHOLD, 4 * LARGE_IN_BATCHES)

    try:
        yield
    finally:
        _mallopt(MMAP_THRESHOLD, LARGE)
        _mallopt(TRIM_THRESHOLD, DEFAULT_TRIM_THRESHOLD)

        with contextlib.suppress(OSError, AttributeError):
            CDLL(None).malloc_trim(0)


def _mallopt(parameter: int, value: int) -> None:
    """Set a parameter of glibc's malloc; elsewhere do nothing."""
    with contextlib.suppress(OSError, AttributeError):
        CDLL(None).mallopt(parameter, value)
