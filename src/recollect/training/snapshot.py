"""Snapshots of a fit, from which an interrupted fit resumes and ends as if nothing had happened, to
the bit.

A snapshot is a folder of two files, replaced together: `tensors.safetensors` and `state.json`. It
holds weights, best weights, the learner's state, the state of the random generator, and the
history. It names the fit that it belongs to, so that no other fit resumes from it, and has
checksums of both files, so that no damaged one does.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from recollect.errors import TrainingError
from recollect.system.atomic_files import checksum, recover, replacing
from recollect.training.snapshot_folder import STATE, TENSORS, refuse_foreign

VERSION = 5  # of the format; raised whenever an older program could not resume from it


def write(folder: Path, state: dict[str, Any], *, fit_key: dict[str, Any]) -> None:
    """Replace the snapshot in the folder.

    Args:
        folder: of the snapshot; a crash while writing leaves the earlier one.
        state: a tree of dicts, lists, numbers, texts and tensors.
        fit_key: settings and data of the fit; must be JSON.

    Raises:
        OSError: if it cannot be written; the earlier one is still there.
        TrainingError: if the folder holds what no fit wrote.
    """
    tensors: dict[str, Tensor] = {}
    tree = _pack(state, tensors)

    with replacing(folder, check=refuse_foreign) as new_folder:
        new_folder.mkdir()
        _write_tensors(tensors, new_folder / TENSORS)
        content = {
            "version": VERSION,
            "fit_key": fit_key,
            "tensors": _digest(new_folder / TENSORS),
            "state": tree,
        }
        # The sum is that of what a reader will see: tuples are lists in JSON.
        content = json.loads(json.dumps(content))
        text = json.dumps({**content, "checksum": checksum(content)})
        (new_folder / STATE).write_text(text)


def _write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as problem:  # its words for an error of the system
        raise OSError(str(problem)) from problem


def read(folder: Path, *, fit_key: dict[str, Any]) -> dict[str, Any] | None:
    """The state written last, or None if there is no snapshot.

    Args:
        folder: of the snapshot.
        fit_key: settings and data of the fit that is to resume.

    Raises:
        TrainingError: if the snapshot belongs to another fit, is damaged, or cannot be read.
    """
    recover(folder)
    if not (folder / STATE).exists():
        return None

    # Through JSON, as the written key went: tuples are lists in both.
    expected_key = json.loads(json.dumps(fit_key))

    try:
        content = json.loads((folder / STATE).read_text())
        version = content["version"]
        if version == VERSION:
            _check_sums(folder, content)
            _check_key(folder, content["fit_key"], expected_key)
            return _unpack(content["state"], load_file(folder / TENSORS))
    except TrainingError:
        raise
    except Exception as problem:
        raise TrainingError(
            f"The snapshot in {folder} cannot be read ({problem}); remove the folder and fit anew."
        ) from problem

    raise TrainingError(
        f"The snapshot in {folder} has version {version}, this program writes {VERSION}; "
        "remove the folder and fit anew."
    )


def _check_sums(folder: Path, content: dict[str, Any]) -> None:
    """Refuse a snapshot of which a bit has changed since it was written."""
    expected = content.pop("checksum")
    if checksum(content) != expected or _digest(folder / TENSORS) != content["tensors"]:
        raise TrainingError(
            f"The snapshot in {folder} cannot be read (it is damaged: its checksum is not that of "
            "its content); remove the folder and fit anew."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_key(folder: Path, written: dict[str, Any], expected: dict[str, Any]) -> None:
    """Refuse a snapshot of another fit, and say in what it differs."""
    if written == expected:
        return

    differences = []

    for name in sorted(written.keys() | expected.keys()):
        before = written.get(name)
        now = expected.get(name)
        if before != now:
            differences.append(f"{name} was {before!r} and is {now!r}")

    raise TrainingError(
        f"The snapshot in {folder} belongs to another fit: {', '.join(differences)}. Use the "
        "settings and data it was made with, another folder, or start without resuming."
    )


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON; its tensors are moved into `tensors`."""
    if isinstance(value, Tensor):
        # Numbered in the order in which they are met: the tree is the only place for names.
        key = str(len(tensors))
        tensors[key] = value.detach().cpu().contiguous()
        return {"tensor": key}

    if isinstance(value, dict):
        # As pairs: the keys of a JSON object would all become texts.
        return {"dict": [[key, _pack(item, tensors)] for key, item in value.items()]}

    if isinstance(value, list | tuple):
        return {"list": [_pack(item, tensors) for item in value]}

    return {"plain": value}


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensors[value]

    if kind == "dict":
        return {key: _unpack(item, tensors) for key, item in value}

    if kind == "list":
        return [_unpack(item, tensors) for item in value]

    return value
