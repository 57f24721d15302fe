"""Records on disk: a JSON file per job, which a repository can keep beside its pages.

    KEY.json     what was run, its figures on validation and test, the validation error by epoch,
                 seconds, memory, and which code made it; or why it failed
    KEY.npz      values on test summed by user, where a table compares runs over users
    data.json    the data that were looked for: fingerprint and shape, or that they are missing

KEY identifies what decides the figures: data, split, model, settings and seed. The code is not
part of it: a record names the release and the commit that made it.
"""

from __future__ import annotations

import io
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recollect.errors import CheckpointError
from recollect.experiment.spec import RunSpec, SplitSpec
from recollect.system.atomic_files import checksum, replacing

FORMAT = 2
SOURCE = Path(__file__).parents[1]
USER_SUMS_LIMIT = 64 * 1024  # bytes; larger ones would weigh on every clone of the repository
# What files of sums call the values of a metric, where it is not the metric's own name.
IN_FILE = {"rmse": "squared", "mae": "absolute"}
Record = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One fit and its evaluation: everything that decides the figures."""

    fingerprint: str  # of the data
    split: dict[str, Any]
    model: str
    settings: dict[str, Any]
    seed: int

    @property
    def key(self) -> str:
        """16 hexadecimal digits that identify the job."""
        return checksum(asdict(self))[:16]


def job_of(run: RunSpec, split: SplitSpec, fingerprint: str) -> Job:
    """The job of a run on one split.

    Args:
        run: a run with a model.
        split: of the table's splits.
        fingerprint: of the data.
    """
    assert run.model is not None
    return Job(
        fingerprint=fingerprint,
        split=split.settings,
        model=run.model,
        settings=run.settings,
        seed=split.seed,
    )


@dataclass(frozen=True)
class UserSums:
    """Values of the test ratings of one split, summed by user; of lists one value for each user.

    Two runs on the same split are compared by them; single errors would be a hundred times larger.
    """

    user: Int[ndarray, " users"]  # row numbers, ascending
    # By metric: of "rmse" squared errors, of "mae" absolute ones, of "ndcg@10" the user's figure
    sums: dict[str, Float[ndarray, " users"]]
    count: Int[ndarray, " users"]  # values

    @classmethod
    def of(
        cls, user: Int[ndarray, " values"], values: Mapping[str, Float[ndarray, " values"]]
    ) -> UserSums:
        """Sums over each user's values.

        Args:
            user: the row number of the user of each value.
            values: by metric, one for each test rating, or one for each user.
        """
        users, position, count = np.unique(user, return_inverse=True, return_counts=True)
        sums = {metric: np.bincount(position, of_metric) for metric, of_metric in values.items()}

        return cls(users, sums, count)

    def packed(self) -> bytes:
        """The sums as a compressed file, in single precision."""
        buffer = io.BytesIO()
        steps = np.diff(self.user, prepend=0)  # small numbers, which compress well
        arrays: dict[str, Any] = {
            "user_steps": steps.astype(np.uint32),
            "count": self.count.astype(np.uint32),
        }

        for metric, sums in self.sums.items():
            arrays[IN_FILE.get(metric, metric)] = sums.astype(np.float32)

        np.savez_compressed(buffer, **arrays)

        return buffer.getvalue()

    @classmethod
    def unpacked(cls, path: Path) -> UserSums:
        """The sums in a file that holds what `packed` returned."""
        with np.load(path, allow_pickle=False) as file:
            metric_of = {name: metric for metric, name in IN_FILE.items()}
            sums = {
                metric_of.get(name, name): file[name].astype(np.float64)
                for name in file.files
                if name not in ("user_steps", "count")
            }
            return cls(
                user=np.cumsum(file["user_steps"], dtype=np.int64),
                sums=sums,
                count=file["count"].astype(np.int64),
            )


@dataclass(frozen=True)
class Results:
    """A folder of records."""

    folder: Path

    def read(self, job: Job) -> Record | None:
        """The record of a job; None without one.

        Raises: CheckpointError for a damaged file, or one of another format.
        """
        path = self._path(job)
        return read_json(path)

    def write(self, job: Job, figures: Record, user_sums: UserSums | None = None) -> Record:
        """Write the record of a job in place of an earlier one, and return it.

        Args:
            job: what was run.
            figures: what came out of it, ready for JSON.
            user_sums: kept beside the record if they take no more than USER_SUMS_LIMIT.
        """
        record = {"format": FORMAT, **asdict(job), **figures}
        sums_path = self._user_sums_path(job)
        sums_path.unlink(missing_ok=True)
        packed = b"" if user_sums is None else user_sums.packed()
        if 0 < len(packed) <= USER_SUMS_LIMIT:
            with replacing(sums_path) as fresh:
                fresh.write_bytes(packed)

        write_json(self._path(job), record)

        return record

    def user_sums(self, job: Job) -> UserSums | None:
        """The values of a job by user; None if they were not kept."""
        path = self._user_sums_path(job)
        if not path.is_file():
            return None

        return UserSums.unpacked(path)

    def data(self) -> dict[str, dict[str, Any]]:
        """What is known of data sets by name: fingerprint, users, items, ratings; or `missing`."""
        return read_json(self.folder / "data.json") or {}

    def note_data(self, name: str, facts: dict[str, Any]) -> None:
        """Keep what is known of a data set.

        That it is missing today does not erase what an earlier run measured.
        """
        known = self.data()
        if "fingerprint" in known.get(name, {}) and "fingerprint" not in facts:
            return

        known[name] = facts
        by_name = dict(sorted(known.items()))
        write_json(self.folder / "data.json", by_name)

    def _path(self, job: Job) -> Path:
        return self.folder / f"{job.key}.json"

    def _user_sums_path(self, job: Job) -> Path:
        return self.folder / f"{job.key}.npz"


def read_json(path: Path) -> dict[str, Any] | None:
    """The content of a file of results; None if it does not exist.

    Raises: CheckpointError for a damaged file, or one of another format.
    """
    if not path.is_file():
        return None

    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as problem:
        raise CheckpointError(
            f"{path} is damaged ({problem}); remove it and run again."
        ) from problem

    if content.get("format", FORMAT) != FORMAT:
        raise CheckpointError(
            f"{path} has format {content['format']}, this version reads {FORMAT}; "
            "use another folder of results, or remove the file and run again."
        )

    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object compactly, with a line for each key and each row, so that changes are small.

    Args:
        path: where to write.
        content: the object; a list of objects in it counts as rows.
    """
    lines = []

    for key, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join(_compact(row) for row in value)
            lines.append(f"{_compact(key)}:[\n{rows}\n]")
        else:
            lines.append(f"{_compact(key)}:{_compact(value)}")

    with replacing(path) as fresh:
        body = ",\n".join(lines)
        fresh.write_text("{\n" + body + "\n}\n")


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_done(record: Record | None) -> bool:
    """Whether a job has figures; one that failed has none and is tried again."""
    return record is not None and "failed" not in record


def made_by() -> dict[str, Any]:
    """Which code makes records now: release, commit in a checkout, and versions of libraries."""
    made: dict[str, Any] = {"release": version("recollect")}
    commit = _commit()
    if commit:
        made["commit"] = commit

    libraries = {name: version(name) for name in ("torch", "numpy")}
    made["versions"] = {**libraries, "python": platform.python_version()}

    return made


@cache
def _commit() -> str | None:
    """The short name of the commit, with "-dirty" if the package differs from it; None without git.

    Only the package itself counts as changed: records and pages are written while runs go on.
    """
    is_tracked = _git("ls-files", "__init__.py")  # an installed copy may lie in another repository
    name = _git("rev-parse", "--short", "HEAD")
    if not is_tracked or not name:
        return None

    changes = _git("status", "--porcelain", ".")

    return f"{name}-dirty" if changes else name


def _git(*args: str) -> str | None:
    try:
        finished = subprocess.run(
            ["git", *args],
            cwd=SOURCE,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None

    return finished.stdout.strip()
