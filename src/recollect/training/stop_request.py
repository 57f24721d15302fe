"""Ctrl-C and SIGTERM as a request to stop after the epoch."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class StopRequest:
    """Whether Ctrl-C or SIGTERM asked the fit to stop."""

    asked = False


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop after the epoch; a second one stops
    at once.

    Only the main thread can handle signals; in other threads nothing changes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: Any) -> None:
        # The second signal: the epoch takes too long to wait for.
        if request.asked:
            raise KeyboardInterrupt

        request.asked = True

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}

    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
