"""Standard output and error that may be closed, full, or a terminal that has gone away."""

from __future__ import annotations

import os
import sys
from typing import Any


class Forgiving:
    """A stream for what nobody must read: once it cannot be written, nothing is written any more.

    A fit must not end because its progress cannot be shown.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._is_broken = False

    def write(self, text: str) -> int:
        """Write, or do nothing."""
        if not self._is_broken:
            try:
                self._stream.write(text)
            except (OSError, ValueError):  # ValueError: it is closed
                self._give_up()

        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing."""
        if not self._is_broken:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._give_up()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return not self._is_broken and self._stream.isatty()

    def _give_up(self) -> None:
        self._is_broken = True
        discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def discard(stream: Any) -> None:
    """Let what is written to a broken stream go nowhere: Python tries it again when it ends."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        return


def prepare() -> None:
    """Replace streams that are closed, and never fail for a letter that one cannot write."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115

        getattr(sys, name).reconfigure(errors="replace")

    forgiving: Any = Forgiving(sys.stderr)
    sys.stderr = forgiving
