"""Which door a request came through, so that an error names what the person can write there.

In Python that is an argument (`rating="…"`), on the command line an option (`--rating-column …`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_command_line: ContextVar[bool] = ContextVar("is_command_line", default=False)


@contextmanager
def command_line() -> Iterator[None]:
    """Within this, what is asked comes from the command line."""
    token = _is_command_line.set(True)

    try:
        yield
    finally:
        _is_command_line.reset(token)


def words(python: str, option: str) -> str:
    """What to write: `python` as arguments, `option` as options of the command line."""
    return option if _is_command_line.get() else python
