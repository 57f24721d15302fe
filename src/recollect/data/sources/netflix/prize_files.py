"""The files of the Netflix Prize: a line "1:" a film, then a line "user,rating,date" a rating.

There are two forms that hold the same lines: a file per film (training_set/mv_0000001.txt …), or
many films a file (combined_data_1.txt …). Text is read a few megabytes at a time and becomes
numbers a column at a time: rating and date stand at fixed places before a line's end, and a user
has at most seven digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool, Int8, Int16, Int32, Int64

from recollect.data.ratings import Ratings
from recollect.data.sources.netflix.fields import N_USERS, days, users
from recollect.data.sources.netflix.pieces import Piece, Report, runs
from recollect.data.vocab import Vocab
from recollect.errors import DataError

DAY = 86_400  # seconds
TAIL = len(",3,2005-09-06")  # what follows the user
# The marks in the tail of a line, and how far from its end.
MARKS = ((TAIL, ","), (11, ","), (6, "-"), (3, "-"))
RATING = (
    "user,rating,date such as 1488844,3,2005-09-06 (users from 1 to 2649429, ratings from 1 to 5, "
    "days from 1998 to 2005)"
)
LOOKED_FOR = (
    "training_set/mv_0000001.txt … (a file per film) or combined_data_1.txt … (many films a file)"
)


@dataclass(frozen=True)
class Files:
    """The files of the Prize in a folder."""

    ratings: tuple[Path, ...]
    titles: Path | None
    probe: Path | None

    @property
    def size(self) -> int:
        """Bytes of the files of ratings."""
        sizes = [path.stat().st_size for path in self.ratings]
        return sum(sizes)


def find(folder: Path) -> Files | None:
    """The files of the Prize in a folder, or None if it has no ratings.

    With both forms, that with a file per film.
    """
    ratings = sorted(folder.glob("training_set/mv_*.txt"))
    if not ratings:
        ratings = sorted(folder.glob("combined_data_*.txt"))

    if not ratings:
        return None

    titles = _first_file(folder, "movie_titles.txt", "movie_titles.csv")
    probe = _first_file(folder, "probe.txt")

    return Files(tuple(ratings), titles, probe)


def _first_file(folder: Path, *names: str) -> Path | None:
    """The first of these files that is in the folder; None if none is."""
    for name in names:
        path = folder / name
        if path.is_file():
            return path
    return None


@dataclass(frozen=True)
class Block:
    """Ratings in the order of the files: the first `count[0]` are of `film[0]`, and so on.

    A film's ratings may continue in the next block. `day` counts from 1970-01-01.
    """

    film: Int32[np.ndarray, " runs"]
    count: Int64[np.ndarray, " runs"]
    user: Int32[np.ndarray, " ratings"]
    value: Int8[np.ndarray, " ratings"]
    day: Int16[np.ndarray, " ratings"]


def blocks(files: Sequence[Path], report: Report | None = None) -> Iterator[Block]:
    """The ratings in the files, a block at a time.

    Args:
        files: of ratings.
        report: called with the bytes read since the last call.

    Raises:
        DataError: at the first line that is neither a film nor a rating, and for a film that comes
            twice; it names file and line.
    """
    expected = f"a film such as 1: or {RATING}"

    for piece, film, count, rows in runs(files, report):
        user, is_fine = users(piece, rows, TAIL, expected)
        stop = piece.stop[rows]
        # As unsigned bytes, what stands before "0" comes out far above 5.
        value = piece.text[stop - TAIL + 1] - np.uint8(ord("0"))
        is_value = (value >= 1) & (value <= 5)
        day, is_day = days(piece.text, stop)
        is_fine &= is_value & is_day

        for distance, mark in MARKS:
            is_fine &= piece.text[stop - distance] == ord(mark)

        _check_lines(piece, rows, is_fine, expected)
        yield Block(film, count, user, value.astype(np.int8), day)


def _check_lines(
    piece: Piece,
    rows: Int64[np.ndarray, " rows"],
    is_fine: Bool[np.ndarray, " rows"],
    expected: str,
) -> None:
    """Refuse the first of these lines that is not fine."""
    if not is_fine.all():
        first = int(rows[np.argmin(is_fine)])
        raise piece.fault(first, expected)


def read(files: Files, *, name: str, report: Report | None = None) -> Ratings:
    """The ratings of the Prize, with titles and years in `catalogue`.

    A film without ratings is no item. Times are the first second of the day in UTC. Memory: 20
    bytes a rating in the end, 24 while it reads.

    Args:
        files: of the Prize.
        name: of the ratings.
        report: called with the bytes read since the last call.

    Raises:
        DataError: as `blocks`; if a user rates a film twice; if there is no rating.
    """
    film, count, user, value, day = _columns(files, report)
    if not count.sum():
        raise DataError(
            f"There are no ratings in {files.ratings[0].parent}, only films; expected lines of "
            f"{RATING}."
        )

    film_ids, item_of_film = np.unique(film, return_inverse=True)
    item = np.repeat(item_of_film.astype(np.int32), count)
    user_ids, user_rows = _joined_users(user)
    _check_once(user_rows, count, film, user_ids)
    catalogue = None
    if files.titles is not None:
        catalogue = titles(files.titles)

    return Ratings(
        user_rows,
        item,
        _joined(value, np.dtype(np.float32)),
        Vocab(pl.Series(user_ids)),
        Vocab(pl.Series(film_ids)),
        time=_joined(day, np.dtype(np.int64), times=DAY),
        scale=(1.0, 5.0),
        name=name,
        catalogue=catalogue,
        checked=True,
    )


def _columns(
    files: Files, report: Report | None
) -> tuple[
    Int32[np.ndarray, " films"],
    Int64[np.ndarray, " films"],
    list[np.ndarray],
    list[np.ndarray],
    list[np.ndarray],
]:
    """Films with ratings, in order, and how many; users, values and days, in parts."""
    parts = list(blocks(files.ratings, report))
    if not parts:
        raise DataError(f"There are no ratings in {files.ratings[0].parent}; get the files again.")

    film = np.concatenate([part.film for part in parts])
    count = np.concatenate([part.count for part in parts])
    has_ratings = count > 0
    film = film[has_ratings]
    count = count[has_ratings]
    # A film that continues in the next block is one film.
    first = np.flatnonzero(np.diff(film, prepend=-1))
    if len(first):
        count = np.add.reduceat(count, first)

    user = [part.user for part in parts]
    value = [part.value for part in parts]
    day = [part.day for part in parts]

    return film[first], count, user, value, day


def _joined(parts: list[np.ndarray], dtype: np.dtype, times: int = 1) -> np.ndarray:
    """One array of all parts, each multiplied; the list is emptied as parts are copied."""
    lengths = [len(part) for part in parts]
    whole = np.empty(sum(lengths), dtype)
    start = 0
    # Reversed, as only the last of a list leaves it at no cost.
    parts.reverse()

    while parts:
        part = parts.pop()
        stop = start + len(part)
        np.multiply(part, times, out=whole[start:stop], dtype=dtype)
        start = stop

    return whole


def _joined_users(
    parts: list[np.ndarray],
) -> tuple[Int64[np.ndarray, " users"], Int32[np.ndarray, " ratings"]]:
    """The users' ids, ascending, and each rating's row among them; the list is emptied."""
    has_ratings = np.zeros(N_USERS + 1, bool)

    for part in parts:
        has_ratings[part] = True

    row = np.cumsum(has_ratings, dtype=np.int32) - 1

    for j, part in enumerate(parts):
        parts[j] = row[part]

    return np.flatnonzero(has_ratings), _joined(parts, np.dtype(np.int32))


def _check_once(
    user: Int32[np.ndarray, " ratings"],
    count: Int64[np.ndarray, " films"],
    film: Int32[np.ndarray, " films"],
    user_ids: Int64[np.ndarray, " users"],
) -> None:
    """Refuse a user who rates a film twice. A film's ratings are adjacent, so nothing is sorted."""
    last_place = np.empty(len(user_ids), np.int32)

    for j, stop in enumerate(np.cumsum(count)):
        start = stop - count[j]
        raters = user[start:stop]
        place = np.arange(len(raters), dtype=np.int32)
        # Of a user who stands twice, the second place overwrites the first.
        last_place[raters] = place
        is_repeated = last_place[raters] != place
        if is_repeated.any():
            first = raters[is_repeated.argmax()]
            raise DataError(
                f"User {user_ids[first]} rates film {film[j]} more than once; expected each pair "
                "once. Remove the second line, or get the files again."
            )


def probe(path: Path) -> tuple[Int32[np.ndarray, " pairs"], Int32[np.ndarray, " pairs"]]:
    """The films and users of the pairs in probe.txt: a line "1:" a film, then a line a user.

    Raises:
        DataError: at a line that is neither; it names the line.
    """
    films = []
    raters = []
    expected = f"a film such as 1: or a user from 1 to {N_USERS}"

    for piece, film, count, rows in runs([path], None):
        user, is_fine = users(piece, rows, 0, expected)
        _check_lines(piece, rows, is_fine, expected)
        films.append(np.repeat(film, count))
        raters.append(user)

    return np.concatenate(films), np.concatenate(raters)


def titles(path: Path) -> pl.DataFrame:
    """Titles and years from movie_titles.txt: lines of id,year,title; the year may be NULL.

    Titles may hold commas. Read as UTF-8, else as Latin-1, in which the Prize wrote it.

    Returns: columns item_id, title, year.

    Raises:
        DataError: at a line that has no id, year and title; it names the line.
    """
    content = path.read_bytes()

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")

    rows = []

    for number, line in enumerate(text.split("\n"), start=1):
        film, _, year_and_title = line.rstrip("\r").partition(",")
        year, _, title = year_and_title.partition(",")
        is_year = year == "NULL" or (year.isdecimal() and len(year) == 4)
        if film.isdecimal() and title and is_year:
            item_id = str(int(film))  # without leading zeros, as in the ratings
            rows.append((item_id, title, None if year == "NULL" else int(year)))
        elif line.strip():
            raise DataError(
                f"Line {number} of {path} is {line[:80]!r}; expected id,year,title such as "
                "1,2003,Dinosaur Planet. Correct it, or remove the file to do without titles."
            )

    schema = {"item_id": pl.String, "title": pl.String, "year": pl.Int32}

    return pl.DataFrame(rows, orient="row", schema=schema)
