"""Two paths exchanged in one step, where the system can."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

# Of Linux, <linux/fs.h> and <fcntl.h>.
RENAME_EXCHANGE = 2
AT_FDCWD = -100

# What systems and file systems say that have no such exchange.
UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM}


def exchange(one: Path, other: Path) -> bool:
    """Exchange what stands at two paths, at no time with nothing at either.

    Returns: False, and nothing was done, if the system or the file system cannot.

    Raises:
        OSError: if it can, and failed.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or an early C library
        return False

    paths = os.fsencode(one), os.fsencode(other)
    if rename(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0:
        return True

    number = ctypes.get_errno()
    if number in UNKNOWN:
        return False

    raise OSError(number, os.strerror(number), str(other))
