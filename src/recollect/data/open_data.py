"""What a source of ratings is, as people write it, and its ratings. Asked and answered here alone.

movielens/1m      a data set by name: a module of `data.sources`
ratings.csv       a file
runs/split        a folder that `recollect split` wrote
runs/stored       a folder of ratings on disk
nf_prize_dataset  a folder of the Netflix Prize's files
melon, train.json a folder or a file of playlists in Melon's format
mpd/data          a folder of slices of the Million Playlist Dataset
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from recollect.arguments import expect_path
from recollect.data import sources
from recollect.data.on_disk.stored_ratings import is_stored
from recollect.data.parsing.opening import check_path
from recollect.data.ratings import Ratings
from recollect.data.read import read
from recollect.data.sources import melon, mpd, netflix
from recollect.data.split_folder import is_split
from recollect.errors import unknown

Kind = Literal["name", "file", "split", "stored", "netflix", "melon", "mpd"]


def kind_of(source: str | Path) -> Kind:
    """What a source is. A path that does not exist but looks like one counts as a file.

    Raises:
        SettingError: if it is neither a path nor a data set, with the names that are known.
        DataError: if the path cannot be looked at.
    """
    path = Path(source)
    check_path(path)
    if path.is_dir():
        if is_stored(source):
            return "stored"

        if is_split(source):
            return "split"

        if netflix.is_folder(source):
            return "netflix"

        if mpd.is_source(source):
            return "mpd"

    if path.exists() and melon.is_source(source):
        return "melon"

    if path.is_file():
        return "file"

    if str(source) in sources.known():
        return "name"

    family = str(source).partition("/")[0]
    if family not in sources.families() and (path.exists() or path.suffix):
        return "file"

    raise unknown("data set or file", str(source), sources.known())


def load(source: str | Path, folder: str | Path | None = None) -> Ratings:
    """The ratings of a data set by name, of a file, or of a folder of the Netflix Prize's files.

    Args:
        source: "movielens/1m"; a path, read as `read` does; or a folder.
        folder: where a data set by name is looked for; default: the folders of `download.homes`;
            what is in none of them is downloaded.

    Raises:
        SettingError: for a name that does not exist.
        FetchError: if a download fails.
        DataError: if data are damaged.
    """
    expect_path("source", source, such_as="'ratings.csv', or a name, such as 'movielens/1m'")
    kind = kind_of(source)
    reads = {"netflix": netflix.read, "melon": melon.read, "mpd": mpd.read}
    if kind in reads:
        return reads[kind](source)

    if kind != "name":
        return read(source)

    family, _, variant = str(source).partition("/")

    return sources.module_of(family).load(variant, None if folder is None else Path(folder))


def missing(source: str | Path) -> str | None:
    """Why a source cannot be used without a download, and how to get it; None if it is here.

    Nothing is downloaded.

    Raises:
        SettingError: as `kind_of`.
    """
    if kind_of(source) != "name":
        return None if Path(source).exists() else f"there is no file {source}; check the path"

    family, _, variant = str(source).partition("/")
    module = sources.module_of(family)
    if module.is_here(variant):
        return None

    return f"{source} is not here; {module.how_to_get(variant)}"


def data_folder(source: str) -> Path:
    """The folder of a data set in the data homes; an empty path for a source without one."""
    if source not in sources.known():
        return Path()
    family, _, variant = source.partition("/")
    # A set that is made here, such as planted/…, has no folder.
    return Path(getattr(sources.module_of(family).VARIANTS[variant], "folder", ""))
