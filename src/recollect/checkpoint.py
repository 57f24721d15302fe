"""A fitted model as a folder: JSON and safetensors, no pickle.

    model.json         name, settings, shape, scale, seed, versions, data fingerprint, a checksum of each other file
    net.safetensors    what was learned
    given.safetensors  the ratings it predicts from, as row numbers
    vocab.json         the ids of users and items, in row order
    catalogue.json     titles and genres, if known

It needs neither the data nor the configuration it came from.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import torch
from safetensors import SafetensorError
from safetensors import numpy as numpy_file
from safetensors import torch as torch_file

from recollect import catalogue
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import CheckpointError, NotFittedError, RecollectError
from recollect.files import replacing
from recollect.model import Model
from recollect.training.watch import History

FORMAT = 1   # raised when an older program could not read what a newer one writes


def save(model: Model, folder: str | Path) -> Path:
    """Write a fitted model to a folder, in place of what was there; a reader never sees half of it.

    Raises: NotFittedError if there is nothing to save; CheckpointError if the folder cannot be written (a full disk), or
    holds something that is not a saved model.
    """
    folder = Path(folder)
    if not hasattr(model, "net_"):
        raise NotFittedError(f"This {type(model).__name__} is not fitted; there is nothing to save.")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder)):
        raise CheckpointError(f"{folder} exists and is not a saved model; name another folder.")
    try:
        with replacing(folder) as fresh:
            fresh.mkdir()
            _write(model, fresh)
    except (OSError, SafetensorError) as problem:
        raise CheckpointError(f"The model could not be written to {folder}: {problem}. Nothing was changed there.") from problem
    return folder


def load(folder: str | Path) -> Model:
    """The model saved in a folder, ready to predict.

    Raises: CheckpointError if there is none, it was written by a newer version, or a file is damaged or missing.
    """
    folder = Path(folder)
    about = _about(folder)
    parts = {name: (folder / name).read_bytes() if (folder / name).exists() else b"" for name in about["checksums"]}
    for name, expected in about["checksums"].items():
        if not parts[name]:
            raise CheckpointError(f"{folder} lacks {name}; the folder was copied in part: copy it again or fit anew.")
        if hashlib.sha256(parts[name]).hexdigest() != expected:
            raise CheckpointError(f"{folder / name} is damaged (its checksum is not the one in model.json); copy it again "
                                  "or fit anew.")
    try:
        return _read(about, parts)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as problem:
        if isinstance(problem, RecollectError):
            raise CheckpointError(f"{folder} does not fit this version of Recollect: {problem}") from problem
        raise CheckpointError(f"{folder} cannot be read: {type(problem).__name__} {problem}; fit anew.") from problem


def describe(folder: str | Path) -> dict[str, Any]:
    """What `model.json` says, without reading the rest.

    Raises: CheckpointError as `load`.
    """
    return _about(Path(folder))


def _is_ours(folder: Path) -> bool:
    names = {p.name for p in folder.iterdir() if not p.name.startswith(".")}  # a killed fit may leave hidden ones
    return "model.json" in names or names <= {"snapshot", "refit"}


def _write(model: Model, folder: Path) -> None:
    given = model.given_
    columns = {"user": given.user, "item": given.item, "value": given.value}
    torch_file.save_file({k: v.detach().cpu().contiguous() for k, v in model.net_.state_dict().items()},
                         folder / "net.safetensors")
    numpy_file.save_file(columns if given.time is None else {**columns, "time": given.time}, folder / "given.safetensors")
    (folder / "vocab.json").write_text(json.dumps({"users": given.users.ids.to_list(), "items": given.items.ids.to_list()}))
    if given.catalogue is not None:
        (folder / "catalogue.json").write_text(json.dumps(given.catalogue.to_dict(as_series=False), default=str))
    about = {
        "format": FORMAT, "model": catalogue.name_of(model), "settings": catalogue.settings(model),
        "n_users": given.n_users, "n_items": given.n_items, "n_ratings": len(given), "scale": list(given.scale),
        "data": given.name, "fingerprint": given.fingerprint, "seed": model.seed_, "seconds": round(model.seconds_, 3),
        "history": dataclasses.asdict(model.history_), "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"recollect": version(), "torch": torch.__version__, "python": platform.python_version()},
        "checksums": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())},
    }
    (folder / "model.json").write_text(json.dumps(about, indent=1))


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.exists():
        what = "does not exist" if not folder.exists() else "holds no model.json"
        raise CheckpointError(f"There is no saved model at {folder}: it {what}. `recollect train … --out {folder}` makes one.")
    try:
        about = json.loads(path.read_text())
        found = int(about["format"])
    except (ValueError, KeyError, TypeError) as problem:
        raise CheckpointError(f"{path} is damaged ({problem}); copy the folder again or fit anew.") from problem
    if found > FORMAT:
        raise CheckpointError(f"{folder} was written by a newer Recollect ({about.get('versions', {}).get('recollect')}, "
                              f"format {found}); this one reads up to format {FORMAT}: upgrade it.")
    missing = {"model", "settings", "scale", "checksums", "seed", "history"} - about.keys()
    if missing:
        raise CheckpointError(f"{path} is damaged: it lacks {', '.join(sorted(missing))}; copy the folder again or fit anew.")
    return about


def _read(about: dict[str, Any], parts: dict[str, bytes]) -> Model:
    model = catalogue.make(about["model"], **about["settings"])
    columns, vocab = numpy_file.load(parts["given.safetensors"]), json.loads(parts["vocab.json"])
    table = pl.DataFrame(json.loads(parts["catalogue.json"])) if "catalogue.json" in parts else None
    model.given_ = Ratings(columns["user"], columns["item"], columns["value"], Vocab(vocab["users"]), Vocab(vocab["items"]),
                           time=columns.get("time"), scale=(about["scale"][0], about["scale"][1]), catalogue=table,
                           name=about["data"])
    with torch.random.fork_rng(devices=[]):
        model.net_ = model.build(model.given_.n_users, model.given_.n_items)
    model.net_.load_state_dict(torch_file.load(parts["net.safetensors"]))
    model.net_.eval()
    history = about["history"]
    model.history_ = History(**{**history, "best_valid_rmse": float(history["best_valid_rmse"])})
    model.seed_, model.seconds_ = about["seed"], about["seconds"]
    model._forget()
    return model


def version() -> str:
    """This package's version."""
    from importlib.metadata import version as installed

    return installed("recollect")
