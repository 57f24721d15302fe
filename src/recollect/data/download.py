"""Where data sets are kept, and how a missing one gets there."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pooch

from recollect.errors import FetchError
from recollect.system.atomic_files import replacing

log = logging.getLogger("recollect")


def homes(folder: Path | None = None) -> list[Path]:
    """The folders in which data are looked for, in this order.

    `folder` alone if given; else the folder that the environment variable RECOLLECT_DATA names, a folder shared/data
    beside the current one, and the user's cache.
    """
    if folder is not None:
        return [folder]
    stated = os.environ.get("RECOLLECT_DATA")
    return [
        *([Path(stated)] if stated else []),
        Path("..", "shared", "data"),
        Path(pooch.os_cache("recollect")),
    ]


def archive(
    name: str, address: str, checksum: str | None, *, holds: str, folder: Path | None = None
) -> Path:
    """The folder `name` with the unpacked files of an archive, found in one of the homes or downloaded.

    `holds` is a file that must be in it; `checksum` is that of the archive ("md5:…"). A download goes to `folder`, else
    to RECOLLECT_DATA if that can be written to, else to the user's cache.

    Raises: FetchError if the download fails, its checksum differs, or the archive is damaged.
    """
    places = homes(folder)
    for place in places:
        if (place / name / holds).is_file():
            return place / name
    to = _place_to_fill(places)
    for place in places:
        if (place / f"{name}.zip").is_file():
            return _unpack(place / f"{name}.zip", to / name, holds)
    log.info("%s is in none of %s", name, ", ".join(map(str, places)))
    return _unpack(download(address, to / f"{name}.zip", checksum), to / name, holds)


def found(paths: Iterable[str], folder: Path | None = None) -> Path | None:
    """The first of these files ("ml-1m/ratings.dat") in the first of the homes that has one; None if it is in none."""
    every = [place / path for place in homes(folder) for path in paths]
    return next((path for path in every if path.is_file()), None)


def file(path: str, address: str, checksum: str | None, *, folder: Path | None = None) -> Path:
    """The file at this path ("citeulike-t/users.dat") in one of the homes, or downloaded to where `archive` downloads to.

    Raises: FetchError if the download fails or its checksum differs.
    """
    there = found([path], folder)
    return (
        download(address, _place_to_fill(homes(folder)) / path, checksum)
        if there is None
        else there
    )


def _place_to_fill(places: list[Path]) -> Path:
    """The one folder that was named, else RECOLLECT_DATA if it can be written to, else the user's cache."""
    return (
        places[0]
        if len(places) == 1 or (len(places) == 3 and _is_writable(places[0]))
        else places[-1]
    )


def _is_writable(folder: Path) -> bool:
    there = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
    )
    return there.is_dir() and os.access(there, os.W_OK)


def download(address: str, path: Path, checksum: str | None) -> Path:
    """The file at the address, kept at `path`; a progress bar runs on standard error.

    Raises: FetchError if it cannot be had whole or its checksum differs; then nothing is left at `path`.
    """
    pooch.get_logger().setLevel(logging.ERROR)
    log.info("downloading %s to %s", address, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as fresh:
            pooch.retrieve(
                address,
                checksum,
                fname=fresh.name,
                path=fresh.parent,
                downloader=pooch.HTTPDownloader(progressbar=True, timeout=30),
            )
    except (OSError, ValueError) as error:
        raise FetchError(
            f"{address} could not be downloaded to {path}: {error}. Run it again to retry, or put the file there by "
            "other means. Data that you have are found if the environment variable RECOLLECT_DATA names their folder. "
            "The data sets planted/… need no network."
        ) from error
    return path


def _unpack(packed: Path, to: Path, holds: str) -> Path:
    """Unpack an archive of one folder as the folder `to`, all or nothing."""
    try:
        with replacing(to) as fresh, zipfile.ZipFile(packed) as content:
            content.extractall(fresh)
            inside = next(path.parent for path in fresh.rglob(holds))
            if inside != fresh:
                whole = fresh.with_name("whole")
                inside.rename(whole)
                fresh.rename(fresh.with_name("rest"))
                whole.rename(fresh)
    except (zipfile.BadZipFile, StopIteration, OSError) as error:
        raise FetchError(
            f"{packed} is damaged or holds no {holds} ({error!r}); delete it and run it again."
        ) from error
    return to
