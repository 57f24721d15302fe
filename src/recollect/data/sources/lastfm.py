"""Last.fm (HetRec 2011): the artists that people listen to, and the tags that they use.

A listener is a list of artists and tags. How often an artist was played, which artist has which tag
and who are friends is not read.

Source: Cantador, Brusilovsky, Kuflik. "Second Workshop on Information Heterogeneity and Fusion in
Recommender Systems (HetRec 2011)." RecSys 2011.
License: for research, not commercial; cite the paper above.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recollect.data import download
from recollect.data.kinds import KIND, OWN_ID
from recollect.data.playlists import as_events
from recollect.data.ratings import Ratings
from recollect.errors import DataError, FetchError

ARTISTS = "artists.dat"
PLAYS = "user_artists.dat"
TAGS = "tags.dat"
TAGGED = "user_taggedartists.dat"


@dataclass(frozen=True)
class Variant:
    """The set."""

    folder: str  # where its files are looked for, in the data homes

    def __str__(self) -> str:
        return (
            "Last.fm (HetRec 2011): 1,892 listeners as lists of 17,632 artists and of the tags "
            "that they use; research use"
        )


VARIANTS = {"2k": Variant("lastfm-2k")}
# Tags that listeners use; tags.dat has 11,946, as some are of nobody's.
PUBLISHED = {"2k": {"lists": 1892, "artists": 17_632, "artists in lists": 92_834}}


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The artists and tags of every listener as events that count 1.

    Args:
        variant: a key of VARIANTS.
        folder: where to look for it; default: the data homes.

    Raises:
        FetchError: if a file is not there: none is downloaded.
        DataError: if a line is damaged.
    """
    artists = _names(_file(variant, ARTISTS, folder), "name", "artists")
    tags = _names(_file(variant, TAGS, folder), "tagValue", "tags")
    plays = _table(_file(variant, PLAYS, folder), "userID", "artistID")
    tagged = _table(_file(variant, TAGGED, folder), "userID", "tagID")
    own_tag = tagged.join(tags, left_on="tagID", right_on="id", how="left")
    if own_tag["title"].null_count():
        raise DataError(
            f"{own_tag['title'].null_count():,} tags in {TAGGED} are not in {TAGS}; copy the "
            "files again."
        )

    lists = _lists(plays, "artistID", "artists").join(
        _lists(own_tag, "title", "tags"), on="id", how="left", maintain_order="left"
    )
    facts = artists.rename({"id": OWN_ID}).with_columns(pl.lit("artists").alias(KIND))

    return as_events(lists, facts, name=f"lastfm/{variant}")


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether the file of plays is in `folder` or one of the data homes."""
    return download.found([f"{VARIANTS[variant].folder}/{PLAYS}"], folder) is not None


def how_to_get(variant: str) -> str:
    """What to do where the files are not here."""
    home = VARIANTS[variant].folder
    return f"put the files of hetrec2011-lastfm-2k at $RECOLLECT_DATA/{home}"


def _file(variant: str, name: str, folder: Path | None) -> Path:
    path = download.found([f"{VARIANTS[variant].folder}/{name}"], folder)
    if path is None:
        raise FetchError(f"lastfm/{variant} is not here; {how_to_get(variant)}.")

    return path


def _table(path: Path, *columns: str) -> pl.DataFrame:
    """Some columns of a file as text.

    Raises:
        DataError: if it lacks one, or has a line without one.
    """
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:  # the names of tags; those of artists are UTF-8
        text = content.decode("latin-1")

    lines = text.replace("\r\n", "\n").removesuffix("\n")
    header, *rows = (line.split("\t") for line in lines.split("\n"))
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{path} has the columns {header}, expected {list(columns)}.")

    places = [header.index(name) for name in columns]
    for number, row in enumerate(rows, start=2):
        if len(row) <= max(places):
            raise DataError(f"Line {number} of {path} is {row}, expected {header}; copy it again.")

    table = {
        name: [row[place] for row in rows] for name, place in zip(columns, places, strict=True)
    }

    return pl.DataFrame(table)


def _names(path: Path, column: str, kind: str) -> pl.DataFrame:
    """The id and title of each artist or tag."""
    first = {"artists": "id", "tags": "tagID"}[kind]
    return _table(path, first, column).rename({first: "id", column: "title"})


def _lists(pairs: pl.DataFrame, column: str, kind: str) -> pl.DataFrame:
    """The items of each listener, in the order of the file."""
    grouped = pairs.group_by("userID", maintain_order=True).agg(pl.col(column).unique().sort())
    return grouped.rename({"userID": "id", column: kind})
