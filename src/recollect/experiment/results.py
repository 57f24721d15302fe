"""Results on disk: a JSON file per run, named by a checksum of what the run was made from; test errors beside it.

KEY.json           what was run, its figures, the curve of its epochs, how long it took, by what it was made; or why it failed
KEY.safetensors    the squared error of each test rating and its user, from which runs are compared
data.json          the data sets that were looked for: their fingerprint and shape, or that they were not here
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import numpy as numpy_file

from recollect.errors import CheckpointError
from recollect.experiment.file import Cut, Entry
from recollect.system.atomic_files import checksum, replacing

FORMAT = 1
MADE_BY = (
    "evaluation/metrics.py",
    "evaluation/protocol.py",
)  # and the model's file, and whatever these import
SOURCE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Job:
    """One fit and its scoring: everything that decides the figures."""

    fingerprint: str  # of the data
    split: dict[str, Any]
    model: str
    settings: dict[str, Any]
    seed: int

    @property
    def key(self) -> str:
        """16 hexadecimal digits that identify the job."""
        return checksum(asdict(self))[:16]


def job_of(entry: Entry, cut: Cut, fingerprint: str) -> Job:
    """The job of an entry on one split."""
    assert entry.model is not None
    return Job(fingerprint, cut.settings, entry.model, entry.settings, cut.seed)


@dataclass(frozen=True)
class Results:
    """A folder of results."""

    folder: Path

    def read(self, job: Job) -> dict[str, Any] | None:
        """What is known of a job; None if nothing.

        Raises: CheckpointError for a damaged file, or one of a newer version.
        """
        return self._json(self._path(job, "json"))

    def write(
        self, job: Job, figures: dict[str, Any], errors: dict[str, np.ndarray] | None = None
    ) -> dict[str, Any]:
        """Keep the figures of a job, in place of earlier ones; returns what `read` will."""
        if errors is not None:
            with replacing(self._path(job, "safetensors")) as fresh:
                numpy_file.save_file(errors, fresh)
        record = {"format": FORMAT, **asdict(job), **figures}
        with replacing(self._path(job, "json")) as fresh:
            fresh.write_text(json.dumps(record, indent=1))
        return record

    def errors(self, job: Job) -> dict[str, np.ndarray]:
        """`squared_error` and `user` of each test rating of a finished job."""
        return numpy_file.load_file(self._path(job, "safetensors"))

    def data(self) -> dict[str, dict[str, Any]]:
        """What is known of data sets by their names: fingerprint, users, items and ratings; or `missing`, a sentence."""
        return self._json(self.folder / "data.json") or {}

    def note_data(self, name: str, about: dict[str, Any]) -> None:
        """Keep what is known of a data set."""
        known = {**self.data(), name: about}
        with replacing(self.folder / "data.json") as fresh:
            fresh.write_text(json.dumps(known, indent=1, sort_keys=True))

    def _path(self, job: Job, ending: str) -> Path:
        return self.folder / f"{job.key}.{ending}"

    def _json(self, path: Path) -> dict[str, Any] | None:
        if not path.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as problem:
            raise CheckpointError(
                f"{path} is damaged ({problem}); remove it and run again."
            ) from problem
        if found.get("format", FORMAT) != FORMAT:
            raise CheckpointError(
                f"{path} is of format {found['format']}, this version reads {FORMAT}; upgrade it, or take "
                "another folder of results."
            )
        return found


def is_done(record: dict[str, Any] | None) -> bool:
    """Whether a job has figures: a failed one is tried again."""
    return record is not None and "failed" not in record


def is_old(record: dict[str, Any]) -> bool:
    """Whether other source code than today's made the record."""
    return bool(record["made"]["source"] != source_digest(record["model"]))


@cache
def source_digest(model: str) -> str:
    """16 hexadecimal digits of the source code that the figures of this model depend on: reading is in the fingerprint. What is
    only said (comments, docstrings, errors) does not count."""
    own = [] if ":" in model else [f"models/{model}.py"]
    found = hashlib.sha256()
    for name in sorted(_with_imports([*MADE_BY, *own])):
        found.update(f"{name}\0{_code(SOURCE / name)}".encode())
    return found.hexdigest()[:16]


def _code(path: Path) -> str:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
        elif isinstance(node, ast.Raise):
            node.exc = node.cause = None
    return ast.unparse(tree)


def _with_imports(names: Iterable[str]) -> set[str]:
    """These source files, those of ours that they import, those that these import, and so on."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(SOURCE / name)
    return found


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recollect."):
            home = "/".join(str(node.module).split(".")[1:])
            places = [home, *(f"{home}/{alias.name}" for alias in node.names)]
            files = (f"{place}{end}" for place in places for end in (".py", "/__init__.py"))
            yield from (file for file in files if (SOURCE / file).is_file())


def made_by(model: str) -> dict[str, Any]:
    """What results are made by: the source and the versions."""
    versions = {name: version(name) for name in ("recollect", "torch", "numpy")}
    return {
        "source": source_digest(model),
        "versions": {**versions, "python": platform.python_version()},
    }
