"""A fitted model as a folder: JSON, safetensors and Parquet, no pickle.

    model.json         name, settings, shape, scale, seed, versions, data fingerprint, checksums
    net.safetensors    what was learned
    given.safetensors  the ratings it predicts from, as row numbers
    vocab.json         the ids of users and items, in row order
    catalogue.parquet  titles and genres, if known
    text.json          the words of the items' texts and how they are tokenized, if there are texts
    text.safetensors   their documents, as numbers of words, and the vectors of the words
    given              of a model of stored ratings, in place of the ratings: links to their files

The folder needs neither the data nor the configuration it came from. Beside these files may lie
scores.json (what `recollect train` measured), and `snapshot` and `refit` (an interrupted fit).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import torch
from polars.exceptions import PolarsError
from safetensors import SafetensorError
from safetensors import numpy as numpy_file
from safetensors import torch as torch_file

from recollect import registry
from recollect.data.on_disk import files, stored_ratings
from recollect.data.rating_unit import RatingUnit
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.text.corpus import Corpus
from recollect.data.text.tokenizer import tokenizer_of
from recollect.data.text.word_vectors import WordVectors
from recollect.data.vocab import Vocab
from recollect.errors import CheckpointError, RecollectError
from recollect.model import Model
from recollect.system.atomic_files import checksum, replacing
from recollect.training.history import History

# Raised when an older program could not read what a newer one writes: 2 has texts, 3 other names
# of weights, 4 the unit of the ratings that the model learned from.
FORMAT = 4
FORMAT_OF_TODAYS_NAMES = 3

STORED = "given"
PARTS = ("net.safetensors", "given.safetensors", "vocab.json", "catalogue.parquet")
TEXT_PARTS = ("text.json", "text.safetensors")
STORED_PARTS = tuple(f"{STORED}/{name}" for name in files.NEEDED)
FILES = (*PARTS, *TEXT_PARTS, *STORED_PARTS)

# What a folder may hold that saving is allowed to replace.
OWN_NAMES = {"model.json", *PARTS, *TEXT_PARTS, STORED, "scores.json", "snapshot", "refit"}


def save(model: Model, folder: str | Path) -> Path:
    """Write a fitted model to a folder, replacing an earlier one; a reader never sees half of it.

    Raises:
        NotFittedError: if there is nothing to save.
        CheckpointError: if the folder cannot be written (a full disk), or holds anything that is
            not part of a saved model.
    """
    model.given()
    folder = Path(folder)
    _refuse_foreign_files(folder)

    try:
        with replacing(folder) as fresh:
            fresh.mkdir()
            _write(model, fresh)
    except (OSError, SafetensorError) as problem:
        raise CheckpointError(
            f"The model could not be written to {folder}: {problem}. Nothing was changed there."
        ) from problem

    return folder


def load(folder: str | Path) -> Model:
    """The model saved in a folder, on the CPU, ready to predict.

    Nothing in the folder is code. But the folder of a model from outside the package names its
    class ("package.module:Class"), and that module, which must be installed here, is imported: load
    such folders only from people you trust to choose it. A class that is no Model is never called.

    Raises:
        CheckpointError: if there is none, it was written by a newer version, or a file is damaged
            or missing.
    """
    folder = Path(folder)
    about = describe(folder)

    try:
        for name, expected in about["checksums"].items():
            _check_file(folder, name, expected)

        return _read(about, folder)
    except CheckpointError:
        raise
    except RecollectError as problem:
        message = f"{folder} does not fit what is installed here: {problem}"
        raise CheckpointError(message) from problem
    except (
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        OSError,
        SafetensorError,
        PolarsError,
    ) as problem:
        raise CheckpointError(
            f"{folder} cannot be read: {type(problem).__name__} {problem}; fit anew."
        ) from problem


def describe(folder: str | Path) -> dict[str, Any]:
    """The content of `model.json`, without reading the rest.

    Raises:
        CheckpointError: as `load`.
    """
    path = Path(folder) / "model.json"
    if not path.is_file():
        what = "holds no model.json" if path.parent.is_dir() else "does not exist"
        raise CheckpointError(
            f"There is no saved model at {folder}: it {what}."
            f" `recollect train … --out {folder}` makes one."
        )

    try:
        about = json.loads(path.read_bytes())
        format_ = int(about["format"])
        expected = about.pop("checksum", None)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise CheckpointError(
            f"{path} is damaged ({problem}); copy the folder again or fit anew."
        ) from problem

    if format_ > FORMAT:
        raise CheckpointError(
            f"{folder} was written by a newer Recollect (format {format_}); this one, "
            f"{version('recollect')}, reads up to format {FORMAT}: upgrade it."
        )

    if expected != checksum(about):
        raise CheckpointError(
            f"{path} is damaged or was edited (its checksum is not that of its content); copy the "
            "folder again or fit anew."
        )

    return about


def _refuse_foreign_files(folder: Path) -> None:
    """Saving replaces the folder: refuse one with other files. Killed fits leave hidden ones."""
    if not folder.exists():
        return

    if not folder.is_dir():
        raise CheckpointError(f"{folder} is a file; name a folder for the model.")

    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    foreign = sorted(names - OWN_NAMES)
    if foreign:
        raise CheckpointError(
            f"{folder} holds {', '.join(foreign[:3])}: no part of a saved model, and saving would "
            "remove it; name another folder, or move it."
        )


def _write(model: Model, folder: Path) -> None:
    given = model.given_
    weights = {
        name: weight.detach().cpu().contiguous() for name, weight in model.net_.state_dict().items()
    }
    torch_file.save_file(weights, folder / "net.safetensors")
    _write_given(given, folder)
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
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {**versions, "python": platform.python_version()},
        "checksums": {name: _digest(folder / name) for name in written},
    }
    content = {**about, "checksum": checksum(about)}
    (folder / "model.json").write_text(json.dumps(content, indent=1))


def _write_given(given: AnyRatings, folder: Path) -> None:
    if isinstance(given, stored_ratings.StoredRatings):
        given.link_into(folder / STORED)
        return

    assert isinstance(given, Ratings)
    columns = {"user": given.user, "item": given.item, "value": given.value}
    if given.time is not None:
        columns["time"] = given.time

    numpy_file.save_file(columns, folder / "given.safetensors")
    ids = {"users": given.users.ids.to_list(), "items": given.items.ids.to_list()}
    (folder / "vocab.json").write_text(json.dumps(ids))
    if given.catalogue is not None:
        table = BytesIO()
        given.catalogue.write_parquet(table)
        (folder / "catalogue.parquet").write_bytes(table.getvalue())

    if given.text is not None:
        _write_text(given.text, folder)


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


def _check_file(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if name not in FILES or not path.is_file():
        raise CheckpointError(
            f"{folder} lacks {name}; the folder was copied in part: copy it again or fit anew."
        )

    if _digest(path) != expected:
        raise CheckpointError(
            f"{path} is damaged (its checksum is not the one in model.json); copy it again or fit "
            "anew."
        )


def _read(about: dict[str, Any], folder: Path) -> Model:
    model = registry.make(about["model"], **about["settings"])
    model.given_ = _read_given(about, folder)
    # Models of formats up to 3 learned from ratings as they are.
    model.unit_ = RatingUnit(*about.get("unit", ()))

    with torch.random.fork_rng(devices=[]):
        model.net_ = model.inner.build(model.given_.n_users, model.given_.n_items)

    weights = torch_file.load_file(folder / "net.safetensors")
    if about["format"] < FORMAT_OF_TODAYS_NAMES:
        former = model.former_network_names
        weights = {_todays_name(name, former): weight for name, weight in weights.items()}

    model.net_.load_state_dict(weights)
    model.net_.eval()
    model.history_ = _history(about["history"])
    model.seed_ = about["seed"]
    model.seconds_ = about["seconds"]
    model._forget()

    return model


def _todays_name(name: str, former: Mapping[str, str]) -> str:
    """The name of a weight, part by part: earlier releases called some parts otherwise."""
    parts = name.split(".")
    renamed = [former.get(part, part) for part in parts]
    return ".".join(renamed)


def _history(about: dict[str, Any]) -> History:
    former_name = "best_valid_rmse"  # of best_valid
    fields = dict(about)
    if former_name in fields:
        fields["best_valid"] = fields.pop(former_name)

    return History(**fields)


def _read_given(about: dict[str, Any], folder: Path) -> AnyRatings:
    if f"{STORED}/about.json" in about["checksums"]:
        return stored_ratings.open_stored(folder / STORED)

    columns = numpy_file.load_file(folder / "given.safetensors")
    ids = json.loads((folder / "vocab.json").read_bytes())
    catalogue = None
    if "catalogue.parquet" in about["checksums"]:
        catalogue = pl.read_parquet((folder / "catalogue.parquet").read_bytes())

    low, high = about["scale"]

    return Ratings(
        columns["user"],
        columns["item"],
        columns["value"],
        Vocab(pl.Series(ids["users"], dtype=pl.String)),
        Vocab(pl.Series(ids["items"], dtype=pl.String)),
        time=columns.get("time"),
        scale=(low, high),
        implicit=about.get("implicit", False),
        name=about["data"],
        catalogue=catalogue,
        text=_read_text(folder) if "text.json" in about["checksums"] else None,
    )


def _read_text(folder: Path) -> Corpus:
    about = json.loads((folder / "text.json").read_bytes())
    columns = numpy_file.load_file(folder / "text.safetensors")
    vectors = None
    if about["vectors"] is not None:
        vectors = WordVectors(columns["table"], columns["found"], about["vectors"])

    return Corpus(
        Vocab(pl.Series(about["words"], dtype=pl.String)),
        columns["start"],
        columns["word"],
        columns["in_documents"],
        tokenizer_of(about["reading"]),
        vectors,
        tuple(about["notes"]),
        about["out_of_vocabulary"],
    )
