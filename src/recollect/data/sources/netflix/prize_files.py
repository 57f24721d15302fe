"""The files of the Netflix Prize: a line "1:" a film, then a line "user,rating,date" a rating.

There are two forms that hold the same lines: a file per film (training_set/mv_0000001.txt …), or
many films a file (combined_data_1.txt …). Text is read a few megabytes at a time and becomes
numbers a column at a time: rating and date stand at fixed places before a line's end, and a user
has at most seven digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Int8, Int16, Int32, Int64, UInt8

from recollect.data.parsing import lines
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import DataError

PIECE = 2 << 20  # bytes of text turned into numbers at once, at least
N_USERS = 2_649_429  # the largest id, as the Prize's own README has it; ids have gaps
N_FILMS = 17_770
FIRST = date(1998, 1, 1)
LAST = date(2005, 12, 31)
DAY = 86_400  # seconds
TAIL = len(",3,2005-09-06")  # what follows the user
MAX_DIGITS = len(str(N_USERS))
# The marks in the tail of a line, and how far from its end.
MARKS = ((TAIL, ","), (11, ","), (6, "-"), (3, "-"))
RATING = (
    "user,rating,date such as 1488844,3,2005-09-06 (users from 1 to 2649429, ratings from 1 to 5, "
    "days from 1998 to 2005)"
)
LOOKED_FOR = (
    "training_set/mv_0000001.txt … (a file per film) or combined_data_1.txt … (many films a file)"
)

Report = Callable[[int], object]  # called with the bytes read since the last call


@dataclass(frozen=True)
class Files:
    """The files of the Prize in a folder."""

    ratings: tuple[Path, ...]
    titles: Path | None
    probe: Path | None

    @property
    def size(self) -> int:
        """Bytes of the files of ratings."""
        return sum(path.stat().st_size for path in self.ratings)


def find(folder: Path) -> Files | None:
    """The files of the Prize in a folder, or None if it has no ratings.

    With both forms, that with a file per film.
    """
    ratings = sorted(folder.glob("training_set/mv_*.txt"))
    if not ratings:
        ratings = sorted(folder.glob("combined_data_*.txt"))

    if not ratings:
        return None

    names = ("movie_titles.txt", "movie_titles.csv")
    titles = next((folder / name for name in names if (folder / name).is_file()), None)
    probe = folder / "probe.txt"

    return Files(tuple(ratings), titles, probe if probe.is_file() else None)


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

    for piece, film, count, rows in _runs(files, report):
        stop = piece.stop[rows]
        user, is_fine = _users(piece, rows, TAIL, expected)
        value = piece.text[stop - TAIL + 1] - np.uint8(ord("0"))
        day, is_day = _days(piece.text, stop)
        is_fine &= is_day & (value >= 1) & (value <= 5)

        for distance, mark in MARKS:
            is_fine &= piece.text[stop - distance] == ord(mark)

        if not is_fine.all():
            raise piece.fault(int(rows[np.argmin(is_fine)]), expected)

        yield Block(film, count, user, value.astype(np.int8), day)


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

    film_ids, item = np.unique(film, return_inverse=True)
    user_ids, user_rows = _joined_users(user)
    _check_once(user_rows, count, film, user_ids)

    return Ratings(
        user_rows,
        np.repeat(item.astype(np.int32), count),
        _joined(value, np.dtype(np.float32)),
        Vocab(pl.Series(user_ids)),
        Vocab(pl.Series(film_ids)),
        time=_joined(day, np.dtype(np.int64), times=DAY),
        scale=(1.0, 5.0),
        name=name,
        catalogue=None if files.titles is None else titles(files.titles),
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
    film = np.concatenate([part.film for part in parts])
    count = np.concatenate([part.count for part in parts])
    has_ratings = count > 0
    film = film[has_ratings]
    count = count[has_ratings]
    # A film that continues in the next block is one film.
    first = np.flatnonzero(np.diff(film, prepend=-1))
    if len(first):
        count = np.add.reduceat(count, first)

    users = [part.user for part in parts]
    values = [part.value for part in parts]
    days = [part.day for part in parts]

    return film[first], count, users, values, days


def _joined(parts: list[np.ndarray], dtype: np.dtype, times: int = 1) -> np.ndarray:
    """One array of all parts, each multiplied; the list is emptied as parts are copied."""
    whole = np.empty(sum(map(len, parts)), dtype)
    start = 0
    parts.reverse()

    while parts:
        part = parts.pop()
        np.multiply(part, times, out=whole[start : start + len(part)], dtype=dtype)
        start += len(part)

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
        users = user[stop - count[j] : stop]
        place = np.arange(len(users), dtype=np.int32)
        last_place[users] = place
        is_repeated = last_place[users] != place
        if is_repeated.any():
            raise DataError(
                f"User {user_ids[users[is_repeated.argmax()]]} rates film {film[j]} more than "
                "once; expected each pair once. Remove the second line, or get the files again."
            )


def probe(path: Path) -> tuple[Int32[np.ndarray, " pairs"], Int32[np.ndarray, " pairs"]]:
    """The films and users of the pairs in probe.txt: a line "1:" a film, then a line a user.

    Raises:
        DataError: at a line that is neither; it names the line.
    """
    films = []
    users = []
    expected = f"a film such as 1: or a user from 1 to {N_USERS}"

    for piece, film, count, rows in _runs([path], None):
        user, is_fine = _users(piece, rows, 0, expected)
        if not is_fine.all():
            raise piece.fault(int(rows[np.argmin(is_fine)]), expected)

        films.append(np.repeat(film, count))
        users.append(user)

    return np.concatenate(films), np.concatenate(users)


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
            rows.append((str(int(film)), title, None if year == "NULL" else int(year)))
        elif line.strip():
            raise DataError(
                f"Line {number} of {path} is {line[:80]!r}; expected id,year,title such as "
                "1,2003,Dinosaur Planet. Correct it, or remove the file to do without titles."
            )

    schema = {"item_id": pl.String, "title": pl.String, "year": pl.Int32}

    return pl.DataFrame(rows, orient="row", schema=schema)


class _Section(NamedTuple):
    """A part of a file within a piece."""

    place: int  # in the text of the piece
    path: Path
    first_line: int  # its number in the file


@dataclass(frozen=True)
class _Piece:
    """Whole lines, of one file or of several small ones."""

    text: UInt8[np.ndarray, " bytes"]
    start: Int64[np.ndarray, " lines"]  # where each line begins in `text`
    stop: Int64[np.ndarray, " lines"]  # where its line end is
    is_film: Bool[np.ndarray, " lines"]
    sections: tuple[_Section, ...]

    def line(self, row: int) -> str:
        """The text of a line."""
        return self.text[self.start[row] : self.stop[row]].tobytes().decode(errors="replace")

    def name_of_line(self, row: int) -> str:
        """The number of a line and its file, for messages."""
        before = [section for section in self.sections if section.place <= self.start[row]]
        section = before[-1]
        number = section.first_line + row - int(np.searchsorted(self.start, section.place))
        return f"Line {number} of {section.path}"

    def fault(self, row: int, expected: str) -> DataError:
        """The error for a line that is not what was expected."""
        return DataError(
            f"{self.name_of_line(row)} is {self.line(row)[:80]!r}; expected {expected}. Correct "
            "it, or get the file again."
        )

    def film(self, row: int) -> int:
        """The film that a line names.

        Raises:
            DataError: if it is no film.
        """
        digits = self.line(row)[:-1]
        if not (digits.isascii() and digits.isdigit() and 1 <= int(digits) <= N_FILMS):
            raise self.fault(row, f"a film from 1: to {N_FILMS}:")
        return int(digits)


def _pieces(files: Sequence[Path]) -> Iterator[_Piece]:
    """The files in pieces of at least PIECE bytes, small files together."""
    texts: list[bytes] = []
    sections: list[_Section] = []
    size = 0

    for path in files:
        if not path.stat().st_size:
            raise DataError(
                f"{path} is empty; expected a film such as 1: in its first line. Get the file "
                "again."
            )

        line = 1

        for block in lines.blocks(path, quoted=False):
            text = block.replace(b"\r\n", b"\n")
            if not text.endswith(b"\n"):
                text += b"\n"

            texts.append(text)
            sections.append(_Section(size, path, line))
            size += len(text)
            line += text.count(b"\n")
            if size >= PIECE:
                yield _piece(b"".join(texts), sections)
                texts = []
                sections = []
                size = 0

    if size:
        yield _piece(b"".join(texts), sections)


def _piece(content: bytes, sections: list[_Section]) -> _Piece:
    """The lines of a piece; the first line of a file must name a film."""
    text = np.frombuffer(content, np.uint8)
    stop = np.flatnonzero(text == ord("\n"))
    start = np.append(0, stop[:-1] + 1)
    piece = _Piece(text, start, stop, text[stop - 1] == ord(":"), tuple(sections))

    for section in sections:
        row = int(np.searchsorted(start, section.place))
        if section.first_line == 1 and not piece.is_film[row]:
            raise piece.fault(row, "a film such as 1: in the first line of a file")

    return piece


def _runs(
    files: Sequence[Path], report: Report | None
) -> Iterator[
    tuple[
        _Piece, Int32[np.ndarray, " runs"], Int64[np.ndarray, " runs"], Int64[np.ndarray, " rows"]
    ]
]:
    """The lines of the files: films, how many lines follow each, and which lines those are."""
    film = 0  # none yet; no line follows it
    is_seen = np.zeros(N_FILMS + 1, bool)

    for piece in _pieces(files):
        film_rows = np.flatnonzero(piece.is_film)
        films = [film]

        for row in film_rows.tolist():
            film = piece.film(row)
            if is_seen[film]:
                raise DataError(
                    f"{piece.name_of_line(row)}: film {film} comes again; expected each film once. "
                    "Remove the second file, or its lines."
                )

            is_seen[film] = True
            films.append(film)

        bounds = np.concatenate([[-1], film_rows, [len(piece.stop)]])
        count = np.diff(bounds) - 1
        yield piece, np.array(films, np.int32), count, np.flatnonzero(~piece.is_film)
        if report is not None:
            report(len(piece.text))


def _users(
    piece: _Piece, rows: Int64[np.ndarray, " rows"], tail: int, expected: str
) -> tuple[Int32[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """The users that lines begin with, and whether each is one.

    Args:
        piece: the text.
        rows: the lines.
        tail: bytes between the user and the end of a line.
        expected: what should stand there, for a message.

    Raises:
        DataError: at a line that is too short or too long for its fields to be in their places.
    """
    n_digits = piece.stop[rows] - tail - piece.start[rows]
    is_fine = (n_digits >= 1) & (n_digits <= MAX_DIGITS)
    if not is_fine.all():
        raise piece.fault(int(rows[np.argmin(is_fine)]), expected)

    user = np.zeros(len(rows), np.int32)
    last = piece.stop[rows] - tail - 1

    for place in range(int(n_digits.max(initial=0))):
        # As unsigned bytes, what is no digit comes out above 9.
        digit = piece.text[last - place] - np.uint8(ord("0"))
        has_digit = n_digits > place
        is_fine &= (digit < 10) | ~has_digit
        user += np.where(has_digit, digit, 0).astype(np.int32) * np.int32(10**place)

    has_leading_zero = piece.text[piece.start[rows]] == ord("0")

    return user, is_fine & (user >= 1) & (user <= N_USERS) & ~has_leading_zero


def _days(
    text: UInt8[np.ndarray, " bytes"], stop: Int64[np.ndarray, " rows"]
) -> tuple[Int16[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """The days, counted from 1970, of dates that end at `stop`; and whether each is one."""
    number = np.zeros(len(stop), np.int32)  # YYYYMMDD
    is_fine = np.ones(len(stop), bool)

    for distance in (10, 9, 8, 7, 5, 4, 2, 1):  # of the digits of YYYY-MM-DD
        digit = text[stop - distance] - np.uint8(ord("0"))
        is_fine &= digit < 10
        number *= 10
        number += digit

    number -= FIRST.year * 10_000
    is_fine &= (number >= 0) & (number < len(DAYS))
    day = DAYS[np.where(is_fine, number, 0)]

    return day, is_fine & (day > 0)


def _calendar() -> Int16[np.ndarray, " numbers"]:
    """The day, counted from 1970, of YYYYMMDD minus 19980000; 0 where that is no date."""
    days = np.zeros((LAST.year + 1 - FIRST.year) * 10_000, np.int16)

    for j in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=j)
        number = int(f"{day:%Y%m%d}") - FIRST.year * 10_000
        days[number] = (day - date(1970, 1, 1)).days

    return days


DAYS = _calendar()
