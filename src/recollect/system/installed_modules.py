"""Where a module comes from: an installed distribution, or a folder that happens to be searched.

Python also searches the working folder, the folder of the script and PYTHONPATH. What lies there
may have come with somebody's data; what was installed was chosen.
"""

from __future__ import annotations

import site
import sys
import sysconfig
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

# The finders that setuptools makes for packages that were installed in editable form.
EDITABLE_FINDER = "__editable___"


def installed_file(package: str) -> Path | None:
    """The file of a top-level package or module of an installed distribution.

    None if none is installed, or if Python would import another file under this name: one that
    stands before it on the search path, or was imported from there already. A namespace package has
    no file and is never one: any folder on the search path adds to it. Nothing is imported.
    """
    installed = _file_of(_find_installed(package))
    if installed is None:
        return None

    try:
        imported = _file_of(find_spec(package))
    except ValueError:  # a module that was made by hand, such as __main__
        return None

    return installed if imported == installed else None


def _find_installed(package: str) -> ModuleSpec | None:
    spec = PathFinder.find_spec(package, _folders())
    if spec is not None:
        return spec

    for finder in sys.meta_path:
        home = finder.__module__ if isinstance(finder, type) else type(finder).__module__
        if home.startswith(EDITABLE_FINDER):
            spec = finder.find_spec(package, None)
            if spec is not None:
                return spec

    return None


def _folders() -> list[str]:
    """The folders that distributions are installed in, and those that their .pth files name."""
    homes = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    homes |= set(site.getsitepackages())
    if site.ENABLE_USER_SITE:
        homes.add(site.getusersitepackages())

    folders = []

    for home in sorted(homes):
        folders.append(home)

        for path in sorted(Path(home).glob("*.pth")):
            folders += _named_in(path)

    return folders


def _named_in(path: Path) -> list[str]:
    """The folders that a .pth file adds to the search path; its other lines are code."""
    lines = path.read_text(errors="replace").splitlines()
    folders = []

    for line in lines:
        entry = line.strip()
        is_code = entry.startswith(("import ", "import\t"))
        if not entry or is_code or entry.startswith("#"):
            continue

        folder = path.parent / entry
        if folder.is_dir():
            folders.append(str(folder))

    return folders


def _file_of(spec: ModuleSpec | None) -> Path | None:
    if spec is None or not spec.has_location or spec.origin is None:
        return None

    return Path(spec.origin).resolve()
