"""Write files and folders so that a reader never sees half of one."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def checksum(about: dict[str, Any]) -> str:
    """The SHA-256 of what JSON makes of it, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well it takes the place of `path`, else it is removed.

    Works for a file (write it at the given path) and for a folder (`mkdir` it). The parent folder is made if missing;
    of a link, what it points to is replaced. A folder is exchanged by two renames: killed in between, the old one
    stands beside it as `.NAME.old`.

    Raises: OSError if it cannot be written, or a file would take the place of a folder; then nothing has changed.
    """
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    fresh = room / path.name
    try:
        yield fresh
        if path.is_dir():
            _exchange(fresh, path)
        else:
            os.replace(fresh, path)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _exchange(fresh: Path, path: Path) -> None:
    if not fresh.is_dir():
        raise IsADirectoryError(
            errno.EISDIR, "there is a folder of this name, a file was to be written", str(path)
        )
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    os.rename(path, old)
    try:
        os.rename(fresh, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
