"""The folders of an interrupted fit: which files in them are ours, and removing those.

RUN/snapshot           tensors.safetensors and state.json
RUN/refit/snapshot     the same of the second fit of `refit`
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from recollect.errors import TrainingError
from recollect.system import atomic_files
from recollect.system.locks import used_alone

SNAPSHOT = "snapshot"
REFIT = "refit"
FOLDERS = (SNAPSHOT, REFIT)
FORMER = f".{SNAPSHOT}.old"  # where earlier releases moved a snapshot while they replaced it

TENSORS = "tensors.safetensors"
STATE = "state.json"
STATE_BEGINS = b'{"version"'
HEADER_BEGINS = 8  # bytes of safetensors before the JSON of the header

# The folders of the fits that this thread is in.
_held: ContextVar[frozenset[Path]] = ContextVar("_held", default=frozenset())


@contextmanager
def in_use(folder: Path | None) -> Iterator[None]:
    """Within this block no other fit keeps its snapshots in this folder.

    A fit within a fit may have the folder of the outer one. The lock is independent of that of a
    command, which lasts longer. If it cannot be made, because the parent folder cannot be written,
    the fit goes on without.

    Args:
        folder: of the fit; None: it keeps no snapshots.

    Raises:
        TrainingError: if another fit keeps its snapshots there.
    """
    if folder is None or folder in _held.get():
        yield
        return

    refusal = TrainingError(
        f"Another fit keeps its snapshots in {folder}; wait until it has ended, or name another "
        "folder."
    )

    with ExitStack() as stack:
        with suppress(OSError):
            path = atomic_files.resolved(folder)
            stack.enter_context(used_alone(path, refusal, ending="fitting"))

        before = _held.set(_held.get() | {folder})
        stack.callback(_held.reset, before)
        yield


def discard(folder: Path) -> None:
    """Remove the snapshots that an interrupted fit left in its folder.

    Raises:
        TrainingError: if they hold what no fit wrote; nothing has been removed.
    """
    present = [folder / name for name in (*FOLDERS, FORMER) if (folder / name).is_dir()]

    for path in present:
        refuse_foreign(path)

    for path in present:
        shutil.rmtree(path, ignore_errors=True)


def refuse_foreign(path: Path) -> None:
    """Refuse to remove a snapshot with files that no fit wrote.

    Raises:
        TrainingError: with the names of the files.
    """
    foreign = foreign_files(path)
    if foreign:
        raise TrainingError(
            f"{path} holds {', '.join(foreign[:3])}, which no fit wrote and a snapshot would "
            "replace; name another folder, or move it."
        )


def foreign_files(path: Path) -> list[str]:
    """What a folder of these names holds that no fit wrote, as paths in it."""
    if path.name == REFIT:
        return _foreign_in_refit(path)

    names = sorted(inner.name for inner in path.iterdir())
    if _holds_snapshot(path, names):
        names = [name for name in names if name not in (TENSORS, STATE)]

    return names


def _foreign_in_refit(path: Path) -> list[str]:
    foreign = []

    for inner in sorted(path.iterdir()):
        if inner.name in (SNAPSHOT, FORMER) and inner.is_dir():
            foreign += [f"{inner.name}/{name}" for name in foreign_files(inner)]
        elif not is_temporary(inner, SNAPSHOT):
            foreign.append(inner.name)

    return foreign


def _holds_snapshot(path: Path, names: list[str]) -> bool:
    """Whether one of the files of a snapshot is what its name says; the other may be damaged."""
    if STATE in names and _bytes_at(path / STATE, 0, len(STATE_BEGINS)) == STATE_BEGINS:
        return True

    return TENSORS in names and is_safetensors(path / TENSORS)


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do."""
    return _bytes_at(path, HEADER_BEGINS, 1) == b"{"


def is_temporary(path: Path, name: str) -> bool:
    """Whether this is what a killed process left that was replacing `name`, and nothing else."""
    is_named_so = path.name.startswith(f".{name}.") and path.name.endswith(".tmp")
    if not is_named_so or path.is_symlink() or not path.is_dir():
        return False

    return all(_is_left(inner, name) for inner in path.iterdir())


def _is_left(inner: Path, name: str) -> bool:
    """Whether a file or folder is what `replacing` writes in its temporary folder.

    Args:
        inner: in a temporary folder.
        name: of what was being replaced: a snapshot, or a file.
    """
    if inner.name in (atomic_files.WRITING, atomic_files.UNLOCKED):
        return inner.is_file() and not inner.stat().st_size

    if inner.name not in (name, atomic_files.OLD):
        return False

    if inner.is_dir():
        return name == SNAPSHOT and {file.name for file in inner.iterdir()} <= {TENSORS, STATE}

    # Half of a file says nothing; that a process was writing here does.
    return inner.with_name(atomic_files.WRITING).is_file()


def _bytes_at(path: Path, start: int, n: int) -> bytes:
    """Some bytes of a file; none if it cannot be read."""
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read(n)
    except OSError:
        return b""
