"""Forked processes: they have none of the threads that their parent had started.

Numba's and Polars' loops wait for those threads for ever. A forked process is refused in words
where it would begin to compute; one that was started afresh ("spawn") has threads of its own.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from recollect.errors import ProcessError

TASKS = Path("/proc/self/task")  # of Linux: a folder for each thread, with its name in `comm`

POLARS_THREAD = re.compile(r"polars-\d")  # of its pool, which starts with its first loop

_started: set[str] = set()  # libraries whose threads this process has started
_lost: set[str] = set()  # those that the parent of this forked process had started


def note_threads(library: str) -> None:
    """Note that the threads of a library run in this process."""
    _started.add(library)


def refuse_forked() -> None:
    """Refuse to compute where it would hang.

    Raises:
        ProcessError: in a process that was forked after threads had been started.
    """
    if _lost:
        raise ProcessError(
            f"This process was forked from one in which {' and '.join(sorted(_lost))} had started "
            "threads, which it lacks: it would wait for them for ever. Start processes afresh: "
            'multiprocessing.get_context("spawn"), or set_start_method("spawn").'
        )


def _before_fork() -> None:
    """Polars names its threads; that it has none yet can be seen on Linux only."""
    try:
        names = [path.read_text() for path in TASKS.glob("*/comm")]
    except OSError:
        return

    if any(POLARS_THREAD.match(name) for name in names):
        _started.add("Polars")


def _after_fork() -> None:
    _lost.update(_started)
    _started.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
