"""What a verb says when it is stopped, and what does not stop it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def resumable(kept: Path) -> Iterator[None]:
    """Within this block, Ctrl-C says where finished work is kept, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped. What is finished is kept in {kept}; the same command goes on."
        ) from None


@contextmanager
def going_on_after_hangup() -> Iterator[None]:
    """Within this block the terminal may go away (SIGHUP): the work goes on, as under nohup."""
    is_main = threading.current_thread() is threading.main_thread()
    if not hasattr(signal, "SIGHUP") or not is_main:
        yield
        return

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
