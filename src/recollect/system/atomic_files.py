"""Write files and folders so that a reader never sees half of one, and a power cut leaves none.

What is written lies in a hidden folder beside its place, `.NAME.xxxxxxxx.tmp`, until it is complete
and on the disk; then it takes its place. A killed process leaves that folder, and the next one that
writes to the same place removes it. `.writing` in it is locked as long as its process lives.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recollect.system.locks import UNLOCKED_SUFFIX, Lock
from recollect.system.renaming import exchange

WRITING = ".writing"  # in a temporary folder: locked while its process lives
UNLOCKED = WRITING + UNLOCKED_SUFFIX  # the same before it is locked
SECONDS_TO_BEGIN = 60  # within which a living process has locked its temporary folder
OLD = ".old"  # in a temporary folder: what stood in the place, between the two renames


def checksum(content: dict[str, Any]) -> str:
    """The SHA-256 of a dictionary as JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@contextmanager
def replacing(path: str | Path, *, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Works for a file (write it at the given path) and for a folder (`mkdir` it). A missing parent
    folder is made; of a link, the target is replaced. Every file gets the mode that new files have
    here, and is on the disk before it takes its place. Two folders are exchanged in one step where
    the system can; elsewhere by two renames, and if the process is killed in between, `recover`
    ends the exchange.

    Args:
        path: of the file or folder.
        check: called with the folder that is about to be replaced; may refuse by an error.

    Raises:
        OSError: if it cannot be written, or a file would replace a folder; nothing has changed.
    """
    path = resolved(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    recover(path)

    with _temporary_folder(path) as temporary:
        fresh = temporary / path.name
        yield fresh
        _settle(fresh, mode=_mode_of_new_files(temporary))
        if path.is_dir():
            _replace_folder(fresh, path, check)
        else:
            os.replace(fresh, path)

        _sync(path.parent)


def resolved(path: str | Path) -> Path:
    """The absolute path, links followed.

    Raises:
        OSError: for links that lead to each other.
    """
    try:
        return Path(path).resolve()
    except RuntimeError as problem:  # Python 3.12 and before
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from problem


def recover(path: str | Path) -> None:
    """Remove what killed processes left beside a path, and end an exchange that one had begun.

    Only folders with a `.writing` that no living process has locked; all else stays.
    """
    path = resolved(path)

    for temporary in left_beside(path):
        lock = Lock.of(temporary / WRITING)
        if lock is None:
            _remove_if_never_begun(temporary)
            continue

        with lock, suppress(OSError):
            _end_exchange(temporary, path)
            _remove(temporary)


def left_beside(path: Path) -> list[Path]:
    """The temporary folders for a path, of processes that write to it or were killed."""
    prefix = f".{path.name}."

    try:
        names = os.listdir(path.parent)
    except OSError:
        return []

    folders = [name for name in names if name.startswith(prefix) and name.endswith(".tmp")]

    return [path.parent / name for name in sorted(folders)]


def _remove_if_never_begun(temporary: Path) -> None:
    """Remove what a process left that was killed before it had locked its temporary folder."""
    with suppress(OSError):
        age = time.time() - temporary.stat().st_mtime
        if age > SECONDS_TO_BEGIN and set(os.listdir(temporary)) <= {UNLOCKED}:
            (temporary / UNLOCKED).unlink(missing_ok=True)
            temporary.rmdir()


def _remove(temporary: Path) -> None:
    """Remove a temporary folder; until all else is gone, `.writing` says that it is one."""
    for name in os.listdir(temporary):
        inner = temporary / name
        if inner.is_dir() and not inner.is_symlink():
            shutil.rmtree(inner, ignore_errors=True)
        elif name != WRITING:
            inner.unlink(missing_ok=True)

    shutil.rmtree(temporary, ignore_errors=True)


def _end_exchange(temporary: Path, path: Path) -> None:
    """Put a folder in its place that a killed process had moved away the earlier one for."""
    if not os.path.lexists(temporary / OLD) or os.path.lexists(path):
        return

    fresh = temporary / path.name
    os.rename(fresh if fresh.exists() else temporary / OLD, path)


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    temporary = tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    folder = Path(temporary)

    try:
        with Lock.make(folder / WRITING):
            yield folder
    finally:
        with suppress(OSError):
            _remove(folder)


def _replace_folder(fresh: Path, path: Path, check: Callable[[Path], None] | None) -> None:
    if not fresh.is_dir():
        message = "there is a folder of this name, a file was to be written"
        raise IsADirectoryError(errno.EISDIR, message, str(path))

    if check is not None:
        check(path)

    # Afterwards the earlier folder lies in the temporary one, and is removed with it.
    if exchange(fresh, path):
        return

    old = fresh.with_name(OLD)
    os.rename(path, old)

    try:
        os.rename(fresh, path)
    except BaseException:
        os.rename(old, path)
        raise


def _settle(fresh: Path, *, mode: int) -> None:
    """Give every file its mode, and wait until all of it is on the disk."""
    if not fresh.is_dir():
        _settle_file(fresh, mode)
        return

    for folder, _, names in os.walk(fresh):
        for name in names:
            _settle_file(Path(folder) / name, mode)

        _sync(Path(folder))


def _settle_file(path: Path, mode: int) -> None:
    status = path.lstat()
    # A file with other names is a link to somebody's file, which has its mode and is on the disk.
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        path.chmod(mode)
        _sync(path)


def _mode_of_new_files(folder: Path) -> int:
    """The mode that the umask leaves; asking for the umask itself would change it for a moment."""
    return stat.S_IMODE((folder / WRITING).stat().st_mode)


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk, where the system can say so.

    Raises:
        OSError: if it cannot be written after all (a full disk, a broken one).
    """
    if os.name == "nt":
        return

    descriptor = os.open(path, os.O_RDONLY)

    try:
        os.fsync(descriptor)
    except OSError as problem:
        # Some file systems cannot.
        if problem.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
