"""Loading a fitted model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.arguments import expect_path
from recollect.checkpoint.about import history_of, parse
from recollect.checkpoint.given import read_given
from recollect.checkpoint.layout import CHOICES, MODEL
from recollect.checkpoint.open_folder import OpenFolder
from recollect.checkpoint.weights import read_network
from recollect.data.rating_unit import RatingUnit
from recollect.errors import CheckpointError, DataError, RecollectError, UntrustedError
from recollect.families.item_weights import ItemWeights
from recollect.interest import keep_choices
from recollect.model import Model
from recollect.settings import former_values
from recollect.system.atomic_files import WRITING, left_beside, recover, resolved
from recollect.system.forking import refuse_forked
from recollect.system.locks import Lock

# A folder that is replaced while it is read is read again: so often, and after so many seconds.
ATTEMPTS = 20
PAUSE = 0.02


def load(folder: str | Path, trusted: registry.Trusted = ()) -> Model:
    """The model saved in a folder, on the CPU, ready to predict.

    No folder runs code of its own choice. That of a model from outside the package names its class
    ("package.module:Class"), which is refused unless the caller trusts it. If the folder is
    replaced in the meantime, the model is the earlier one or the new one, whole.

    Args:
        folder: of the saved model.
        trusted: classes from outside that may be loaded: the class itself, or its name, which is
            looked for in installed distributions only.

    Raises:
        CheckpointError: if there is none, it was written by a newer version, a file is damaged or
            missing, or its class is not trusted.
        ProcessError: in a forked process that would wait for threads of its parent.
    """
    refuse_forked()
    expect_path("folder", folder, such_as="'runs/films'")
    folder = Path(folder)
    if not folder.exists():
        recover(folder)

    for _ in range(ATTEMPTS):
        model = _try_to_load(folder, trusted)
        if model is not None:
            return model

        time.sleep(PAUSE)

    raise CheckpointError(f"{folder} is replaced again and again while it is read; try later.")


def _try_to_load(folder: Path, trusted: registry.Trusted) -> Model | None:
    """The model; None if the folder was replaced in the meantime, and it is to be read again.

    Raises:
        CheckpointError: as `load`.
    """
    try:
        opened = OpenFolder(folder)
    except CheckpointError as problem:
        # The files of a folder that was just replaced are removed one after the other. One that
        # may not be read is another matter.
        is_there = (folder / MODEL).is_file() or _is_being_replaced(folder)
        if problem.__cause__ is not None or not is_there:
            raise

        return None

    with opened:
        try:
            model = _load(opened, trusted)
        except CheckpointError:
            # Half of the files may have been removed before they were opened.
            if opened.is_replaced:
                return None

            raise

        # What was read through the open files is whole whatever stands there now; stored ratings
        # are read from the folder itself.
        may_be_mixed = opened.is_read_by_paths or not model.given_.in_memory

        return None if may_be_mixed and opened.is_replaced else model


def _is_being_replaced(folder: Path) -> bool:
    """Whether a living process writes to the folder: for a moment nothing may stand there."""
    return any(Lock.is_held(path / WRITING) for path in left_beside(resolved(folder)))


def _load(opened: OpenFolder, trusted: registry.Trusted) -> Model:
    folder = opened.folder
    about = parse(opened.read(MODEL), folder)

    try:
        for name, expected in about["checksums"].items():
            _check_file(opened, name, expected)

        return _read(about, opened, trusted)
    except CheckpointError:
        raise
    except UntrustedError as problem:
        raise CheckpointError(f"{folder} is not loaded. {problem}") from problem
    except DataError as problem:
        raise CheckpointError(
            f"{folder} was edited or is damaged: {problem} Copy it again or fit anew."
        ) from problem
    except RecollectError as problem:
        message = f"{folder} does not fit what is installed here: {problem}"
        raise CheckpointError(message) from problem
    except Exception as problem:
        # Whatever the libraries beneath say of content that no save writes.
        raise CheckpointError(
            f"{folder} cannot be read: {type(problem).__name__} {problem}; fit anew."
        ) from problem


def _check_file(opened: OpenFolder, name: str, expected: str) -> None:
    if name not in opened:
        raise CheckpointError(
            f"{opened.folder} lacks {name}; the folder was copied in part: copy it again or fit "
            "anew."
        )

    if opened.digest(name) != expected:
        raise CheckpointError(
            f"{opened.folder / name} is damaged (its checksum is not the one in model.json); copy "
            "it again or fit anew."
        )


def _read(about: dict[str, Any], opened: OpenFolder, trusted: registry.Trusted) -> Model:
    kind = registry.find_trusted(about["model"], trusted, not_in=opened.folder)
    settings = registry.with_todays_names(kind, about["settings"])
    model = registry.make_of(kind, {**former_values(kind), **settings})
    model.given_ = read_given(about, opened)
    # Models of formats up to 3 learned from ratings as they are.
    model.unit_ = RatingUnit(*about.get("unit", ()))
    net = "net.safetensors"
    model.net_ = read_network(
        model, opened.path(net), format_=about["format"], name=str(opened.folder / net)
    )
    model.history_ = history_of(about)
    model.seed_ = about["seed"]
    model.seconds_ = about["seconds"]
    model._forget()
    _read_choices(model, about, opened)

    return model


def _read_choices(model: Model, about: dict[str, Any], opened: OpenFolder) -> None:
    """Read who chooses what, if the folder has it; without, it is learned from the ratings."""
    described = about.get("choices")
    if described is None:
        return

    choices = registry.make(described["model"], **described["settings"])
    assert isinstance(choices, ItemWeights)
    choices.given_ = model.given_
    choices.net_ = read_network(
        choices, opened.path(CHOICES), format_=about["format"], name=str(opened.folder / CHOICES)
    )
    choices._forget()
    keep_choices(model, choices)
