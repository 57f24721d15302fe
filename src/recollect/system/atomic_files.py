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


def checksum(content: dict[str, Any]) -> str:
    """The SHA-256 of a dictionary as JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Works for a file (write it at the given path) and for a folder (`mkdir` it). A missing parent
    folder is made; of a link, the target is replaced. A folder is exchanged by two renames: if the
    process is killed in between, the old one stands beside it as `.NAME.old`.

    Raises:
        OSError: if it cannot be written, or a file would replace a folder; nothing has changed.
    """
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}."
    temporary = Path(
        tempfile.mkdtemp(
            prefix=prefix,
            suffix=".tmp",
            dir=path.parent,
        )
    )
    fresh = temporary / path.name

    try:
        yield fresh
        if path.is_dir():
            _exchange_folders(fresh, path)
        else:
            os.replace(fresh, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange_folders(fresh: Path, path: Path) -> None:
    if not fresh.is_dir():
        message = "there is a folder of this name, a file was to be written"
        raise IsADirectoryError(errno.EISDIR, message, str(path))

    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    os.rename(path, old)

    try:
        os.rename(fresh, path)
    except BaseException:
        os.rename(old, path)
        raise

    shutil.rmtree(old, ignore_errors=True)
