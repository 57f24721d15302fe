"""MovieLens: ratings of films, with times, titles and genres.

Source: Harper, Konstan. "The MovieLens Datasets: History and Context." ACM TiiS 5(4), 2015.
Licence: for research; redistribution needs GroupLens' permission; cite the paper above. See each archive's README.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from recollect.data import download
from recollect.data.ratings import Ratings
from recollect.data.read import read
from recollect.errors import DataError, SettingError

ADDRESS = "https://files.grouplens.org/datasets/movielens/{}.zip"


@dataclass(frozen=True)
class Variant:
    """One release."""

    folder: str  # name of the archive and of the folder
    ratings: str  # the file of ratings in it
    films: str  # the file of titles and genres
    scale: tuple[float, float]
    md5: str | None  # of the archive, as GroupLens publishes it; None: it changes over time
    counts: tuple[int, int, int] | None  # users, items and ratings in the file of ratings

    def __str__(self) -> str:
        counts = (
            "changes over time, no checksum"
            if self.counts is None
            else (
                f"{self.counts[2]:,} ratings of {self.counts[1]:,} films by {self.counts[0]:,} users"
            )
        )
        return f"MovieLens {self.folder}: {counts}; {self.scale[0]:g} to {self.scale[1]:g}; research use"


VARIANTS = {
    "100k": Variant(
        "ml-100k",
        "u.data",
        "u.item",
        (1.0, 5.0),
        "0e33842e24a9c977be4e0107933c0723",
        (943, 1682, 100_000),
    ),
    "1m": Variant(
        "ml-1m",
        "ratings.dat",
        "movies.dat",
        (1.0, 5.0),
        "c4d9eecfca2ab87c1945afe126590906",
        (6040, 3706, 1_000_209),
    ),
    "10m": Variant(
        "ml-10m",
        "ratings.dat",
        "movies.dat",
        (0.5, 5.0),
        "ce571fd55effeba0271552578f2648bd",
        (69_878, 10_677, 10_000_054),
    ),
    "20m": Variant(
        "ml-20m",
        "ratings.csv",
        "movies.csv",
        (0.5, 5.0),
        "cd245b17a1ae2cc31bb14903e1204af3",
        (138_493, 26_744, 20_000_263),
    ),
    "25m": Variant(
        "ml-25m",
        "ratings.csv",
        "movies.csv",
        (0.5, 5.0),
        "6b51fb2759a8657d3bfcbfc42b592ada",
        (162_541, 59_047, 25_000_095),
    ),
    "latest-small": Variant("ml-latest-small", "ratings.csv", "movies.csv", (0.5, 5.0), None, None),
}

GENRES_100K = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The ratings of a release, with titles and genres in `catalogue`.

    Raises: FetchError if it is not there and cannot be downloaded; DataError if the counts are not the published ones.
    """
    release = VARIANTS[variant]
    home = _home(release, folder)
    ratings = read(home / release.ratings, scale=release.scale, name=f"movielens/{variant}")
    counts = (ratings.n_users, ratings.n_items, len(ratings))
    if release.counts is not None and counts != release.counts:
        raise DataError(
            f"{home / release.ratings} holds {counts[0]:,} users, {counts[1]:,} films and {counts[2]:,} "
            f"ratings; published are {release.counts[0]:,}, {release.counts[1]:,} and {release.counts[2]:,}"
            f". Delete {home} and load it again."
        )
    return replace(ratings, catalogue=films(home / release.films), checked=True)


def fold(k: int | str, folder: str | Path | None = None) -> tuple[Ratings, Ratings]:
    """Train and test ratings of one published split of MovieLens 100K: fold 1 to 5 (80% and 20%), or "a" or "b" (10
    test ratings a user). Both have the vocabularies of the whole set.

    Raises: SettingError if there is no such fold.
    """
    if str(k) not in ("1", "2", "3", "4", "5", "a", "b"):
        raise SettingError(
            f"There is no fold {k!r} of movielens/100k; expected 1, 2, 3, 4, 5, 'a' or 'b'."
        )
    folder = None if folder is None else Path(folder)
    whole = load("100k", folder)
    home = _home(VARIANTS["100k"], folder)
    train, test = (_part(whole, home / f"u{k}.{part}") for part in ("base", "test"))
    return train, test


def _part(whole: Ratings, path: Path) -> Ratings:
    """The ratings of the whole set that stand in the file."""
    part = read(path, scale=whole.scale)
    pair = whole.users.rows(part.users.ids)[part.user].astype(np.int64) * whole.n_items
    pair += whole.items.rows(part.items.ids)[part.item]
    return whole.where(np.isin(whole.pair, pair), name=f"{whole.name} {path.name}")


def documents(variant: str, name: str = "plot", folder: str | Path | None = None) -> Path:
    """The file of the films' texts (`name`.item, lines of film::text) beside the ratings of a release, for `with_texts`.

    Raises: DataError if it is not there: texts are no part of MovieLens, and nothing is downloaded.
    """
    release, home = VARIANTS[variant], None if folder is None else Path(folder)
    path = download.found([f"{release.folder}/{name}.item"], home)
    if path is None:
        places = ", ".join(str(place / release.folder) for place in download.homes(home))
        raise DataError(
            f"There is no file {name}.item in {places}. MovieLens has no texts: make a file with a line film::text "
            "for each film from a source that you may use, and put it there, or name its path in place of this."
        )
    return path


def _home(release: Variant, folder: Path | None) -> Path:
    checksum = None if release.md5 is None else f"md5:{release.md5}"
    return download.archive(
        release.folder,
        ADDRESS.format(release.folder),
        checksum,
        holds=release.ratings,
        folder=folder,
    )


def films(path: Path) -> pl.DataFrame:
    """Titles and genres (item_id, title, genres) from u.item, movies.dat or movies.csv.

    Raises: DataError if the file is missing.
    """
    if not path.is_file():
        raise DataError(
            f"There is no file {path} with the titles; delete {path.parent} and load it again."
        )
    text = _text(path.read_bytes())
    if path.suffix == ".csv":
        table = pl.read_csv(text.encode(), infer_schema=False)
        rows = table.select("movieId", "title", "genres").rows()
    elif path.suffix == ".dat":
        rows = [tuple(line.split("::")) for line in text.splitlines()]
    else:
        rows = [
            (field[0], field[1], _flagged(field[-len(GENRES_100K) :]))
            for field in (line.split("|") for line in text.splitlines())
        ]
    genres = [
        [genre for genre in row[2].split("|") if genre not in ("", "(no genres listed)")]
        for row in rows
    ]
    return pl.DataFrame(
        {"item_id": [row[0] for row in rows], "title": [row[1] for row in rows], "genres": genres},
        schema_overrides={"genres": pl.List(pl.String)},
    )


def _flagged(flags: list[str]) -> str:
    return "|".join(genre for genre, flag in zip(GENRES_100K, flags, strict=True) if flag == "1")


def _text(content: bytes) -> str:
    """100K and 1M are in Latin-1, the later releases in UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")
