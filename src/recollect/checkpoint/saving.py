"""Saving a fitted model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors import numpy as numpy_file
from safetensors import torch as torch_file

from recollect import registry
from recollect.arguments import expect, expect_path
from recollect.checkpoint.destination import check_destination
from recollect.checkpoint.layout import CHOICES, FILES, FORMAT, MODEL, STORED
from recollect.data.on_disk import stored_ratings
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.text.corpus import Corpus
from recollect.errors import CheckpointError
from recollect.interest import interest_of
from recollect.model import Model
from recollect.system.atomic_files import checksum, replacing


def save(model: Model, folder: str | Path) -> Path:
    """Write a fitted model to a folder, replacing an earlier one.

    A reader sees the earlier model or the new one, whole. Nothing is removed that no save or fit
    wrote, and the new model is on the disk before the earlier one goes.

    Raises:
        NotFittedError: if there is nothing to save.
        CheckpointError: if the folder cannot be written (a full disk), or must not be replaced
            (`check_destination`).
    """
    expect("model", model, Model, "a fitted model")
    expect_path("folder", folder, such_as="'runs/films'")
    model.given()
    folder = Path(folder)
    check_destination(folder)

    try:
        # Checked again when it is replaced: files may have come in the meantime.
        with replacing(folder, check=check_destination) as fresh:
            fresh.mkdir()
            _write(model, fresh)
    except CheckpointError:
        raise
    except (OSError, SafetensorError) as problem:
        raise CheckpointError(
            f"The model could not be written to {folder}: {problem}. Nothing was changed there."
        ) from problem

    return folder


def _write(model: Model, folder: Path) -> None:
    given = model.given_
    weights = {
        name: weight.detach().cpu().contiguous() for name, weight in model.net_.state_dict().items()
    }
    torch_file.save_file(weights, folder / "net.safetensors")
    _write_given(given, folder)
    choices = _write_choices(model, folder)
    versions = {name: version(name) for name in ("recollect", "torch")}
    written = [name for name in FILES if (folder / name).exists()]
    about = {
        "format": FORMAT,
        "model": registry.name_of(model),
        "settings": registry.settings(model),
        "n_users": given.n_users,
        "n_items": given.n_items,
        "n_ratings": len(given),
        "scale": list(given.scale),
        "unit": [model.unit_.low, model.unit_.size],
        "implicit": given.implicit,
        "data": given.name,
        "fingerprint": given.fingerprint,
        "seed": model.seed_,
        "seconds": round(model.seconds_, 3),
        "history": dataclasses.asdict(model.history_),
        "choices": choices,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {**versions, "python": platform.python_version()},
        "checksums": {name: _digest(folder / name) for name in written},
    }
    content = {**about, "checksum": checksum(about)}
    (folder / MODEL).write_text(json.dumps(content, indent=1))


def _write_given(given: AnyRatings, folder: Path) -> None:
    if isinstance(given, stored_ratings.StoredRatings):
        given.link_into(folder / STORED)
        return

    assert isinstance(given, Ratings)
    columns = {"user": given.user, "item": given.item, "value": given.value}
    if given.time is not None:
        columns["time"] = given.time
    if given.disliked is not None:
        columns |= {"disliked_user": given.disliked.row, "disliked_item": given.disliked.column}

    numpy_file.save_file(columns, folder / "given.safetensors")
    ids = {"users": given.users.ids.to_list(), "items": given.items.ids.to_list()}
    (folder / "vocab.json").write_text(json.dumps(ids))
    if given.catalogue is not None:
        table = BytesIO()
        given.catalogue.write_parquet(table)
        (folder / "catalogue.parquet").write_bytes(table.getvalue())

    if given.text is not None:
        _write_text(given.text, folder)


def _write_choices(model: Model, folder: Path) -> dict[str, Any] | None:
    """Write who chooses what, which goes with a model of ratings; returns what model that is."""
    if model.output != "ratings":
        return None

    choices = interest_of(model).choices
    weights = {name: weight.contiguous() for name, weight in choices.net_.state_dict().items()}
    torch_file.save_file(weights, folder / CHOICES)

    return {"model": registry.name_of(choices), "settings": registry.settings(choices)}


def _write_text(text: Corpus, folder: Path) -> None:
    about = {
        "words": text.words.ids.to_list(),
        "reading": dataclasses.asdict(text.tokenizer),
        "notes": text.notes,
        "out_of_vocabulary": text.out_of_vocabulary,
        "vectors": text.vectors.name if text.vectors else None,
    }
    (folder / "text.json").write_text(json.dumps(about))
    columns = {"start": text.start, "word": text.word, "in_documents": text.in_documents}
    if text.vectors:
        columns |= {"table": text.vectors.table, "found": text.vectors.found}

    numpy_file.save_file(columns, folder / "text.safetensors")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
