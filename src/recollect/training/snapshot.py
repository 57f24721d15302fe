"""A fit that was interrupted, written to a folder and taken up again, to the bit.

A snapshot is two files, replaced together: `tensors.safetensors` and `state.json`. It holds weights, best weights,
optimizer state, the state of the random generator, and the history; and it names the fit it belongs to, so that it is
never taken up by another.
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

VERSION = 4


def write(folder: Path, state: dict[str, Any], *, fit_key: dict[str, Any]) -> None:
    """Write the state (a tree of dicts, lists, numbers, texts and tensors) in place of an earlier one."""
    tensors: dict[str, Tensor] = {}
    tree = _pack(state, tensors)
    with replacing(folder) as fresh:
        fresh.mkdir()
        save_file(tensors, fresh / "tensors.safetensors")
        (fresh / "state.json").write_text(
            json.dumps({"version": VERSION, "fit_key": fit_key, "state": tree})
        )


def read(folder: Path, *, fit_key: dict[str, Any]) -> dict[str, Any] | None:
    """The state written last, or None if there is none.

    Raises: TrainingError if it belongs to another fit, or cannot be read.
    """
    if not (
        folder / "state.json"
    ).exists():  # killed while one was put in the place of another: the earlier one is kept
        folder = folder.with_name(f".{folder.name}.old")
    if not (folder / "state.json").exists():
        return None
    try:
        found = json.loads((folder / "state.json").read_text())
        tensors = load_file(folder / "tensors.safetensors")
        version, owner, tree = found["version"], found["fit_key"], found["state"]
    except Exception as problem:
        raise TrainingError(
            f"The snapshot in {folder} cannot be read ({problem}); remove the folder and fit anew."
        ) from problem
    if version != VERSION:
        raise TrainingError(
            f"The snapshot in {folder} has version {version}, this program writes {VERSION}; fit anew."
        )
    fit_key = json.loads(json.dumps(fit_key))
    if owner != fit_key:
        changed = sorted(k for k in owner.keys() | fit_key.keys() if owner.get(k) != fit_key.get(k))
        was = ", ".join(f"{k} was {owner.get(k)!r} and is {fit_key.get(k)!r}" for k in changed)
        raise TrainingError(
            f"The snapshot in {folder} belongs to another fit: {was}. Use the settings and data it was "
            "made with, another folder, or start without resuming."
        )
    return _unpack(tree, tensors)


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        key = str(len(tensors))
        tensors[key] = value.detach().cpu().contiguous()
        return {"tensor": key}
    if isinstance(value, dict):
        return {"dict": [[k, _pack(v, tensors)] for k, v in value.items()]}  # keys may be numbers
    if isinstance(value, list | tuple):
        return {"list": [_pack(v, tensors) for v in value]}
    return {"plain": value}


def _unpack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {k: _unpack(v, tensors) for k, v in value}
    if kind == "list":
        return [_unpack(v, tensors) for v in value]
    return value


class Stop:
    """Whether someone asked the fit to stop (Ctrl-C, or a polite kill)."""

    asked = False


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into a request that the loop meets after its epoch; a second one stops at once.

    Only the main thread can do so; elsewhere nothing changes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: Any) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
