"""What a verb of many fits says when it is stopped."""

from __future__ import annotations

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
