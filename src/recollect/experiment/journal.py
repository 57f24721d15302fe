"""The journal of a study: a line of JSON for each thing that happened, appended by Optuna.

A process that is killed, or a disk that is full, may leave half a line at the end. The next line
would be appended to it, and neither could be read again.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recollect.errors import SettingError
from recollect.system.locks import used_alone

BEGINS = b'{"op_code":'  # as every line does
log = logging.getLogger("recollect")


@contextmanager
def opened(path: Path) -> Iterator[None]:
    """Within this block the journal is whole, and this process alone writes to it.

    Half a line at its end is cut off: what it was about is done again.

    Raises:
        SettingError: if another process has it, or a line of it is damaged.
    """
    refusal = SettingError(
        f"Another process is working on the study in {path}; wait until it has ended, or name "
        "another --storage."
    )

    with used_alone(path, refusal):
        # With this lock held, Optuna's own is what a killed process left.
        path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
        if path.exists():
            cut_half_line(path)

        yield


def cut_half_line(path: Path) -> None:
    """Cut a journal back to its last line end.

    Raises:
        SettingError: with the number of the line, if one is damaged, or the file is no journal;
            nothing is cut then.
    """
    *lines, last = path.read_bytes().split(b"\n")

    for number, line in enumerate(lines, start=1):
        if not _is_entry(line):
            raise SettingError(
                f"Line {number} of the study in {path} is damaged. Remove it and those after it, "
                "which may depend on it, and the study goes on from there; or name another "
                "--storage."
            )

    if not last:
        return

    is_half_entry = last[: len(BEGINS)] == BEGINS[: len(last)]
    if not lines and not is_half_entry:
        raise SettingError(f"{path} is no study; name another --storage.")

    log.warning("The last line of %s was cut short; what it was about is done again.", path)
    os.truncate(path, path.stat().st_size - len(last))


def _is_entry(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False

    return isinstance(entry, dict) and isinstance(entry.get("op_code"), int)
