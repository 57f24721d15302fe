"""Melon: playlists of songs, tags and titles, of the challenge "Melon Playlist Continuation".

Source: Ferraro, Kim, Lee, Kim, Jo, Lim, Lim, Jang, Kim, Serra, Bogdanov. "Melon Playlist Dataset: A
Public Dataset for Audio-Based Playlist Generation and Music Tagging." ICASSP 2021.
License: for research, not commercial; get it from the Music Technology Group, whose repository is
melon-playlist-dataset.

files       reading its files
synthetic   writing files like them, with a known best score
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recollect.data import download
from recollect.data.playlists import as_events
from recollect.data.ratings import Ratings
from recollect.data.sources.melon import files
from recollect.errors import FetchError


@dataclass(frozen=True)
class Variant:
    """One of the files of playlists."""

    file: str
    n_lists: int
    folder: str = "melon"  # where the files are looked for, in the data homes

    def __str__(self) -> str:
        return (
            f"Melon: {self.n_lists:,} playlists of songs, tags and titles, with dates; read from "
            "your copy"
        )


VARIANTS = {"train": Variant(files.TRAIN, 115_071)}
# Of all 148,826 lists there are 649,091 songs and 30,652 tags; a part has fewer.
PUBLISHED = {"train": {"lists": 115_071}}


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The songs, tags and words of titles of every playlist as events that count 1.

    Args:
        variant: a key of VARIANTS.
        folder: the folder of the files, or one that holds it; default: the data homes.

    Raises:
        FetchError: if the file is not there: it is not downloaded.
        DataError: if a file is damaged.
    """
    path = _file(variant, folder)
    if path is None:
        raise FetchError(f"melon/{variant} is not here; {how_to_get(variant)}.")

    return read(path, name=f"melon/{variant}")


def read(path: str | Path, *, name: str | None = None) -> Ratings:
    """The playlists of a file in Melon's format, with the facts of the files beside it.

    Args:
        path: of the file, or of a folder with a train.json.
        name: of the events; default: that of the file or the folder.

    Raises:
        DataError: if the file is damaged.
    """
    path = Path(path)
    name = name or path.resolve().name
    if path.is_dir():
        path = path / files.TRAIN

    lists = files.read_lists(path)
    songs = files.read_songs(path.parent)
    notes = () if songs is not None else (f"There is no {files.SONGS} beside {path.name}.",)

    return as_events(lists, songs, name=name, notes=notes)


def is_source(path: str | Path) -> bool:
    """Whether a path is that of a file in Melon's format, or of a folder with a train.json."""
    path = Path(path)
    return files.is_lists(path / files.TRAIN if path.is_dir() else path)


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether the file is in `folder` or one of the data homes."""
    return _file(variant, folder) is not None


def how_to_get(variant: str) -> str:
    """What to do where the file is not here."""
    release = VARIANTS[variant]
    return (
        f"put your copy of {release.file}, {files.SONGS} and {files.GENRES} at $RECOLLECT_DATA/"
        f"{release.folder}"
    )


def _file(variant: str, folder: Path | None) -> Path | None:
    release = VARIANTS[variant]
    if folder is not None and (folder / release.file).is_file():
        return folder / release.file

    return download.found([f"{release.folder}/{release.file}"], folder)
