"""Data sets by name, public and made: one file per family, each with VARIANTS and `load(variant, folder)`."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from recollect.data.ratings import Ratings
from recollect.data.read import read
from recollect.data.sources.netflix import prize_files
from recollect.errors import unknown


def load(name: str | Path, folder: str | Path | None = None) -> Ratings:
    """The ratings of a data set by name ("movielens/1m"), those in a file by its path (as `read` takes them), or those in a
    folder of the Netflix Prize's files.

    Data are looked for in `folder`, else in the folders that `fetch.homes` lists, else downloaded.

    Raises: SettingError for a name that does not exist; FetchError if a download fails; DataError if data are damaged.
    """
    if prize_files.find(Path(name)) is not None:
        return importlib.import_module(f"{__name__}.netflix").read(name)
    family, _, variant = str(name).partition("/")
    if Path(name).is_file() or (
        family not in families() and (Path(name).exists() or Path(name).suffix)
    ):
        return read(name)
    if f"{name}" not in known():
        raise unknown("data set or file", str(name), known())
    source = importlib.import_module(f"{__name__}.{family}")
    return source.load(variant, None if folder is None else Path(folder))


def families() -> list[str]:
    """The names of the files in this folder: "movielens", "planted"."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def known() -> dict[str, str]:
    """Every data set that `load` knows, "family/variant", and a line about it."""
    return {
        f"{family}/{variant}": str(about)
        for family in families()
        for variant, about in importlib.import_module(f"{__name__}.{family}").VARIANTS.items()
    }
