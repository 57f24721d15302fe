"""Write files and folders so that a reader never sees half of one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well it takes the place of `path`, else it is removed.

    Works for a file (write it at the given path) and for a folder (`mkdir` it). The parent folder is made if missing.
    An existing folder is exchanged by two renames: killed in between, the old one stands beside it as `.NAME.old`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    fresh, old = room / path.name, path.with_name(f".{path.name}.old")
    try:
        yield fresh
        if not path.is_dir():
            os.replace(fresh, path)
            return
        shutil.rmtree(old, ignore_errors=True)
        os.rename(path, old)
        os.rename(fresh, path)
        shutil.rmtree(old)
    finally:
        shutil.rmtree(room, ignore_errors=True)
