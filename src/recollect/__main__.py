"""`python -m recollect`: the command line, which Ctrl-C ends in words from its first moment on."""

from __future__ import annotations

import os
import signal
from typing import Any


def _stop(number: int, frame: Any) -> None:
    os.write(2, b"Stopped.\n")
    os._exit(130)


def main() -> None:
    """Run the command line."""
    before = signal.signal(signal.SIGINT, _stop)
    # Importing takes a moment, and half of an import cannot be undone.
    from recollect.cli import main as run

    try:
        signal.signal(signal.SIGINT, before)
        run()
    except KeyboardInterrupt:
        # In the moment before the command line listens.
        _stop(signal.SIGINT, None)


if __name__ == "__main__":
    main()
