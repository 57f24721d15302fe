"""Snapshots of a fit, from which an interrupted fit resumes and ends as if nothing had happened, to
the bit.

A snapshot is a folder of two files, replaced together: `tensors.safetensors` and `state.json`. It
holds weights, best weights, the learner's state, the state of the random generator, and the
history. It names the fit that it belongs to, so that no other fit resumes from it.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from recollect.errors import TrainingError
from recollect.system.atomic_files import replacing

VERSION = 4  # of the format; raised whenever an older program could not resume from it


def write(folder: Path, state: dict[str, Any], *, fit_key: dict[str, Any]) -> None:
    """Replace the snapshot in the folder.

    Args:
        folder: of the snapshot; a crash while writing leaves the earlier one.
        state: a tree of dicts, lists, numbers, texts and tensors.
        fit_key: settings and data of the fit; must be JSON.
    """
    tensors: dict[str, Tensor] = {}
    tree = _pack(state, tensors)
    content = {"version": VERSION, "fit_key": fit_key, "state": tree}

    with replacing(folder) as new_folder:
        new_folder.mkdir()
        save_file(tensors, new_folder / "tensors.safetensors")
        (new_folder / "state.json").write_text(json.dumps(content))


def read(folder: Path, *, fit_key: dict[str, Any]) -> dict[str, Any] | None:
    """The state written last, or None if there is no snapshot.

    Args:
        folder: of the snapshot.
        fit_key: settings and data of the fit that is to resume.

    Raises:
        TrainingError: if the snapshot belongs to another fit, or cannot be read.
    """
    if not (folder / "state.json").exists():
        # A process killed between the two renames of `replacing` leaves the earlier snapshot here.
        folder = folder.with_name(f".{folder.name}.old")

    if not (folder / "state.json").exists():
        return None

    try:
        content = json.loads((folder / "state.json").read_text())
        tensors = load_file(folder / "tensors.safetensors")
        version = content["version"]
        written_key = content["fit_key"]
        tree = content["state"]
    except Exception as problem:
        raise TrainingError(
            f"The snapshot in {folder} cannot be read ({problem}); remove the folder and fit anew."
        ) from problem

    if version != VERSION:
        raise TrainingError(
            f"The snapshot in {folder} has version {version}, this program writes {VERSION}; "
            "remove the folder and fit anew."
        )

    # Through JSON, as the written key went: tuples are lists in both.
    expected_key = json.loads(json.dumps(fit_key))
    _check_key(folder, written_key, expected_key)

    return _unpack(tree, tensors)


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


class StopRequest:
    """Whether Ctrl-C or SIGTERM asked the fit to stop."""

    asked = False


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop after the epoch; a second one stops
    at once.

    Only the main thread can handle signals; in other threads nothing changes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: Any) -> None:
        # The second signal: the epoch takes too long to wait for.
        if request.asked:
            raise KeyboardInterrupt

        request.asked = True

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}

    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
