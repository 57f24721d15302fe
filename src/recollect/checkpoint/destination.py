"""Where a model may be saved: saving replaces the folder, and removes nothing that it did not
write."""

from __future__ import annotations

import os
from pathlib import Path

from recollect.checkpoint.layout import foreign_files
from recollect.errors import CheckpointError
from recollect.system.atomic_files import resolved

NAMED = 3  # foreign files that the message names


def check_destination(folder: str | Path) -> None:
    """Refuse a folder that a model must not replace; better before the fit than after it.

    Raises:
        CheckpointError: for a file, the working folder, the root of a file system, and a folder
            with anything that is no part of a saved model or an interrupted fit, hidden or not.
    """
    folder = Path(folder)

    try:
        path = resolved(folder)
        _check(folder, path)
    except CheckpointError:
        raise
    except OSError as problem:
        raise CheckpointError(f"{folder} cannot be used: {problem.strerror}.") from problem


def _check(folder: Path, path: Path) -> None:
    if not path.exists():
        return

    if not path.is_dir():
        raise CheckpointError(f"{folder} is a file; name a folder for the model.")

    if path == Path.cwd():
        raise CheckpointError(
            f"{folder} is the working folder, which saving would take away; name another one, such "
            "as a folder in it."
        )

    if os.path.ismount(path):
        raise CheckpointError(
            f"{folder} is the root of a file system, which cannot be replaced; name a folder in it."
        )

    foreign = foreign_files(path)
    if foreign:
        more = f" and {len(foreign) - NAMED} more" if len(foreign) > NAMED else ""
        raise CheckpointError(
            f"{folder} holds {', '.join(foreign[:NAMED])}{more}: no part of a saved model, and "
            "saving would remove it; name another folder, or move it."
        )
