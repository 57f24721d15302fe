"""The file that an answer is written to: never one that the command reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from recollect.cli.output.screen import Screen
from recollect.errors import SettingError


def check_out(screen: Screen, option: str, out: Path | None, inputs: Mapping[str, object]) -> None:
    """Refuse to write to what is read, and say that an earlier file will be replaced.

    Args:
        screen: where it is said.
        option: by which the file is named.
        out: the file to write; None: none.
        inputs: what the command reads, by the option or argument that names it; None: nothing.

    Raises:
        SettingError: if it is one of the inputs, or lies in one that is a folder.
    """
    if out is None or not out.exists():
        return

    for name, source in inputs.items():
        if source is not None and _holds(Path(str(source)), out):
            raise SettingError(
                f"{option} {out} is {name}, which would be replaced; name another file."
            )

    if out.is_file():
        screen.say(f"{out} exists and is replaced.")


def _holds(source: Path, out: Path) -> bool:
    """Whether a file is this one, or lies in this folder."""
    try:
        return source.exists() and (source.samefile(out) or out.resolve().parent.samefile(source))
    except OSError:
        return False
