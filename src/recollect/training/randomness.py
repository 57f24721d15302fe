"""torch's random generator, for one fit at a time.

Layers, dropout and permutations draw from the one generator that torch has in a process. Two fits
in two threads would draw each other's numbers, and neither would follow from its seed. They take
turns instead: each uses all cores anyway.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from recollect.system.forking import refuse_forked

log = logging.getLogger("recollect")

_turn = threading.RLock()  # of the thread that fits; a fit within a fit has its turn already


@contextmanager
def own_generator(seed: int | None = None) -> Iterator[None]:
    """Within this block, torch's generator belongs to this thread; afterwards it is as before.

    Args:
        seed: where it begins; None: where it stands.

    Raises:
        ProcessError: in a forked process that would wait for threads of its parent.
    """
    refuse_forked()
    turn = _turn  # a fork within the block makes another
    if not turn.acquire(blocking=False):
        log.info("Another fit of this process is running; this one starts when it has ended.")
        turn.acquire()

    try:
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.manual_seed(seed)

            yield
    finally:
        turn.release()


def _renew() -> None:
    """A forked process has no thread that would give the turn back."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
