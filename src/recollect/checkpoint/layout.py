"""The files of a saved model: their names, the format, and which files of a folder are ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recollect.data.on_disk import files
from recollect.training import snapshot_folder

# Raised when an older program could not read what a newer one writes: 2 has texts, 3 other names
# of weights, 4 the unit of the ratings that the model learned from.
FORMAT = 4
FORMAT_OF_TODAYS_NAMES = 3

MODEL = "model.json"
STORED = "given"
CHOICES = "choices.safetensors"
PARTS = (CHOICES, "net.safetensors", "given.safetensors", "vocab.json", "catalogue.parquet")
TEXT_PARTS = ("text.json", "text.safetensors")
STORED_PARTS = tuple(f"{STORED}/{name}" for name in files.NEEDED)
FILES = (*PARTS, *TEXT_PARTS, *STORED_PARTS)

SCORES = "scores.json"
SCORES_KEYS = {"model", "settings"}  # among those of every scores.json
MODEL_KEYS = {"format", "model", "checksums"}  # among those of every model.json

# What `replacing` leaves in the folder if it is killed: `.NAME.xxxxxxxx.tmp`.
TEMPORARY_OF = (SCORES, "snapshot")


def foreign_files(folder: Path) -> list[str]:
    """What a folder holds that no save and no fit wrote there, as paths in it, sorted.

    A file is ours if model.json names it, or by its content: a name alone is no proof, for others
    call their files scores.json, too.

    Raises:
        OSError: if the folder cannot be read.
    """
    ours = _files_of_the_model(folder)
    foreign = []

    for path in sorted(folder.iterdir()):
        foreign += _foreign_at(path, ours)

    return foreign


def _foreign_at(path: Path, ours: set[str]) -> list[str]:
    """The path itself, or what in it is not ours.

    Args:
        path: in the folder of a model.
        ours: the files of the model.
    """
    name = path.name
    if path.is_symlink():
        return [name]

    if not path.is_dir():
        is_scores = name == SCORES and SCORES_KEYS.issubset(_read_object(path))
        return [] if name in ours or is_scores else [name]

    if name == STORED:
        inner = [f"{name}/{file.name}" for file in sorted(path.iterdir())]
        return [file for file in inner if file not in ours]

    if name in (*snapshot_folder.FOLDERS, snapshot_folder.FORMER):
        return [f"{name}/{file}" for file in snapshot_folder.foreign_files(path)]

    if _is_temporary(path):
        return []

    return [name]


def _files_of_the_model(folder: Path) -> set[str]:
    """The files that model.json names, and model.json; none if that is somebody else's."""
    about = _read_object(folder / MODEL)
    checksums = about.get("checksums")
    if MODEL_KEYS.issubset(about) and isinstance(checksums, dict):
        return {MODEL, *(checksums.keys() & set(FILES))}

    # A damaged model.json names nothing; beside it are the files of a model.
    if about or not _has_files_of_a_model(folder):
        return set()

    return {MODEL, *FILES}


def _has_files_of_a_model(folder: Path) -> bool:
    """Whether a folder has a network, and the ratings of a model or links to stored ones."""
    has_ratings = snapshot_folder.is_safetensors(folder / "given.safetensors")
    is_stored = (folder / STORED / files.ABOUT).is_file()
    return snapshot_folder.is_safetensors(folder / "net.safetensors") and (has_ratings or is_stored)


def _is_temporary(path: Path) -> bool:
    """Whether this is a folder that a killed process was writing in, and holds nothing else."""
    return any(snapshot_folder.is_temporary(path, name) for name in TEMPORARY_OF)


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; an empty one if there is none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}

    return content if isinstance(content, dict) else {}
