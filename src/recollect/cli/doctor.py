"""The verb doctor: what there is to work with, and whether it works."""

from __future__ import annotations

import platform
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from recollect.cli.fit import Settings
from recollect.cli.output.screen import Answer, Screen, facts, memory, seconds, settings_of, table
from recollect.errors import SettingError, TrainingError

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
KNOWN = {
    "MovieLens 1M": (6_040, 3_706, 1_000_209),
    "MovieLens 10M": (69_878, 10_677, 10_000_054),
    "Netflix": (480_189, 17_770, 100_480_507),
}  # users, items, ratings
BATCHES = {"optimizer": "adam", "batch_size": 512}


def doctor(
    screen: Screen,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="USERSxITEMSxRATINGS", help="Only say what memory a fit on so many would take."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="The model for --shape.")] = "autorec",
    settings: Settings = None,
) -> Answer:
    """Show versions, devices, memory and data folders, and test the installation on made-up ratings."""
    from recollect import registry

    if shape is not None:
        return _fits({shape: _sizes(shape)}, [registry.make(model, **settings_of(settings or ()))])
    if settings or model != "autorec":
        raise SettingError(
            "--model and --set say what is to be fitted on a --shape; give one, such as --shape "
            "6040x3706x1000209."
        )
    fits = _fits(KNOWN, [registry.make("autorec"), registry.make("autorec", **BATCHES)])
    machine = _machine()
    return Answer(
        {**machine.data, **fits.data}, [*machine.shown[:-2], "", *fits.shown, *machine.shown[-2:]]
    )


def _machine() -> Answer:
    import torch

    from recollect.data import download
    from recollect.kernels import multiplies_16_bits
    from recollect.memory_estimate import MB
    from recollect.system.available_memory import available, total

    there, gpus = available(), [f"cuda:{j}" for j in range(torch.cuda.device_count())]
    devices = ["cpu", *(f"{gpu} ({torch.cuda.get_device_name(gpu)})" for gpu in gpus)]
    short = {device: multiplies_16_bits(torch.device(device)) for device in ("cpu", *gpus)}
    homes = [str(home.resolve()) for home in download.homes()]
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "packages": {name: _version(name) for name in PACKAGES},
        "devices": devices,
        "multiplies_16_bits": short,
        "threads": torch.get_num_threads(),
        "memory_mb": (total() or 0) / MB or None,
        "available_memory_mb": there.bytes / MB if there else None,
        "data_folders": {home: _holds(Path(home)) for home in homes},
        "cache": homes[-1],
    }
    found["self_test_seconds"] = _self_test()
    about = {
        "Python": f"{found['python']} on {found['system']}",
        **{name: v or "not installed" for name, v in found["packages"].items()},
        "devices": ", ".join(devices),
        "threads": found["threads"],
        "16-bit products": ", ".join(
            f"{device}: {'yes' if has else 'no'}" for device, has in short.items()
        ),
        "memory": "unknown" if found["memory_mb"] is None else memory(found["memory_mb"]),
        "available": f"{memory(there.bytes / MB)} ({there.limit})" if there else "unknown",
    }
    folders = {
        home: ", ".join(holds) or ("empty" if Path(home).is_dir() else "not there yet")
        for home, holds in found["data_folders"].items()
    }
    return Answer(
        found,
        [
            facts(about),
            "",
            facts(folders, title="Data are looked for in"),
            "",
            f"Self-test passed in {seconds(found['self_test_seconds'])}: fitted, saved, loaded and asked "
            "a model.",
        ],
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _fits(shapes: dict[str, tuple[int, int, int]], recipes: list[Any]) -> Answer:
    """The predicted peak of fitting each model on each shape, a twentieth of the ratings kept for validation, and whether
    there is room for it."""
    from recollect.memory_estimate import MB, Shape
    from recollect.system.available_memory import available

    there, found, rows = available(), [], []
    for data, (users, items, ratings) in shapes.items():
        for recipe in recipes:
            valid = ratings // 20
            need = recipe.memory(
                Shape(n_users=users, n_items=items, n_train=ratings - valid, n_valid=valid)
            )
            fits = there.bytes >= need.peak if there else None
            found.append(
                {
                    "data": data,
                    "users": users,
                    "items": items,
                    "ratings": ratings,
                    "model": _brief(recipe),
                    "predicted_memory_mb": need.peak / MB,
                    "fits": fits,
                    "parts_mb": {name: part / MB for name, part in need.host.items()},
                }
            )
            rows.append((data, _brief(recipe), memory(need.peak / MB), fits))
    return Answer(
        {"fits": found, "available_memory_mb": there.bytes / MB if there else None},
        [table(("data", "fit", "memory", "fits here"), rows, title="What fits")],
    )


def _brief(recipe: Any) -> str:
    """The model with the settings that its size depends on."""
    from recollect import registry

    now, usual = registry.settings(recipe), registry.settings(type(recipe))
    shown = [
        f"{key}={value}"
        for key, value in now.items()
        if value != usual[key] or key in ("side", "hidden", "optimizer")
    ]
    return " ".join([registry.name_of(recipe), *shown])


def _sizes(shape: str) -> tuple[int, int, int]:
    sizes = shape.lower().replace("×", "x").replace(",", "").split("x")
    if len(sizes) != 3 or not all(size.strip().isdigit() and int(size) > 0 for size in sizes):
        raise SettingError(
            f"--shape is users, items and ratings, such as 6040x3706x1000209; found {shape!r}."
        )
    users, items, ratings = map(int, sizes)
    return users, items, ratings


def _holds(home: Path) -> list[str]:
    return (
        sorted(path.name for path in home.iterdir() if not path.name.startswith("."))
        if home.is_dir()
        else []
    )


def _self_test() -> float:
    """Fit, save, load, predict; the seconds it took.

    Raises: TrainingError if the loaded model predicts otherwise than the fitted one.
    """
    from recollect import checkpoint, registry
    from recollect.data.sources import load

    started = time.monotonic()
    ratings = load("planted/tiny")
    model = registry.make("autorec", hidden=8, reg=1.0, epochs=5).fit(ratings)
    with tempfile.TemporaryDirectory() as folder:
        again = checkpoint.load(checkpoint.save(model, Path(folder) / "model"))
    if not (
        again.predict(ratings.user, ratings.item) == model.predict(ratings.user, ratings.item)
    ).all():
        raise TrainingError(
            "A model predicts otherwise once it was saved and loaded; the installation is broken: set "
            "it up anew."
        )
    return time.monotonic() - started
