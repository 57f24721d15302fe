"""Files that one process at a time has locked; the system releases the lock of a killed process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from recollect.errors import RecollectError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

UNLOCKED_SUFFIX = "-new"  # of a file that is about to be locked


class Lock:
    """A lock that is held; leaving the block releases it.

    On systems and file systems without such locks every request succeeds.
    """

    def __init__(self, path: Path, descriptor: int, *, is_removed: bool = False) -> None:
        self.path = path
        self._descriptor = descriptor
        self._is_removed = is_removed  # whether the file goes with the lock

    @staticmethod
    def of(path: Path) -> Lock | None:
        """The lock of a file that exists; None if a living process holds it, or nobody can say."""
        if fcntl is None:
            return None

        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:
            return None

        if _try(descriptor, if_unknown=False):
            return Lock(path, descriptor)

        os.close(descriptor)

        return None

    @staticmethod
    def is_held(path: Path) -> bool:
        """Whether a file exists that a living process holds."""
        lock = Lock.of(path)
        if lock is None:
            return path.exists()

        with lock:
            return False

    @staticmethod
    def make(path: Path) -> Lock:
        """A new file, locked from the moment at which it has its name."""
        unnamed = path.with_name(path.name + UNLOCKED_SUFFIX)
        descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        _try(descriptor)
        os.rename(unnamed, path)
        return Lock(path, descriptor)

    @staticmethod
    def take(path: Path) -> Lock | None:
        """The lock of a file that is made for it, and removed with it; None if another has it.

        Raises:
            OSError: if the file cannot be made.
        """
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _try(descriptor):
                os.close(descriptor)
                return None

            # The process before may have removed the file between the two steps.
            if _is_at(path, descriptor):
                return Lock(path, descriptor, is_removed=True)

            os.close(descriptor)

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_removed:
            # A file that stays does no harm: the next process takes its lock.
            with suppress(OSError):
                self.path.unlink()

        os.close(self._descriptor)


@contextmanager
def used_alone(path: Path, refusal: RecollectError, *, ending: str = "in-use") -> Iterator[None]:
    """Within this block nobody else, in this process or another, is in such a block for this path.

    The lock is a hidden file beside it, `.NAME.ENDING`. The parent folder is made.

    Args:
        path: of a file or folder, which need not exist.
        refusal: the error if somebody else uses it.
        ending: of the name of the lock; locks with other endings are independent.

    Raises:
        RecollectError: the refusal.
        OSError: if the parent folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock.take(path.parent / f".{path.name}.{ending}")
    if lock is None:
        raise refusal

    with lock:
        yield


def _try(descriptor: int, *, if_unknown: bool = True) -> bool:
    """Lock an open file; False if another process has locked it.

    Args:
        descriptor: of the file.
        if_unknown: the answer where there are no such locks.
    """
    if fcntl is None:
        return if_unknown

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return if_unknown

    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
