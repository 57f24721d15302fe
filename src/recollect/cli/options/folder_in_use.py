"""One command at a time writes to a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recollect.errors import SettingError
from recollect.system.atomic_files import resolved
from recollect.system.locks import used_alone


@contextmanager
def in_use(out: Path) -> Iterator[None]:
    """Within this block no other command of Recollect fits into this folder.

    The parent folder is made, and must be writable: better before the fit than after it.

    Raises:
        SettingError: if another command does.
        OSError: if the parent folder cannot be written.
    """
    refusal = SettingError(
        f"Another command is fitting into {out}; wait until it has ended, or name another folder."
    )

    with used_alone(resolved(out), refusal):
        yield
