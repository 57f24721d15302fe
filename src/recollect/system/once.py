"""A value that is computed once, however many threads ask for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Once(Generic[Value]):
    """Computes a value for the first thread that asks; the others wait and get the same one.

    A served model answers many threads. Without a lock each of them would compute what the model
    keeps, at the same time and with the memory of all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: list[Value] = []  # empty before the first request, then one value

    @property
    def known(self) -> Value | None:
        """The value; None if nobody has asked for it yet."""
        return self._values[0] if self._values else None

    def get(self, compute: Callable[[], Value]) -> Value:
        """The value; `compute` is called if there is none yet."""
        if self._values:
            return self._values[0]

        with self._lock:
            if not self._values:
                self._values.append(compute())

            return self._values[0]
