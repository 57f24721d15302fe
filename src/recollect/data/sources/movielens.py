"""MovieLens: ratings of films, with times, titles and genres.

Source: Harper, Konstan. "The MovieLens Datasets: History and Context." ACM TiiS 5(4), 2015.
License: for research; redistribution needs GroupLens' permission; cite the paper above. See
each archive's README.
"""

from __future__ import annotations

import csv
import io
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
        low, high = self.scale
        size = "changes over time, no checksum"
        if self.counts is not None:
            users, items, ratings = self.counts
            size = f"{ratings:,} ratings of {items:,} films by {users:,} users"

        return f"MovieLens {self.folder}: {size}; {low:g} to {high:g}; research use"


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

FOLDS = ("1", "2", "3", "4", "5", "a", "b")  # published splits of MovieLens 100K
# Published splits of the events in MovieLens 1M: Anelli, Bellogín, Di Noia, Jannach, Pomo. "Top-N
# Recommendation Algorithms: A Quest for the State-of-the-Art." UMAP 2022.
TOP_N_FOLDS = (0, 1, 2, 3, 4)
TOP_N_FILE = "topn/test{}.tsv.gz"

YEAR = r"\((\d{4})\)\s*$"  # at the end of a title
NO_GENRES = "(no genres listed)"
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
    """The ratings of a release, with titles, genres and years in `catalogue`.

    Args:
        variant: a key of VARIANTS.
        folder: where to look for it and download it to; default: the data homes.

    Raises:
        FetchError: if it is not there and cannot be downloaded.
        DataError: if the counts are not the published ones.
    """
    release = VARIANTS[variant]
    home = _home(release, folder)
    ratings = read(home / release.ratings, scale=release.scale, name=f"movielens/{variant}")
    counts = (ratings.n_users, ratings.n_items, len(ratings))
    if release.counts is not None and counts != release.counts:
        users, items, n = counts
        published_users, published_items, published_n = release.counts
        raise DataError(
            f"{home / release.ratings} holds {users:,} users, {items:,} films and {n:,} ratings; "
            f"published are {published_users:,}, {published_items:,} and {published_n:,}. Delete "
            f"{home} and load it again."
        )

    return replace(ratings, catalogue=films(home / release.films), checked=True)


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether a release, or its archive, is in `folder` or one of the data homes."""
    release = VARIANTS[variant]
    unpacked = f"{release.folder}/{release.ratings}"
    packed = f"{release.folder}.zip"
    path = download.found([unpacked, packed], folder)
    return path is not None


def how_to_get(variant: str) -> str:
    """What to do where a release is not here."""
    command = f"recollect data fetch movielens/{variant}"
    release = VARIANTS[variant]
    return f"`{command}` gets it, or put it at $RECOLLECT_DATA/{release.folder}"


def fold(k: int | str, folder: str | Path | None = None) -> tuple[Ratings, Ratings]:
    """Train and test ratings of one published split of MovieLens 100K.

    Both have the vocabularies of the whole set.

    Args:
        k: fold 1 to 5 (80% and 20%), or "a" or "b" (10 test ratings a user).
        folder: where to look for it; default: the data homes.

    Raises:
        SettingError: if there is no such fold.
    """
    if str(k) not in FOLDS:
        raise SettingError(
            f"There is no fold {k!r} of movielens/100k; expected 1, 2, 3, 4, 5, 'a' or 'b'."
        )

    folder = None if folder is None else Path(folder)
    whole = load("100k", folder)
    home = _home(VARIANTS["100k"], folder)

    return _part(whole, home / f"u{k}.base"), _part(whole, home / f"u{k}.test")


def top_n_missing(folder: Path | None = None) -> str | None:
    """What to do where the published splits of events are not here; None if they are."""
    home = VARIANTS["1m"].folder
    files = [TOP_N_FILE.format(k) for k in TOP_N_FOLDS]
    absent = [file for file in files if download.found([f"{home}/{file}"], folder) is None]
    if not absent:
        return None

    return (
        f"{', '.join(absent)} of movielens/1m, the published test events, are not here; put them "
        f"at $RECOLLECT_DATA/{home}/topn, a line user<tab>film for each event, packed by gzip"
    )


def top_n_fold(
    events: Ratings, k: int, folder: str | Path | None = None
) -> tuple[Ratings, Ratings]:
    """Train and test events of one published split of MovieLens 1M.

    The file of a split has its test events; all others are train.

    Args:
        events: what was split: ratings of 4 and more, of users and films with ten or more of each
            other.
        k: split 0 to 4.
        folder: where to look for it; default: the data homes.

    Raises:
        SettingError: if there is no such split.
        DataError: if its file is not there, or has events that `events` lack.
    """
    if k not in TOP_N_FOLDS:
        raise SettingError(f"There is no split {k!r} of events of movielens/1m; expected 0 to 4.")

    home = None if folder is None else Path(folder)
    path = download.found([f"{VARIANTS['1m'].folder}/{TOP_N_FILE.format(k)}"], home)
    if path is None:
        raise DataError(top_n_missing(home) or f"The split {k} of movielens/1m is not here.")

    listed = read(path, header=False, separator="\t", implicit=True)
    test = _listed(events, listed)
    if len(test) < len(listed):
        raise DataError(
            f"{path} has {len(listed):,} test events and {len(listed) - len(test):,} of them are "
            f"not in {events!r}; take the ratings of 4 and more, of users and films with 10 or "
            "more of each other."
        )

    is_test = np.isin(events.pair, test.pair)

    return events.where(~is_test), test


def _part(whole: Ratings, path: Path) -> Ratings:
    """The ratings of the whole set that stand in the file."""
    part = read(path, scale=whole.scale)
    return replace(_listed(whole, part), name=f"{whole.name} {path.name}", checked=True)


def _listed(whole: Ratings, part: Ratings) -> Ratings:
    """The ratings of the whole set whose pairs stand in a file of its own ids."""
    # The file has a vocabulary of its own; its ids lead to the row numbers of the whole.
    row_of_user = whole.users.rows(part.users.ids)
    row_of_item = whole.items.rows(part.items.ids)
    user = row_of_user[part.user].astype(np.int64)
    item = row_of_item[part.item]
    is_known = (user >= 0) & (item >= 0)
    pair = user * whole.n_items + item
    is_in_part = np.isin(whole.pair, pair[is_known])

    return whole.where(is_in_part)


def documents(variant: str, name: str = "plot", folder: str | Path | None = None) -> Path:
    """The file of the films' texts beside the ratings of a release, for `with_texts`.

    Args:
        variant: a key of VARIANTS.
        name: of the file without its ending .item; it has a line film::text for each film.
        folder: where to look for it; default: the data homes.

    Raises:
        DataError: if it is not there; texts are no part of MovieLens, and nothing is downloaded.
    """
    release = VARIANTS[variant]
    home = None if folder is None else Path(folder)
    path = download.found([f"{release.folder}/{name}.item"], home)
    if path is None:
        places = ", ".join(str(place / release.folder) for place in download.homes(home))
        raise DataError(
            f"There is no file {name}.item in {places}. MovieLens has no texts: make a file with a "
            "line film::text for each film from a source that you may use, and put it there, or "
            "name its path in place of this."
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
    """Titles, genres and years from u.item, movies.dat or movies.csv.

    The year is the one in parentheses at the end of a title, such as "Toy Story (1995)"; null where
    there is none.

    Returns: columns item_id, title, genres, year.

    Raises:
        DataError: if the file is missing.
    """
    if not path.is_file():
        raise DataError(
            f"There is no file {path} with the titles; delete {path.parent} and load it again."
        )

    rows = _film_rows(path, _text(path.read_bytes()))
    columns = {
        "item_id": [item_id for item_id, _, _ in rows],
        "title": [title for _, title, _ in rows],
        "genres": [_genres(genres) for _, _, genres in rows],
    }

    table = pl.DataFrame(columns, schema_overrides={"genres": pl.List(pl.String)})
    year = pl.col("title").cast(pl.String).str.extract(YEAR).cast(pl.Int64)

    return table.with_columns(year=year)


def _film_rows(path: Path, text: str) -> list[tuple[str, str, str]]:
    """Id, title, and genres joined by "|", of each film.

    Raises:
        DataError: at a line with too few fields.
    """
    if path.suffix == ".csv":
        return _film_rows_of_csv(path, text)

    rows = []

    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip():
            continue

        fields = line.split("::") if path.suffix == ".dat" else line.split("|")
        # Dates and an address stand before the flags of the genres.
        n_expected = 3 if path.suffix == ".dat" else 5 + len(GENRES_100K)
        if len(fields) < n_expected:
            raise DataError(
                f"Line {number} of {path} has {len(fields)} fields, expected {n_expected}: "
                f"{line[:80]!r}. Delete {path.parent} and load it again."
            )

        is_joined = path.suffix == ".dat"
        genres = fields[-1] if is_joined else _flagged_genres(fields[-len(GENRES_100K) :])
        title = "::".join(fields[1:-1]) if is_joined else fields[1]
        rows.append((fields[0], title, genres))

    return rows


def _film_rows_of_csv(path: Path, text: str) -> list[tuple[str, str, str]]:
    """As `_film_rows`, of a file with the columns movieId, title and genres."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows = []

    try:
        for film in reader:
            rows.append((film["movieId"], film["title"], film["genres"]))
    except (csv.Error, KeyError) as problem:
        raise DataError(
            f"{path} has no films in the columns movieId, title and genres near its line "
            f"{reader.line_num}. Delete {path.parent} and load it again."
        ) from problem

    if any(field is None for row in rows for field in row):
        raise DataError(
            f"{path} has a line of less than three fields. Delete {path.parent} and load it again."
        )

    return rows


def _flagged_genres(flags: list[str]) -> str:
    """The genres whose flag is 1, joined by "|"."""
    flagged = []
    for genre, flag in zip(GENRES_100K, flags, strict=True):
        if flag == "1":
            flagged.append(genre)
    return "|".join(flagged)


def _genres(joined: str) -> list[str]:
    genres = joined.split("|")
    return [genre for genre in genres if genre not in ("", NO_GENRES)]


def _text(content: bytes) -> str:
    """100K and 1M are in Latin-1, the later releases in UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")
