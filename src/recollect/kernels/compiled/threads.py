"""How the compiled loops use the cores: as many threads as torch has, one loop at a time.

Every caller of a parallel loop of `kernels.compiled` calls it inside `with one_at_a_time():`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np
import torch
from numba.core import event as events
from typing_extensions import override

from recollect.system.forking import note_threads

SHARES_PER_THREAD = 8  # so that a thread whose rows were quick takes more

_lock = threading.Lock()  # some of Numba's threading layers fail when two callers run at once


@contextmanager
def one_at_a_time() -> Iterator[int]:
    """Hold the lock of the parallel loops and give them torch's number of threads, which is
    yielded."""
    with _lock:
        most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        n_threads = min(torch.get_num_threads(), most)
        numba.set_num_threads(n_threads)
        yield n_threads


def equal_shares(work: np.ndarray, n_shares: int) -> np.ndarray:
    """The first row of each share, and the number of rows; every share has about the same work.

    Args:
        work: rows + 1 ascending numbers: the work of all rows before each, and of all.
        n_shares: how many shares to make; some are empty where few rows have most of the work.
    """
    ends = np.linspace(0, work[-1], n_shares + 1)
    first = np.searchsorted(work, ends)
    # Rows without work at either end would otherwise be in no share.
    first[0] = 0
    first[-1] = len(work) - 1
    return first


def work_of_solving(start: np.ndarray, k: int) -> np.ndarray:
    """The work of all rows before each, and of all, whose k normal equations are made and solved.

    Factoring k equations costs about as much as adding k / 3 cells to them.

    Args:
        start: rows + 1, the first cell of each row.
        k: how many equations a row has.
    """
    # At least 1: rows without cells are work, too, and equal shares need ascending numbers.
    factoring = np.int64(k // 3 + 1)
    rows_before = np.arange(len(start))
    return start + rows_before * factoring


class CompilationNotice(events.Listener):
    """Logs once that loops of this package are being compiled.

    Later processes read the compiled code from disk, which Numba does not report as a compilation.
    """

    given = False

    @override
    def on_start(self, event: events.Event) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if not self.given and module.startswith(__package__):
            self.given = True
            logging.getLogger("recollect").info(
                "Compiling the loops, once after installing: some ten seconds."
            )

    @override
    def on_end(self, event: events.Event) -> None:
        pass


def _start_threads() -> None:
    """Start Numba's threads with the OpenMP wait policy "passive", so that they sleep between
    loops.

    By default they wait busily and take the cores from torch's threads: small products then took
    ten times as long. Where Numba and torch share one OpenMP library, Numba also changes torch's
    number of threads, so it is set again.
    """
    # Read when the OpenMP library starts, which is with its first threads: later it has no effect.
    n_threads = torch.get_num_threads()
    policy = os.environ.get("OMP_WAIT_POLICY")
    os.environ["OMP_WAIT_POLICY"] = policy or "passive"

    try:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        note_threads("Numba")
    finally:
        torch.set_num_threads(n_threads)
        if policy is None:
            del os.environ["OMP_WAIT_POLICY"]


_start_threads()
notice = CompilationNotice()
events.register("numba:compile", notice)
