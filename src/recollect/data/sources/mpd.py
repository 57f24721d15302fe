"""The Million Playlist Dataset of the RecSys Challenge 2018: tracks and titles of playlists.

Source: Chen, Lamere, Schedl, Zamani. "RecSys Challenge 2018: Automatic Music Playlist
Continuation." RecSys 2018.
License: for research, not commercial; get it from AIcrowd.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from recollect.data import download
from recollect.data.kinds import KIND, OWN_ID
from recollect.data.playlists import as_events
from recollect.data.ratings import Ratings
from recollect.data.sources.melon.files import read_json
from recollect.errors import DataError, FetchError

SLICE = re.compile(r"mpd\.slice\.(\d+)-\d+\.json")
FIRST = "mpd.slice.0-999.json"


@dataclass(frozen=True)
class Variant:
    """The set, or its first slice."""

    n_slices: int
    folder: str = "mpd/data"  # where its files are looked for, in the data homes

    def __str__(self) -> str:
        return (
            f"Million Playlist Dataset: {1000 * self.n_slices:,} playlists of tracks, with titles "
            "and dates; read from your copy"
        )


VARIANTS = {"full": Variant(1000), "slice": Variant(1)}
PUBLISHED = {
    "full": {"lists": 1_000_000, "tracks": 2_262_292, "tracks in lists": 65_464_776},
    "slice": {"lists": 1000},
}


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The tracks and words of titles of every playlist as events that count 1.

    A track that stands twice in a list counts once.

    Args:
        variant: "full", or "slice" for the first thousand lists.
        folder: the folder of the slices, or one that holds it; default: the data homes.

    Raises:
        FetchError: if there are no slices: they are not downloaded.
        DataError: if a slice is damaged.
    """
    place = _home(variant, folder)
    if place is None:
        raise FetchError(f"mpd/{variant} is not here; {how_to_get(variant)}.")

    return read(place, name=f"mpd/{variant}", most=VARIANTS[variant].n_slices)


def read(folder: str | Path, *, name: str | None = None, most: int | None = None) -> Ratings:
    """The playlists in a folder of slices.

    Args:
        folder: of files such as mpd.slice.0-999.json.
        name: of the events; default: that of the folder.
        most: slices to read, in the order of their numbers; None: all.

    Raises:
        DataError: if there is none, or one is damaged.
    """
    folder = Path(folder)
    paths = slices(folder)[:most]
    if not paths:
        raise DataError(f"{folder} has no file such as {FIRST}; name the folder of the slices.")

    tables = [_read_slice(path) for path in paths]
    lists = pl.concat([table for table, _ in tables])
    tracks = pl.concat([facts for _, facts in tables]).unique(OWN_ID, keep="first")

    return as_events(lists, tracks, name=name or folder.resolve().name)


def slices(folder: Path) -> list[Path]:
    """The slices in a folder, in the order of their numbers."""
    found = [(SLICE.fullmatch(path.name), path) for path in folder.iterdir()]
    numbered = [(int(match[1]), path) for match, path in found if match]

    return [path for _, path in sorted(numbered)]


def is_source(path: str | Path) -> bool:
    """Whether a path is that of a folder of slices."""
    return Path(path).is_dir() and bool(slices(Path(path)))


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether the first slice is in `folder` or one of the data homes."""
    return _home(variant, folder) is not None


def how_to_get(variant: str) -> str:
    """What to do where the slices are not here."""
    return f"put your copy of {FIRST} and the others at $RECOLLECT_DATA/{VARIANTS[variant].folder}"


def _home(variant: str, folder: Path | None) -> Path | None:
    if folder is not None and (folder / FIRST).is_file():
        return folder

    first = download.found([f"{VARIANTS[variant].folder}/{FIRST}"], folder)

    return None if first is None else first.parent


def _read_slice(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lists of a slice, and what it says of their tracks."""
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("playlists"), list):
        raise DataError(f"{path} has no array playlists; copy it again.")

    try:
        lists = [_list_of(entry) for entry in content["playlists"]]
        tracks = [_facts_of(track) for entry in content["playlists"] for track in entry["tracks"]]
    except (KeyError, TypeError) as problem:
        raise DataError(f"{path} lacks {problem} in a playlist; copy it again.") from problem

    facts = pl.DataFrame(tracks, schema_overrides={"artists": pl.List(pl.String)})

    return pl.DataFrame(lists), facts.with_columns(pl.lit("tracks").alias(KIND))


def _list_of(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(entry["pid"]),
        "title": str(entry.get("name") or ""),
        "tracks": [track["track_uri"] for track in entry["tracks"]],
        "time": int(entry["modified_at"]),
    }


def _facts_of(track: dict[str, Any]) -> dict[str, Any]:
    return {
        OWN_ID: track["track_uri"],
        "title": track["track_name"],
        "artist": track["artist_name"],
        "artists": [track["artist_uri"]],
        "albums": [track["album_uri"]],
    }
