"""Where data sets are kept, and how a missing one gets there."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pooch

from recollect.data.parsing.opening import DAMAGE
from recollect.errors import FetchError, RecollectError
from recollect.system.atomic_files import replacing

log = logging.getLogger("recollect")

MOST_UNPACKED = 100  # times the size of an archive; text shrinks to a tenth
TIMEOUT = 30  # seconds without an answer


def homes(folder: Path | None = None) -> list[Path]:
    """The folders in which data are looked for, in this order.

    `folder` alone if given; else the folder that the environment variable RECOLLECT_DATA names, a
    folder shared/data beside the current one, and the user's cache.
    """
    if folder is not None:
        return [folder]

    beside = Path("..", "shared", "data")
    cache = Path(pooch.os_cache("recollect"))
    named = os.environ.get("RECOLLECT_DATA")
    if named:
        return [Path(named).expanduser(), beside, cache]

    return [beside, cache]


def archive(
    name: str, address: str, checksum: str | None, *, holds: str, folder: Path | None = None
) -> Path:
    """The folder with the unpacked files of an archive, from a data home or downloaded.

    Args:
        name: of the archive, and of the folder.
        address: to download it from. A download goes to `folder`, else to RECOLLECT_DATA if that
            can be written to, else to the user's cache.
        checksum: of the archive ("md5:…"); None if it changes over time.
        holds: a file that must be in it.
        folder: where to look and where to put it; default: the data homes.

    Raises:
        FetchError: if the download fails, its checksum differs, or the archive is damaged.
    """
    places = homes(folder)

    for place in places:
        if (place / name / holds).is_file():
            return place / name

    target = _home_to_fill(places)

    for place in places:
        packed = place / f"{name}.zip"
        if packed.is_file():
            _check_local(packed, checksum)
            return _unpack(packed, target / name, holds)

    log.info("%s is in none of %s", name, ", ".join(map(str, places)))
    packed = download(address, target / f"{name}.zip", checksum)

    return _unpack(packed, target / name, holds)


def _check_local(packed: Path, checksum: str | None) -> None:
    """Refuse an archive that lies here and is not the published one.

    Raises:
        FetchError: if its checksum differs.
    """
    if checksum is None:
        return

    algorithm, _, published = checksum.partition(":")
    digest = pooch.file_hash(str(packed), alg=algorithm)
    if digest != published:
        raise FetchError(
            f"{packed} is not the published archive: its {algorithm} is {digest}, published is "
            f"{published}. Delete it to download it again; to use other files, unpack it to "
            f"{packed.with_suffix('')}."
        )


def found(paths: Iterable[str], folder: Path | None = None) -> Path | None:
    """The first of these files ("ml-1m/ratings.dat") in the first data home that has one.

    None if none has.
    """
    paths = list(paths)

    for place in homes(folder):
        for path in paths:
            if (place / path).is_file():
                return place / path

    return None


def file(path: str, address: str, checksum: str | None, *, folder: Path | None = None) -> Path:
    """The file at this path in one of the data homes, or downloaded as `archive` does.

    Args:
        path: in a data home ("citeulike-t/users.dat").
        address: to download it from.
        checksum: of the file; None if it is not known.
        folder: where to look and where to put it; default: the data homes.

    Raises:
        FetchError: if the download fails or its checksum differs.
    """
    existing = found([path], folder)
    if existing is not None:
        return existing
    return download(address, _home_to_fill(homes(folder)) / path, checksum)


def _home_to_fill(places: list[Path]) -> Path:
    """The one folder that was named, else RECOLLECT_DATA if writable, else the user's cache."""
    first = places[0]
    is_only_one = len(places) == 1
    has_named_home = len(places) == 3
    if is_only_one or (has_named_home and _is_writable(first)):
        return first

    return places[-1]


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or made."""
    existing = folder.absolute()
    # The root exists, so this ends.
    while not existing.exists():
        existing = existing.parent
    return existing.is_dir() and os.access(existing, os.W_OK)


def download(address: str, path: Path, checksum: str | None) -> Path:
    """Download a file; a progress bar runs on standard error.

    Args:
        address: of the file.
        path: where to keep it.
        checksum: of the file; None if it is not known.

    Raises:
        FetchError: if it cannot be had whole or its checksum differs; nothing is left at `path`.
    """
    pooch.get_logger().setLevel(logging.ERROR)
    log.info("downloading %s to %s", address, path)

    is_new_folder = not path.parent.exists()

    try:
        path.parent.mkdir(parents=True, exist_ok=True)

        with replacing(path) as fresh:
            pooch.retrieve(
                address,
                checksum,
                fname=fresh.name,
                path=fresh.parent,
                downloader=pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT),
            )
    except (OSError, ValueError) as problem:
        if is_new_folder:
            with suppress(OSError):  # something else may have been put there
                path.parent.rmdir()

        raise FetchError(
            f"{address} could not be downloaded to {path}: {problem}. Run it again to retry, or "
            "put the file there by other means. Data that you have are found if the environment "
            "variable RECOLLECT_DATA names their folder. The data sets planted/… need no network."
        ) from problem

    return path


def _check_size(packed: Path, content: zipfile.ZipFile) -> None:
    """Refuse an archive that unpacks to far more than any of ratings."""
    size = sum(info.file_size for info in content.infolist())
    if size > MOST_UNPACKED * packed.stat().st_size + (1 << 20):
        raise FetchError(
            f"{packed} has {packed.stat().st_size:,} bytes and would unpack to {size:,}; it is no "
            "archive of ratings. Delete it and run it again."
        )


def _unpack(packed: Path, folder: Path, holds: str) -> Path:
    """Unpack an archive of one folder, all or nothing.

    Args:
        packed: the archive.
        folder: what its folder is to be.
        holds: a file that must be in it.
    """
    try:
        with replacing(folder) as fresh, zipfile.ZipFile(packed) as content:
            _check_size(packed, content)
            content.extractall(fresh)
            inner = next(path.parent for path in fresh.rglob(holds))
            if inner != fresh:  # the archive holds a folder: it takes the place of the outer one
                whole = fresh.with_name("whole")
                inner.rename(whole)
                fresh.rename(fresh.with_name("rest"))
                whole.rename(fresh)
    except (StopIteration, *DAMAGE) as problem:
        if isinstance(problem, RecollectError):
            raise

        raise FetchError(
            f"{packed} is damaged or holds no {holds} ({problem!r}); delete it and run it again."
        ) from problem

    return folder
