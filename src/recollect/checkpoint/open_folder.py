"""The files of a saved model, opened at once.

Another process may replace the folder while it is read. The files that were opened together stay
those of one model, whatever stands in its place since.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType

from recollect.checkpoint.layout import FILES, MODEL
from recollect.errors import CheckpointError

# Where the system shows open files as paths: on Linux, and elsewhere.
DESCRIPTORS = (Path("/proc/self/fd"), Path("/dev/fd"))

OPENS_IN_FOLDERS = os.open in os.supports_dir_fd  # a file of a folder that is open itself


class OpenFolder:
    """A saved model's files; leaving the block closes them.

    Raises:
        CheckpointError: if there is no model.json, or a file may not be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptors: dict[str, int] = {}

        try:
            self._open_all()
        except OSError as problem:
            self.close()
            raise CheckpointError(
                f"{problem.filename or folder} cannot be opened: {problem.strerror}."
            ) from problem

        if MODEL not in self._descriptors:
            self.close()
            raise no_model(folder)

    def _open_all(self) -> None:
        """Open every file that is there, of one and the same folder."""
        if not OPENS_IN_FOLDERS:
            for name in (MODEL, *FILES):
                self._open(self.folder / name, name)

            return

        try:
            directory = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return

        try:
            for name in (MODEL, *FILES):
                self._open(name, name, directory=directory)
        finally:
            os.close(directory)

    def _open(self, path: str | Path, name: str, *, directory: int | None = None) -> None:
        try:
            self._descriptors[name] = os.open(path, os.O_RDONLY, dir_fd=directory)
        except (FileNotFoundError, NotADirectoryError):
            return

    def __contains__(self, name: str) -> bool:
        return name in self._descriptors

    def path(self, name: str) -> Path:
        """A path by which libraries read the open file, where the system has such paths.

        Elsewhere it is that of the file in the folder, which may be another by now: `is_replaced`.
        """
        number = str(self._descriptors[name])

        for home in DESCRIPTORS:
            if home.is_dir():
                return home / number

        return self.folder / name

    def read(self, name: str) -> bytes:
        """The content of a file."""
        with open(self._descriptors[name], "rb", closefd=False) as stream:
            stream.seek(0)
            return stream.read()

    def digest(self, name: str) -> str:
        """The SHA-256 of a file."""
        with open(self._descriptors[name], "rb", closefd=False) as stream:
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @property
    def is_read_by_paths(self) -> bool:
        """Whether `path` is that of the file in the folder, which may be another by now."""
        return not any(home.is_dir() for home in DESCRIPTORS)

    @property
    def is_replaced(self) -> bool:
        """Whether another folder, or none, stands in the place of this one by now."""
        opened = os.fstat(self._descriptors[MODEL])

        try:
            return not os.path.samestat(opened, os.stat(self.folder / MODEL))
        except OSError:
            return True

    def close(self) -> None:
        """Close all files."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)

        self._descriptors.clear()

    def __enter__(self) -> OpenFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def no_model(folder: Path) -> CheckpointError:
    """The error for a folder without a model."""
    what = f"holds no {MODEL}" if folder.is_dir() else "does not exist"
    return CheckpointError(
        f"There is no saved model at {folder}: it {what}."
        f" `recollect train … --out {folder}` makes one."
    )
