"""The verb doctor: what the installation has to work with, and whether it works."""

from __future__ import annotations

import platform
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

import recollect as rc
from recollect.cli.options.settings import Settings, settings_of
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import facts, memory, seconds, table
from recollect.errors import SettingError, TrainingError
from recollect.settings import changed

PACKAGES = (
    "recollect",
    "torch",
    "numpy",
    "numba",
    "scipy",
    "polars",
    "pyarrow",
    "safetensors",
    "matplotlib",
    "tensorboard",
)
# Users, items and ratings of well-known data sets.
KNOWN_SHAPES = {
    "MovieLens 1M": (6_040, 3_706, 1_000_209),
    "MovieLens 10M": (69_878, 10_677, 10_000_054),
    "Netflix": (480_189, 17_770, 100_480_507),
}
IN_BATCHES: dict[str, Any] = {"optimizer": "adam", "batch_size": 512}
VALID = 20  # one in so many ratings is for validation


def doctor(
    screen: Screen,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="USERSxITEMSxRATINGS",
            help="Only estimate the memory of a fit on data of this shape.",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="The model for --shape.")] = "autorec",
    settings: Settings = None,
) -> Answer:
    """Show versions, devices, memory and data folders, and test the installation."""
    if shape is not None:
        recipe = rc.make(model, **settings_of(settings))
        return _estimates({shape: _sizes(shape)}, [recipe])

    if settings or model != "autorec":
        raise SettingError(
            "--model and --set state the fit on data of a --shape; give one, such as --shape "
            "6040x3706x1000209."
        )

    estimates = _estimates(KNOWN_SHAPES, [rc.make("autorec"), rc.make("autorec", **IN_BATCHES)])
    machine = _machine()
    test_seconds = _self_test()
    passed = (
        f"Self-test passed in {seconds(test_seconds)}: a model was fitted, saved, loaded and "
        "used to predict."
    )

    return Answer(
        {**machine.data, "self_test_seconds": test_seconds, **estimates.data},
        [*machine.shown, "", *estimates.shown, "", passed],
    )


def _machine() -> Answer:
    """The versions, the devices, the memory, and the folders in which data are searched."""
    import torch

    from recollect.data import download
    from recollect.kernels import multiplies_16_bits
    from recollect.memory_estimate import MB
    from recollect.system.available_memory import available, total

    limit = available()
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    devices = ["cpu", *(f"{gpu} ({torch.cuda.get_device_name(gpu)})" for gpu in gpus)]
    folders = [str(folder.resolve()) for folder in download.homes()]
    data = {
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "packages": {name: _version(name) for name in PACKAGES},
        "devices": devices,
        "multiplies_16_bits": {
            device: multiplies_16_bits(torch.device(device)) for device in ("cpu", *gpus)
        },
        "threads": torch.get_num_threads(),
        "memory_mb": (total() or 0) / MB or None,
        "available_memory_mb": limit.bytes / MB if limit else None,
        "data_folders": {folder: _names_in(Path(folder)) for folder in folders},
        "cache": folders[-1],
    }

    return Answer(data, _machine_tables(data, limit.limit if limit else ""))


def _machine_tables(data: dict[str, Any], limit: str) -> list[Any]:
    """The same for people.

    Args:
        data: of the machine.
        limit: what limits the available memory.
    """
    products = data["multiplies_16_bits"].items()
    available = data["available_memory_mb"]
    about = {
        "Python": f"{data['python']} on {data['system']}",
        **{name: number or "not installed" for name, number in data["packages"].items()},
        "devices": ", ".join(data["devices"]),
        "threads": data["threads"],
        "16-bit products": ", ".join(f"{name}: {'yes' if has else 'no'}" for name, has in products),
        "memory": "unknown" if data["memory_mb"] is None else memory(data["memory_mb"]),
        "available": "unknown" if available is None else f"{memory(available)} ({limit})",
    }
    folders = {}

    for folder, names in data["data_folders"].items():
        is_empty = "empty" if Path(folder).is_dir() else "does not exist yet"
        folders[folder] = ", ".join(names) or is_empty

    return [facts(about), "", facts(folders, title="Data are searched in")]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _estimates(shapes: dict[str, tuple[int, int, int]], recipes: list[rc.Model]) -> Answer:
    """The estimated peak of fitting each model on each shape, and whether it fits the memory."""
    from recollect.memory_estimate import MB
    from recollect.system.available_memory import available

    limit = available()
    estimates = [
        _estimate(data, shape, recipe, None if limit is None else limit.bytes)
        for data, shape in shapes.items()
        for recipe in recipes
    ]

    rows = [
        (row["data"], row["model"], memory(row["predicted_memory_mb"]), row["fits"])
        for row in estimates
    ]

    return Answer(
        {"fits": estimates, "available_memory_mb": limit.bytes / MB if limit else None},
        [table(("data", "fit", "memory", "fits"), rows, title="Memory of a fit")],
    )


def _estimate(
    data: str, shape: tuple[int, int, int], recipe: rc.Model, available: int | None
) -> dict[str, Any]:
    """The estimate for one model on one shape.

    Args:
        data: the name of the data.
        shape: users, items, ratings.
        recipe: the unfitted model.
        available: bytes; None if unknown.
    """
    from recollect.memory_estimate import MB, Shape

    users, items, ratings = shape
    valid = ratings // VALID
    sizes = Shape(
        n_users=users,
        n_items=items,
        n_train=ratings - valid,
        n_valid=valid,
    )
    need = recipe.memory(sizes)

    return {
        "data": data,
        "users": users,
        "items": items,
        "ratings": ratings,
        "model": _brief(recipe),
        "predicted_memory_mb": need.peak / MB,
        "fits": None if available is None else available >= need.peak,
        "parts_mb": {name: part / MB for name, part in need.host.items()},
    }


def _brief(recipe: rc.Model) -> str:
    """The model with the settings that its size depends on."""
    from recollect import registry

    different = changed(recipe)
    shown = [
        f"{key}={value}"
        for key, value in registry.settings(recipe).items()
        if key in different or key in ("side", "hidden", "optimizer")
    ]

    return " ".join([registry.name_of(recipe), *shown])


def _sizes(shape: str) -> tuple[int, int, int]:
    """Users, items and ratings, written as 6040x3706x1000209.

    Raises:
        SettingError: if it is not three numbers.
    """
    sizes = shape.lower().replace("×", "x").replace(",", "").split("x")
    if len(sizes) != 3 or not all(size.strip().isdigit() and int(size) > 0 for size in sizes):
        raise SettingError(
            f"--shape is users, items and ratings, such as 6040x3706x1000209; found {shape!r}."
        )

    users, items, ratings = map(int, sizes)

    return users, items, ratings


def _names_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _self_test() -> float:
    """Fit, save, load and predict; returns the seconds it took.

    Raises:
        TrainingError: if the loaded model predicts differently from the fitted one.
    """
    started = time.monotonic()
    ratings = rc.load("planted/tiny")
    model = rc.make(
        "autorec",
        hidden=8,
        reg=1.0,
        epochs=5,
    ).fit(ratings)

    with tempfile.TemporaryDirectory() as folder:
        loaded = rc.load_model(rc.save(model, Path(folder) / "model"))

    predicted = loaded.predict(ratings.user, ratings.item)
    if not (predicted == model.predict(ratings.user, ratings.item)).all():
        raise TrainingError(
            "A model that was saved and loaded predicts differently; the installation is broken: "
            "install Recollect again."
        )

    return time.monotonic() - started
