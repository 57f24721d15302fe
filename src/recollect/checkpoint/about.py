"""model.json: read and checked, so that what reads it finds what it expects."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recollect.checkpoint.layout import FILES, FORMAT, MODEL, STORED
from recollect.checkpoint.open_folder import no_model
from recollect.data.on_disk import files
from recollect.errors import CheckpointError
from recollect.system.atomic_files import checksum, recover
from recollect.training.history import History

CHOICES_OF = ("ease", "item_knn")  # what `interest.learn_choices` makes
FORMER_BEST = "best_valid_rmse"  # of best_valid


def describe(folder: str | Path) -> dict[str, Any]:
    """The content of `model.json`, without reading the rest.

    Raises:
        CheckpointError: as `load`.
    """
    folder = Path(folder)
    if not folder.exists():
        recover(folder)

    path = folder / MODEL
    if not path.is_file():
        raise no_model(folder)

    try:
        content = path.read_bytes()
    except OSError as problem:
        raise CheckpointError(f"{path} cannot be opened: {problem.strerror}.") from problem

    return parse(content, folder)


def parse(content: bytes, folder: Path) -> dict[str, Any]:
    """The object in model.json, without its checksum.

    Args:
        content: of the file.
        folder: for messages.

    Raises:
        CheckpointError: if it is damaged, was edited, or was written by a newer version.
    """
    path = folder / MODEL

    try:
        about = json.loads(content)
        format_ = int(about["format"])
        expected = about.pop("checksum", None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise CheckpointError(
            f"{path} is damaged ({problem}); copy the folder again or fit anew."
        ) from problem

    _check_format(format_, folder)
    if expected != checksum(about):
        raise CheckpointError(
            f"{path} is damaged or was edited (its checksum is not that of its content); copy the "
            "folder again or fit anew."
        )

    _check_values(about, path)

    return about


def _check_format(format_: int, folder: Path) -> None:
    """Refuse a format that this version cannot read."""
    if format_ > FORMAT:
        raise CheckpointError(
            f"{folder} was written by a newer Recollect (format {format_}); this one, "
            f"{version('recollect')}, reads up to format {FORMAT}: upgrade it."
        )


def _check_values(about: dict[str, Any], path: Path) -> None:
    """Refuse a value that no save writes."""
    wrong = [name for name, is_right in CHECKS.items() if not is_right(about.get(name))]
    if wrong:
        raise CheckpointError(
            f"{path} was edited: {wrong[0]} is {about.get(wrong[0])!r}, which no save writes; copy "
            "the folder again or fit anew."
        )


def history_of(about: dict[str, Any]) -> History:
    """The history in model.json, by today's names of its figures."""
    return _history(about["history"])


def _history(content: dict[str, Any]) -> History:
    fields = dict(content)
    if FORMER_BEST in fields:
        fields["best_valid"] = fields.pop(FORMER_BEST)

    members = [_history(member) for member in fields.pop("members", [])]

    return History(**fields, members=members)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_object_of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return isinstance(value, dict) and all(map(is_right, value.values()))

    return check


def _is_scale(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
    return is_pair and value[0] <= value[1]


def _is_unit(value: Any) -> bool:
    """Whether it is that of a model, or missing, as in earlier formats."""
    if value is None:
        return True

    is_pair = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
    return is_pair and value[1] > 0


def _is_choices(value: Any) -> bool:
    """Whether it is a model of who chooses what, or missing, as of models of events."""
    if value is None:
        return True

    is_object = isinstance(value, dict) and value.keys() == {"model", "settings"}
    return is_object and value["model"] in CHOICES_OF and isinstance(value["settings"], dict)


def _is_history(value: Any) -> bool:
    """Whether the figures of each epoch are numbers; one that diverged may have NaN."""
    if not isinstance(value, dict):
        return False

    epochs = value.get("epochs")
    members = value.get("members", [])
    if not isinstance(epochs, list) or not isinstance(members, list):
        return False

    if not all(map(_is_history, members)):
        return False

    return all(isinstance(epoch, dict) and _are_figures(epoch.values()) for epoch in epochs)


def _are_figures(values: Iterable[Any]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _names_files(value: Any) -> bool:
    """Whether there is a sum for each file that every model has, and for no other file."""
    if not _is_object_of(_is_text)(value) or "net.safetensors" not in value:
        return False

    has_ratings = {"given.safetensors", "vocab.json"} <= value.keys()
    is_stored = f"{STORED}/{files.ABOUT}" in value

    return value.keys() <= set(FILES) and (has_ratings or is_stored)


# What the value of each name must be; the other names are for people.
CHECKS: dict[str, Callable[[Any], bool]] = {
    "model": _is_text,
    "settings": _is_object_of(lambda value: True),
    "scale": _is_scale,
    "unit": _is_unit,
    "data": _is_text,
    "seed": _is_whole,
    "seconds": _is_number,
    "history": _is_history,
    "choices": _is_choices,
    "checksums": _names_files,
}
