"""The files of the Netflix Prize: a line "1:" for each film, then a line "user,rating,date" for each of its ratings.

They come in two forms that hold the same lines: a file per film (training_set/mv_0000001.txt …), or many films a file
(combined_data_1.txt …). Text is taken in by a few megabytes, and becomes numbers a column at a time: rating and date
stand at fixed places before a line's end, and a user has at most seven digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Bool, Int8, Int16, Int32, Int64, UInt8

from recollect.data.parsing import lines
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import DataError

PIECE = 2 << 20  # bytes of text turned into numbers at once, at least
N_USERS, N_FILMS = (
    2_649_429,
    17_770,
)  # the largest ids, as the Prize's own README has them; users' have gaps
FIRST, LAST = date(1998, 1, 1), date(2005, 12, 31)
DAY = 86_400  # seconds
TAIL = len(",3,2005-09-06")  # what follows the user
WIDEST = len(str(N_USERS))
RATING = (
    "user,rating,date such as 1488844,3,2005-09-06 (users from 1 to 2649429, ratings from 1 to 5, days from 1998 to "
    "2005)"
)
LOOKED_FOR = (
    "training_set/mv_0000001.txt … (a file per film) or combined_data_1.txt … (many films a file)"
)

Report = Callable[[int], object]  # bytes taken in since the last call


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
    """The files of the Prize in a folder, or None if it has no ratings; of both forms, the one with a file per film."""
    ratings = sorted(folder.glob("training_set/mv_*.txt")) or sorted(
        folder.glob("combined_data_*.txt")
    )
    if not ratings:
        return None
    titles = next(
        (path for end in ("txt", "csv") if (path := folder / f"movie_titles.{end}").is_file()), None
    )
    return Files(tuple(ratings), titles, path if (path := folder / "probe.txt").is_file() else None)


@dataclass(frozen=True)
class Block:
    """Some ratings, in the order of the files: `count[j]` of them are of the film `film[j]`, the next of the next.

    A film's ratings may go on in the next block. `day` counts from 1970-01-01.
    """

    film: Int32[np.ndarray, " runs"]
    count: Int64[np.ndarray, " runs"]
    user: Int32[np.ndarray, " ratings"]
    value: Int8[np.ndarray, " ratings"]
    day: Int16[np.ndarray, " ratings"]


def blocks(files: Sequence[Path], report: Report | None = None) -> Iterator[Block]:
    """The ratings in the files, a block at a time.

    Raises: DataError at the first line that is neither a film nor a rating, and for a film that comes twice; it names
    file and line.
    """
    for piece, film, count, rows in _runs(files, report):
        expected, stop = f"a film such as 1: or {RATING}", piece.stop[rows]
        user, fine = _users(piece, rows, TAIL, expected)
        value = piece.text[stop - TAIL + 1] - np.uint8(ord("0"))
        day, is_day = _days(piece.text, stop)
        fine &= is_day & (value >= 1) & (value <= 5)
        for back, mark in ((TAIL, b","), (11, b","), (6, b"-"), (3, b"-")):
            fine &= piece.text[stop - back] == mark[0]
        if not fine.all():
            raise piece.fault(int(rows[np.argmin(fine)]), expected)
        yield Block(film, count, user, value.astype(np.int8), day)


def read(files: Files, *, name: str, report: Report | None = None) -> Ratings:
    """The ratings of the Prize, with titles and years in `catalogue`; a film without ratings is no item.

    Times are the first second of the day in UTC. Memory: 20 bytes a rating in the end, 24 while it reads.

    Raises: DataError as `blocks`; if a user rates a film twice; if there is no rating.
    """
    film, count, user, value, day = _taken(files, report)
    n = int(count.sum())
    if not n:
        raise DataError(
            f"There are no ratings in {files.ratings[0].parent}, only films; expected lines of {RATING}."
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


def _taken(
    files: Files, report: Report | None
) -> tuple[
    Int32[np.ndarray, " films"],
    Int64[np.ndarray, " films"],
    list[np.ndarray],
    list[np.ndarray],
    list[np.ndarray],
]:
    """Films that have ratings, in the order of the files, and how many; and users, ratings and days, in parts."""
    taken = list(blocks(files.ratings, report))
    film, count = (
        np.concatenate(column) for column in ([b.film for b in taken], [b.count for b in taken])
    )
    film, count = film[count > 0], count[count > 0]
    first = np.flatnonzero(
        np.diff(film, prepend=-1)
    )  # a film that goes on in the next block is one
    count = np.add.reduceat(count, first) if len(first) else count
    return (
        film[first],
        count,
        [b.user for b in taken],
        [b.value for b in taken],
        [b.day for b in taken],
    )


def _joined(parts: list[np.ndarray], dtype: np.dtype, times: int = 1) -> np.ndarray:
    """One array of all parts, which go as they are copied."""
    whole, at = np.empty(sum(map(len, parts)), dtype), 0
    parts.reverse()
    while parts:
        part = parts.pop()
        np.multiply(part, times, out=whole[at : at + len(part)], dtype=dtype)
        at += len(part)
    return whole


def _joined_users(
    parts: list[np.ndarray],
) -> tuple[Int64[np.ndarray, " users"], Int32[np.ndarray, " ratings"]]:
    """The ids of the users that there are, ascending, and each rating's row among them; the parts go."""
    is_there = np.zeros(N_USERS + 1, bool)
    for part in parts:
        is_there[part] = True
    row = np.cumsum(is_there, dtype=np.int32) - 1
    for j, part in enumerate(parts):
        parts[j] = row[part]
    return np.flatnonzero(is_there), _joined(parts, np.dtype(np.int32))


def _check_once(
    user: Int32[np.ndarray, " ratings"],
    count: Int64[np.ndarray, " films"],
    film: Int32[np.ndarray, " films"],
    user_ids: Int64[np.ndarray, " users"],
) -> None:
    """Refuse a user who rates a film twice. A film's ratings stand together, so no sorting is needed."""
    place, stop = np.empty(len(user_ids), np.int32), np.cumsum(count)
    for j, end in enumerate(stop):
        who = user[end - count[j] : end]
        own = np.arange(len(who), dtype=np.int32)
        place[who] = own
        again = place[who] != own
        if again.any():
            raise DataError(
                f"User {user_ids[who[again.argmax()]]} rates film {film[j]} more than once; expected each pair "
                "once. Remove the line that is too many, or bring the files again."
            )


def probe(path: Path) -> tuple[Int32[np.ndarray, " pairs"], Int32[np.ndarray, " pairs"]]:
    """The films and the users of the pairs in probe.txt: a line "1:" for each film, then a line for each user.

    Raises: DataError at a line that is neither; it names the line.
    """
    films, users = [], []
    for piece, film, count, rows in _runs([path], None):
        expected = f"a film such as 1: or a user from 1 to {N_USERS}"
        user, fine = _users(piece, rows, 0, expected)
        if not fine.all():
            raise piece.fault(int(rows[np.argmin(fine)]), expected)
        films.append(np.repeat(film, count))
        users.append(user)
    return np.concatenate(films), np.concatenate(users)


def titles(path: Path) -> pl.DataFrame:
    """Titles and years (item_id, title, year) from movie_titles.txt: lines of id,year,title, the year may be NULL.

    Titles may hold commas. Read as UTF-8, or as Latin-1, in which the Prize wrote it, where it is not UTF-8.

    Raises: DataError at a line that has no id, year and title; it names the line.
    """
    rows, content = [], path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    for number, line in enumerate(text.split("\n"), start=1):
        film, _, rest = line.rstrip("\r").partition(",")
        year, _, title = rest.partition(",")
        if film.isdecimal() and title and (year == "NULL" or (year.isdecimal() and len(year) == 4)):
            rows.append((str(int(film)), title, None if year == "NULL" else int(year)))
        elif line.strip():
            raise DataError(
                f"Line {number} of {path} is {line[:80]!r}; expected id,year,title such as 1,2003,Dinosaur "
                "Planet. Correct it, or take the file away to do without titles."
            )
    return pl.DataFrame(
        rows, orient="row", schema={"item_id": pl.String, "title": pl.String, "year": pl.Int32}
    )


# --- lines ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """Whole lines, of one file or of several small ones."""

    text: UInt8[np.ndarray, " bytes"]
    start: Int64[np.ndarray, " lines"]  # where each line begins in `text`
    stop: Int64[np.ndarray, " lines"]  # its line end
    is_film: Bool[np.ndarray, " lines"]
    sections: tuple[
        tuple[int, Path, int], ...
    ]  # of each part of a file: its place in `text`, the file, its first line's number

    def line(self, row: int) -> str:
        return self.text[self.start[row] : self.stop[row]].tobytes().decode(errors="replace")

    def where(self, row: int) -> str:
        """What to call a line: its number and its file."""
        at, path, first_line = next(s for s in reversed(self.sections) if s[0] <= self.start[row])
        return f"Line {first_line + row - int(np.searchsorted(self.start, at))} of {path}"

    def fault(self, row: int, expected: str) -> DataError:
        return DataError(
            f"{self.where(row)} is {self.line(row)[:80]!r}; expected {expected}. Correct it, or bring the file "
            "again."
        )

    def film(self, row: int) -> int:
        """The film that a line names."""
        digits = self.line(row)[:-1]
        if not (digits.isascii() and digits.isdigit() and 1 <= int(digits) <= N_FILMS):
            raise self.fault(row, f"a film from 1: to {N_FILMS}:")
        return int(digits)


def _pieces(files: Sequence[Path]) -> Iterator[_Piece]:
    held: list[bytes] = []
    sections: list[tuple[int, Path, int]] = []
    size = 0
    for path in files:
        line = 1
        for block in lines.blocks(path, quoted=False):
            text = block.replace(b"\r\n", b"\n") if b"\r" in block else block
            held.append(text if text.endswith(b"\n") else text + b"\n")
            sections.append((size, path, line))
            size, line = size + len(held[-1]), line + text.count(b"\n")
            if size >= PIECE:
                yield _piece(b"".join(held), sections)
                held, sections, size = [], [], 0
        if line == 1 and not path.stat().st_size:
            raise DataError(
                f"{path} is empty; expected a film such as 1: in its first line. Bring the file again."
            )
    if size:
        yield _piece(b"".join(held), sections)


def _piece(content: bytes, sections: list[tuple[int, Path, int]]) -> _Piece:
    text = np.frombuffer(content, np.uint8)
    stop = np.flatnonzero(text == ord("\n"))
    start = np.append(0, stop[:-1] + 1)
    piece = _Piece(text, start, stop, text[stop - 1] == ord(":"), tuple(sections))
    for at, _, first_line in sections:
        row = int(np.searchsorted(start, at))
        if first_line == 1 and not piece.is_film[row]:
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
    film, seen = 0, np.zeros(N_FILMS + 1, bool)  # 0: no film yet; no line follows it
    for piece in _pieces(files):
        heads = np.flatnonzero(piece.is_film)
        found = [film]
        for row in map(int, heads):
            film = piece.film(row)
            if seen[film]:
                raise DataError(
                    f"{piece.where(row)}: film {film} comes again; expected each film once. Take away the file or "
                    "the lines that are too many."
                )
            seen[film] = True
            found.append(film)
        count = np.diff(np.concatenate([[-1], heads, [len(piece.stop)]])) - 1
        yield piece, np.array(found, np.int32), count, np.flatnonzero(~piece.is_film)
        if report is not None:
            report(len(piece.text))


def _users(
    piece: _Piece, rows: Int64[np.ndarray, " rows"], tail: int, expected: str
) -> tuple[Int32[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """The users that lines begin with, up to `tail` bytes before their end; and whether each is one.

    Raises: DataError at a line that is too short or too long, so that its fields cannot be where they are looked for.
    """
    width = piece.stop[rows] - tail - piece.start[rows]
    fine = (width >= 1) & (width <= WIDEST)
    if not fine.all():
        raise piece.fault(int(rows[np.argmin(fine)]), expected)
    user, last, ten = np.zeros(len(rows), np.int32), piece.stop[rows] - tail - 1, 1
    for place in range(int(width.max(initial=0))):
        digit = piece.text[last - place] - np.uint8(ord("0"))  # what is no digit comes out above 9
        inside = width > place
        fine &= (digit < 10) | ~inside
        user += np.where(inside, digit, 0).astype(np.int32) * np.int32(ten)
        ten *= 10
    return user, fine & (user >= 1) & (user <= N_USERS) & (
        piece.text[piece.start[rows]] != ord("0")
    )


def _days(
    text: UInt8[np.ndarray, " bytes"], stop: Int64[np.ndarray, " rows"]
) -> tuple[Int16[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """The days, counted from 1970, of dates that end at `stop`; and whether each is one."""
    number, fine = np.zeros(len(stop), np.int32), np.ones(len(stop), bool)
    for back in (10, 9, 8, 7, 5, 4, 2, 1):  # YYYY-MM-DD
        digit = text[stop - back] - np.uint8(ord("0"))
        fine &= digit < 10
        number *= 10
        number += digit
    number -= FIRST.year * 10_000
    fine &= (number >= 0) & (number < len(DAYS))
    day = DAYS[np.where(fine, number, 0)]
    return day, fine & (day > 0)


def _calendar() -> Int16[np.ndarray, " numbers"]:
    """The day, counted from 1970, of YYYYMMDD less 19980000; 0 where that is no date."""
    days = np.zeros((LAST.year + 1 - FIRST.year) * 10_000, np.int16)
    for j in range((LAST - FIRST).days + 1):
        at = FIRST + timedelta(days=j)
        days[int(f"{at:%Y%m%d}") - FIRST.year * 10_000] = (at - date(1970, 1, 1)).days
    return days


DAYS = _calendar()
