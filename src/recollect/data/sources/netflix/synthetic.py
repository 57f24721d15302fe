"""Planted ratings, written in the form of a public data set: to try its reader, and all that follows, without its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from jaxtyping import Float64, Int32, Int64

from recollect.data.sources.netflix import VARIANTS
from recollect.data.sources.netflix.prize_files import N_FILMS, N_USERS
from recollect.data.sources.planted import Block, planted_by_item
from recollect.errors import SettingError, unknown
from recollect.system.atomic_files import replacing

FORMS = ("training_set", "combined_data")
N_COMBINED = 4  # files of the second form
PROBE_SHARE = 1_408_395 / 100_480_507  # of Netflix' own probe set
# The share of Netflix' ratings before each day, about, from the counts that DeepRec's paper has for its windows.
CALENDAR = {
    "1999-11-11": 0.0,
    "1999-12-01": 0.0001,
    "2004-06-01": 0.274,
    "2005-06-01": 0.686,
    "2005-09-01": 0.840,
    "2005-12-01": 0.976,
    "2006-01-01": 1.0,
}
STAY = 0.4  # a user rates during about this share of all that happens


def sizes(share: float | int) -> tuple[int, int, int]:
    """Users, films and ratings of a set with this share of Netflix' ratings and Netflix' density.

    Raises: SettingError unless the share is above 0 and at most 1, and some ratings remain.
    """
    whole = VARIANTS["full"]
    n = round(share * whole.counts.ratings) if 0 < share <= 1 else 0
    if n < 100:
        raise SettingError(
            f"{share:g} is the share of Netflix' {whole.counts.ratings:,} ratings; expected above 0.000001 and "
            "at most 1, such as 0.01."
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
    """Write planted ratings into a new folder as the Netflix Prize's files: ratings in one of the two forms, probe.txt and
    movie_titles.txt.

    User ids have gaps, days run from 1999-11-11 to 2005-12-31, and each of DeepRec's windows has about its share of the
    ratings. Users who drew no rating do not appear. The same arguments write the same files. Ratings are made and written
    a few million at a time; `report` is called with how many there are. If it fails, nothing is left.

    Raises: SettingError if there are more users or films than Netflix has ids for, more ratings than pairs or fewer than
    films, or the folder is not empty.
    """
    folder = Path(folder)
    if form not in FORMS:
        raise unknown("form of Netflix' files", form, FORMS)
    if n_users > N_USERS or n_items > N_FILMS:
        raise SettingError(
            f"{n_users:,} users and {n_items:,} films are more than Netflix has ids for; expected at most "
            f"{N_USERS:,} and {N_FILMS:,}."
        )
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise SettingError(f"{folder} exists and is not empty; name a new folder.")
    blocks = planted_by_item(n_users, n_items, n_ratings, seed=seed)
    random = np.random.default_rng([seed, 1])  # apart from the ratings' own
    user_id = (
        random.permutation(N_USERS)[:n_users].astype(np.int32) + 1
    )  # in no order, as in Netflix' files
    when, done = _Calendar(n_users, random), 0
    with replacing(folder) as fresh, ExitStack() as stack:
        fresh.mkdir()
        probe = stack.enter_context((fresh / "probe.txt").open("wb"))
        files = _Files(fresh, form, n_items, stack)
        for block in blocks:
            table = pl.DataFrame(
                {
                    "user": user_id[block.user],
                    "value": block.value.astype(np.int8),
                    "day": pl.Series(when.days(block.user)).cast(pl.Date),
                    "probe": random.random(len(block.user)) < PROBE_SHARE,
                }
            )
            for film, part in _films(block, table):
                files.write(film, part.select("user", "value", "day"))
                asked = part.filter("probe").select("user")
                if len(asked):
                    probe.write(b"%d:\n" % film)
                    asked.write_csv(probe, include_header=False)
            done += len(table)
            if report is not None:
                report(done)
        (fresh / "movie_titles.txt").write_bytes(
            b"".join(_title(film) for film in range(1, n_items + 1))
        )


def _films(block: Block, table: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """Each film of a block, numbered from 1, and its ratings."""
    begun = 0
    for j, count in enumerate(block.counts.tolist()):
        yield block.first + j + 1, table.slice(begun, count)
        begun += count


def _title(film: int) -> bytes:
    """A line of movie_titles.txt, in Latin-1. Some titles hold commas, some letters with accents; some years are unknown."""
    title = (
        f"Film {film}, The"
        if film % 7 == 3
        else f"Café {film}"
        if film % 11 == 5
        else f"Film {film}"
    )
    return f"{film},{'NULL' if film % 101 == 50 else 1930 + film % 75},{title}\n".encode("latin-1")


class _Files:
    """The files of ratings, in one of the two forms."""

    def __init__(self, folder: Path, form: str, n_items: int, stack: ExitStack) -> None:
        self.folder, self.n_items = folder, n_items
        self.combined: list[IO[bytes]] = []
        if form == "combined_data":
            self.combined = [
                stack.enter_context((folder / f"combined_data_{j + 1}.txt").open("wb"))
                for j in range(N_COMBINED)
            ]
        else:
            (folder / "training_set").mkdir()

    def write(self, film: int, ratings: pl.DataFrame) -> None:
        """Write a film's line and, below it, those of its ratings."""
        if self.combined:
            self._lines(self.combined[(film - 1) * N_COMBINED // self.n_items], film, ratings)
        else:
            with (self.folder / "training_set" / f"mv_{film:07}.txt").open("wb") as out:
                self._lines(out, film, ratings)

    @staticmethod
    def _lines(out: IO[bytes], film: int, ratings: pl.DataFrame) -> None:
        out.write(b"%d:\n" % film)
        ratings.write_csv(out, include_header=False)


class _Calendar:
    """When users rate: each for a while about a moment of their own. All together they follow `CALENDAR`."""

    def __init__(self, n_users: int, random: np.random.Generator) -> None:
        self.random = random
        self.middle = random.random(n_users)  # as a share of all ratings that were given by then
        self.stay = np.minimum(STAY * random.lognormal(0.0, 1.0, n_users), 1.0)
        self.day = np.array(list(CALENDAR), "datetime64[D]").astype(np.int64).astype(np.float64)

    def days(self, user: Int64[np.ndarray, " ratings"]) -> Int32[np.ndarray, " ratings"]:
        """A day for each rating, counted from 1970."""
        moment = self.middle[user] + self.stay[user] * (self.random.random(len(user)) - 0.5)
        day = np.interp(_folded(moment), list(CALENDAR.values()), self.day)
        return np.minimum(day, self.day[-1] - 1).astype(
            np.int32
        )  # the last of CALENDAR is the day after


def _folded(share: Float64[np.ndarray, " ratings"]) -> Float64[np.ndarray, " ratings"]:
    """Mirrored at 0 and 1 into 0 to 1: what was spread evenly stays so."""
    share = np.abs(share)
    return np.where(share > 1, 2 - share, share)
