"""Planted ratings as the Netflix Prize's files: to try its reader, and more, without its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from jaxtyping import Float64, Int32, Int64

from recollect.data.sources.netflix import VARIANTS
from recollect.data.sources.netflix.fields import N_USERS
from recollect.data.sources.netflix.pieces import N_FILMS
from recollect.data.sources.planted import Block, planted_by_item
from recollect.errors import SettingError, unknown
from recollect.system.atomic_files import replacing

FORMS = ("training_set", "combined_data")
N_COMBINED = 4  # files of the second form
PROBE_SHARE = 1_408_395 / 100_480_507  # of Netflix' own probe set
# About the share of Netflix' ratings before each day, from the counts of DeepRec's windows.
CALENDAR = {
    "1999-11-11": 0.0,
    "1999-12-01": 0.0001,
    "2004-06-01": 0.274,
    "2005-06-01": 0.686,
    "2005-09-01": 0.840,
    "2005-12-01": 0.976,
    "2006-01-01": 1.0,
}
STAY = 0.4  # a user is active for about this share of all ratings


def sizes(share: float | int) -> tuple[int, int, int]:
    """Users, films and ratings of a set with this share of Netflix' ratings and its density.

    Raises:
        SettingError: unless the share is above 0 and at most 1, and some ratings remain.
    """
    whole = VARIANTS["full"]
    n = round(share * whole.counts.ratings) if 0 < share <= 1 else 0
    if n < 100:
        raise SettingError(
            f"{share:g} is the share of Netflix' {whole.counts.ratings:,} ratings; expected above "
            "0.000001 and at most 1, such as 0.01."
        )

    return round(share**0.5 * whole.counts.users), round(share**0.5 * whole.films), n


def write_netflix(
    folder: str | Path,
    *,
    n_users: int,
    n_items: int,
    n_ratings: int,
    form: str = "training_set",
    seed: int = 0,
    report: Callable[[int], object] | None = None,
) -> None:
    """Write planted ratings into a new folder as the Netflix Prize's files.

    User ids have gaps, days run from 1999-11-11 to 2005-12-31, and each of DeepRec's windows has
    about its share of the ratings. Users without ratings do not appear. The same arguments write
    the same files. Ratings are written a few million at a time. If it fails, nothing is left.

    Args:
        folder: new or empty.
        n_users: how many users.
        n_items: how many films.
        n_ratings: how many ratings.
        form: "training_set" (a file per film) or "combined_data" (many films a file).
        seed: of all draws.
        report: called with the number of ratings written so far.

    Raises:
        SettingError: if there are more users or films than Netflix has ids for, more ratings than
            pairs or fewer than films, or the folder is not empty.
    """
    folder = Path(folder)
    _check(
        folder,
        n_users=n_users,
        n_items=n_items,
        form=form,
    )
    blocks = planted_by_item(n_users, n_items, n_ratings, seed=seed)
    random = np.random.default_rng([seed, 1])  # apart from that of the ratings
    # In no order, as in Netflix' files.
    user_id = random.permutation(N_USERS)[:n_users].astype(np.int32) + 1
    calendar = _Calendar(n_users, random)
    n_written = 0

    with replacing(folder) as fresh, ExitStack() as stack:
        fresh.mkdir()
        probe = stack.enter_context((fresh / "probe.txt").open("wb"))
        files = _Files(fresh, form, n_items, stack)

        for block in blocks:
            table = _table(block, user_id, calendar, random)
            _write_block(block, table, files, probe)
            n_written += len(table)
            if report is not None:
                report(n_written)

        titles = b"".join(_title(film) for film in range(1, n_items + 1))
        (fresh / "movie_titles.txt").write_bytes(titles)


def _table(
    block: Block,
    user_id: Int32[np.ndarray, " n_users"],
    calendar: _Calendar,
    random: np.random.Generator,
) -> pl.DataFrame:
    """User id, value and day of each rating of a block, and whether it is in the probe set."""
    # Days are drawn before the probe set: the order is part of what a seed means.
    day = pl.Series(calendar.days(block.user))
    in_probe = random.random(len(block.user)) < PROBE_SHARE
    columns = {
        "user": user_id[block.user],
        "value": block.value.astype(np.int8),
        "day": day.cast(pl.Date),
        "probe": in_probe,
    }

    return pl.DataFrame(columns)


def _check(folder: Path, *, n_users: int, n_items: int, form: str) -> None:
    if form not in FORMS:
        raise unknown("form of Netflix' files", form, FORMS)

    if n_users > N_USERS or n_items > N_FILMS:
        raise SettingError(
            f"{n_users:,} users and {n_items:,} films are more than Netflix has ids for; expected "
            f"at most {N_USERS:,} and {N_FILMS:,}."
        )

    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise SettingError(f"{folder} exists and is not empty; name a new folder.")


def _write_block(block: Block, table: pl.DataFrame, files: _Files, probe: IO[bytes]) -> None:
    """Write a block's ratings, and into `probe` the users of those that are in the probe set."""
    for film, ratings in _films(block, table):
        files.write(film, ratings.select("user", "value", "day"))
        in_probe = ratings.filter("probe").select("user")
        if len(in_probe):
            probe.write(b"%d:\n" % film)
            in_probe.write_csv(probe, include_header=False)


def _films(block: Block, table: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """Each film of a block, numbered from 1, and its ratings."""
    start = 0
    for j, count in enumerate(block.counts.tolist()):
        yield block.first + j + 1, table.slice(start, count)
        start += count


def _title(film: int) -> bytes:
    """A line of movie_titles.txt, in Latin-1.

    Some titles hold commas, some letters with accents; some years are unknown.
    """
    title = f"Film {film}"
    if film % 7 == 3:
        title = f"Film {film}, The"
    elif film % 11 == 5:
        title = f"Café {film}"

    year = "NULL" if film % 101 == 50 else str(1930 + film % 75)

    return f"{film},{year},{title}\n".encode("latin-1")


class _Files:
    """The files of ratings, in one of the two forms."""

    def __init__(self, folder: Path, form: str, n_items: int, stack: ExitStack) -> None:
        self.folder = folder
        self.n_items = n_items
        self.combined: list[IO[bytes]] = []
        if form == "training_set":
            (folder / "training_set").mkdir()
            return

        for j in range(N_COMBINED):
            path = folder / f"combined_data_{j + 1}.txt"
            self.combined.append(stack.enter_context(path.open("wb")))

    def write(self, film: int, ratings: pl.DataFrame) -> None:
        """Write a film's line and, below it, those of its ratings."""
        if self.combined:
            file = (film - 1) * N_COMBINED // self.n_items
            self._write_lines(self.combined[file], film, ratings)
        else:
            with (self.folder / "training_set" / f"mv_{film:07}.txt").open("wb") as out:
                self._write_lines(out, film, ratings)

    @staticmethod
    def _write_lines(out: IO[bytes], film: int, ratings: pl.DataFrame) -> None:
        out.write(b"%d:\n" % film)
        ratings.write_csv(out, include_header=False)


class _Calendar:
    """When users rate: each around a moment of their own; together as `CALENDAR` says."""

    def __init__(self, n_users: int, random: np.random.Generator) -> None:
        self.random = random
        self.middle = random.random(n_users)  # as a share of all ratings given until then
        stay = STAY * random.lognormal(0.0, 1.0, n_users)
        self.stay = np.minimum(stay, 1.0)
        dates = np.array(list(CALENDAR), "datetime64[D]")
        self.day = dates.astype(np.int64).astype(np.float64)  # from 1970

    def days(self, user: Int64[np.ndarray, " ratings"]) -> Int32[np.ndarray, " ratings"]:
        """A day for each rating, counted from 1970."""
        from_middle = self.random.random(len(user)) - 0.5
        moment = self.middle[user] + self.stay[user] * from_middle
        shares = list(CALENDAR.values())
        day = np.interp(_reflected(moment), shares, self.day)
        # The last entry of CALENDAR is the day after the last one.
        day = np.minimum(day, self.day[-1] - 1)

        return day.astype(np.int32)


def _reflected(share: Float64[np.ndarray, " ratings"]) -> Float64[np.ndarray, " ratings"]:
    """Reflected at 0 and 1 into 0 to 1: a uniform distribution stays one."""
    share = np.abs(share)
    is_above = share > 1
    return np.where(is_above, 2 - share, share)
