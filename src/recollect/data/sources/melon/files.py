"""The files of the Melon challenge.

train.json          lists: id, plylst_title, tags, songs, like_cnt, updt_date
val.json, test.json questions: the same with items left out
results.json        answers: id, songs, tags
song_meta.json      songs: id, song_name, artist_name_basket, artist_id_basket, album_id,
                    song_gn_gnr_basket, song_gn_dtl_gnr_basket, issue_date
genre_gn_all.json   names of genres by code
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from recollect.data.kinds import KIND, OWN_ID
from recollect.errors import DataError
from recollect.system.atomic_files import replacing

TRAIN = "train.json"
SONGS = "song_meta.json"
GENRES = "genre_gn_all.json"
START = 4096  # bytes by which a file of lists is recognized
DAY = 86_400
ISSUED = "issued"  # the column of the item table: the day, as the number 20200131


def is_lists(path: Path) -> bool:
    """Whether a file looks like lists in this format."""
    if not path.is_file():
        return False

    with path.open("rb") as stream:
        start = stream.read(START).lstrip()

    return start.startswith(b"[") and b'"songs"' in start and b'"tags"' in start


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        return json.loads(path.read_bytes())
    except (ValueError, OSError) as problem:
        raise DataError(f"{path} cannot be read as JSON: {problem}. Copy it again.") from problem


def read_lists(path: str | Path) -> pl.DataFrame:
    """Lists, questions or answers: columns id, title, songs, tags and, if all have one, time.

    Raises:
        DataError: if something is no list, or two have the same id.
    """
    path = Path(path)
    lists = read_json(path)
    if not isinstance(lists, list):
        raise DataError(f"{path} holds a {type(lists).__name__}, expected an array of lists.")

    for number, entry in enumerate(lists, start=1):
        _check(entry, number, path)

    table = pl.DataFrame(
        {
            "id": [str(entry["id"]) for entry in lists],
            "title": [str(entry.get("plylst_title") or "") for entry in lists],
            "songs": _texts(entry["songs"] for entry in lists),
            "tags": _texts(entry["tags"] for entry in lists),
        }
    )
    if table["id"].is_duplicated().any():
        twice = table["id"].filter(table["id"].is_duplicated())[0]
        raise DataError(f"{path} has the list {twice!r} twice; each id is that of one list.")

    dates = [entry.get("updt_date") for entry in lists]

    return table if None in dates else table.with_columns(_seconds(dates, path))


def _check(entry: Any, number: int, path: Path) -> None:
    """Refuse what is no list of songs and tags."""
    is_list = isinstance(entry, dict) and "id" in entry
    is_list = is_list and all(isinstance(entry.get(kind), list) for kind in ("songs", "tags"))
    if not is_list:
        raise DataError(
            f"Entry {number} of {path} is {str(entry)[:80]}; expected an object with id, and with "
            "arrays songs and tags."
        )


def _texts(values: Iterable[list[Any]]) -> pl.Series:
    """Arrays of numbers or texts as lists of texts."""
    return pl.Series([[str(value) for value in own] for own in values], dtype=pl.List(pl.String))


def _seconds(dates: list[Any], path: Path) -> pl.Series:
    """Dates such as "2013-12-19 18:36:19.000" as seconds since 1970, UTC."""
    text = pl.Series("time", dates, dtype=pl.String).str.slice(0, 19)
    try:
        moment = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_zone="UTC")
    except pl.exceptions.InvalidOperationError as problem:
        raise DataError(
            f"{path} has an updt_date that is no date such as 2013-12-19 18:36:19: {problem}"
        ) from problem

    return moment.dt.epoch("s").alias("time")


def read_songs(folder: Path) -> pl.DataFrame | None:
    """What the folder's file says of songs, for `playlists.as_events`; None without the file.

    Returns: columns kind, own_id, title, artist, issued, and lists of artists, albums and genres.
    """
    path = folder / SONGS
    if not path.is_file():
        return None

    songs = read_json(path)
    names = _genre_names(folder)
    none: list[Any] = []

    return pl.DataFrame(
        {
            OWN_ID: [str(song["id"]) for song in songs],
            "title": [song.get("song_name") for song in songs],
            "artist": [", ".join(song.get("artist_name_basket") or none) for song in songs],
            ISSUED: pl.Series([_day(song.get("issue_date")) for song in songs], dtype=pl.Int32),
            "artists": _texts(song.get("artist_id_basket") or none for song in songs),
            "albums": _texts(_one(song.get("album_id")) for song in songs),
            "genres": _texts(_genres(song, names) for song in songs),
        }
    ).with_columns(pl.lit("songs").alias(KIND))


def _genre_names(folder: Path) -> dict[str, str]:
    path = folder / GENRES
    return dict(read_json(path)) if path.is_file() else {}


def _genres(song: dict[str, Any], names: dict[str, str]) -> list[str]:
    """The genres and their parts of a song, by name where there is one."""
    fields = ("song_gn_gnr_basket", "song_gn_dtl_gnr_basket")
    codes = [code for field in fields for code in song.get(field) or ()]
    return [f"{names[code]} ({code})" if code in names else code for code in codes]


def _one(value: Any) -> list[Any]:
    return [] if value is None else [value]


def _day(text: Any) -> int | None:
    """The day of an issue_date such as 20140512; None where there is none (0, 00000000)."""
    digits = str(text or "")
    return int(digits) if digits.isdecimal() and int(digits) > 0 else None


def write_json(path: str | Path, content: Any) -> None:
    """Write a JSON file; it is complete or does not exist."""
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(content, ensure_ascii=False))


def as_entries(table: pl.DataFrame) -> list[dict[str, Any]]:
    """A table of lists as the challenge's objects; ids that are numbers are written as numbers.

    A column `date` is written as updt_date.
    """
    entries = []

    for row in table.to_dicts():
        entry = {
            "id": _number(row["id"]),
            "songs": [_number(song) for song in row["songs"]],
            "tags": row["tags"],
        }
        if "title" in row:
            entry["plylst_title"] = row["title"]
        if "date" in row:
            entry["updt_date"] = row["date"]

        entries.append(entry)

    return entries


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() else text
