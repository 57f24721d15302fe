"""Data sets by name, public and made: one file (or folder) per family.

A file has VARIANTS, a dictionary whose values say in a line what the variant is, and

    load(variant, folder)      its ratings, from `folder` or the data homes, else downloaded
    is_here(variant, folder)   whether they can be loaded without a download
    how_to_get(variant)        what to do where they are not here, in half a sentence

It may have PUBLISHED, counts of each variant by what is counted: "lists", "songs".

`data.open_data` finds it by its name; nothing else has to know of it.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def families() -> list[str]:
    """The names of the files in this folder: "movielens", "planted"."""
    modules = pkgutil.iter_modules(__path__)
    return sorted(module.name for module in modules)


def module_of(family: str) -> Any:
    """The module of a family, such as "movielens"."""
    return importlib.import_module(f"{__name__}.{family}")


def known() -> dict[str, str]:
    """Every data set by name, "family/variant", and a line about it."""
    names = {}
    for family in families():
        for variant, about in module_of(family).VARIANTS.items():
            names[f"{family}/{variant}"] = str(about)
    return names


def published(name: str) -> dict[str, int]:
    """The published counts of a data set of lists, by what is counted; empty if none are known."""
    family, _, variant = name.partition("/")
    if family not in families():
        return {}

    counts: dict[str, dict[str, int]] = vars(module_of(family)).get("PUBLISHED", {})

    return dict(counts.get(variant, {}))
