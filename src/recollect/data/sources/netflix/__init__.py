"""The Netflix Prize: 100 million dated ratings of films, and the four windows of DeepRec's paper.

Source: Bennett, Lanning. "The Netflix Prize." KDD Cup and Workshop, 2007.
Source of the windows and their counts: Kuchaiev, Ginsburg. "Training Deep AutoEncoders for
Collaborative Filtering", 2017.
License: it is no longer distributed; its README allows research use only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool
from tqdm import tqdm

from recollect.data import download
from recollect.data.ratings import Ratings
from recollect.data.sources.netflix import prize_files
from recollect.data.sources.netflix.pieces import Report
from recollect.data.splitting import Split, in_windows, window_split
from recollect.data.splitting.split import TEST, TRAIN
from recollect.errors import DataError, unknown

log = logging.getLogger("recollect")

# What the folder may be called, in this order.
FOLDERS = ("netflix", "nf_prize_dataset", "netflix-prize-data")
PACKED = "training_set.tar"


class Counts(NamedTuple):
    """Numbers of users and ratings."""

    users: int
    ratings: int


@dataclass(frozen=True)
class Variant:
    """The whole set."""

    films: int
    counts: Counts

    def __str__(self) -> str:
        users, ratings = self.counts
        size = f"{ratings:,} ratings of {self.films:,} films by {users:,} users"
        return f"Netflix Prize: {size}; 1 to 5; no longer distributed, read from your copy"


@dataclass(frozen=True)
class Window:
    """The days of train and of test, in UTC, the last included; and the paper's counts.

    `test` counts both halves of the second interval, without users and films that are not in the
    first.
    """

    title: str
    train_days: tuple[str, str]
    test_days: tuple[str, str]
    train: Counts
    test: Counts


VARIANTS = {"full": Variant(17_770, Counts(480_189, 100_480_507))}

DECEMBER = ("2005-12-01", "2005-12-31")
WINDOWS = {
    "3m": Window(
        "3 months",
        ("2005-09-01", "2005-11-30"),
        DECEMBER,
        Counts(311_315, 13_675_402),
        Counts(160_906, 2_082_559),
    ),
    "6m": Window(
        "6 months",
        ("2005-06-01", "2005-11-30"),
        DECEMBER,
        Counts(390_795, 29_179_009),
        Counts(169_541, 2_175_535),
    ),
    "1y": Window(
        "1 year",
        ("2004-06-01", "2005-05-31"),
        ("2005-06-01", "2005-06-30"),
        Counts(345_855, 41_451_832),
        Counts(197_951, 3_888_684),
    ),
    "full": Window(
        "full",
        ("1999-12-01", "2005-11-30"),
        DECEMBER,
        Counts(477_412, 98_074_901),
        Counts(173_482, 2_250_481),
    ),
}


def load(variant: str = "full", folder: Path | None = None) -> Ratings:
    """The ratings of the whole set, with times, titles and years; on a terminal with a bar.

    Args:
        variant: "full".
        folder: the folder of the files, or one that holds it; default: the data homes.

    Raises:
        DataError: if the folder is not there or a file in it is damaged.
    """
    place = home(folder)
    return read(place, name=f"netflix/{variant}")


def read(folder: str | Path, *, name: str | None = None) -> Ratings:
    """The ratings in a folder of the Netflix Prize's files.

    If their number is not the published one, a note says so.

    Args:
        folder: of the files.
        name: of the ratings; default: that of the folder.

    Raises:
        DataError: if there are no such files or one is damaged.
    """
    folder = Path(folder)
    name = name or folder.resolve().name
    files = _files(folder)

    with _progress_bar(files) as report:
        ratings = prize_files.read(files, name=name, report=report)

    published_ = VARIANTS["full"]
    counts = Counts(ratings.n_users, len(ratings))
    if (ratings.n_items, counts) == (published_.films, published_.counts):
        return ratings

    note = (
        f"This is not the whole Netflix Prize: {counts.ratings:,} ratings of {ratings.n_items:,} "
        f"films by {counts.users:,} users; published are {published_.counts.ratings:,}, "
        f"{published_.films:,} and {published_.counts.users:,}."
    )
    log.info("%s: %s", ratings.name, note)

    return replace(ratings, notes=(*ratings.notes, note), checked=True)


def is_folder(path: str | Path) -> bool:
    """Whether this is a folder of the Netflix Prize's files."""
    folder = Path(path)
    if not folder.is_dir():
        return False

    return prize_files.find(folder) is not None


def home(folder: Path | None = None) -> Path:
    """The folder of the files: `folder` itself, or one called netflix in it or in a data home.

    Raises:
        DataError: if there is none; it says where it was looked for, and what to do.
    """
    places = _places(folder)
    if folder is not None:
        places.insert(0, folder)

    for place in places:
        if is_folder(place):
            return place

    _refuse_packed(places)
    raise DataError(
        f"The Netflix Prize is in none of {', '.join(map(str, places))}; looked for "
        f"{prize_files.LOOKED_FOR}. It is no longer distributed, so it cannot be downloaded: put "
        f"your copy into a folder {FOLDERS[0]}, and let the environment variable RECOLLECT_DATA "
        "name the folder that this one is in. To try without: recollect data plant FOLDER --like "
        "netflix."
    )


def _places(folder: Path | None) -> list[Path]:
    """Where the folder of the files may be."""
    places = []
    for place in download.homes(folder):
        places += [place / name for name in FOLDERS]
    return places


def _refuse_packed(places: list[Path]) -> None:
    """Say how to unpack the ratings, if they are there as an archive."""
    archives = []
    for place in places:
        archives += [place / PACKED, place / "download" / PACKED]

    packed = next((path for path in archives if path.is_file()), None)
    if packed is None:
        return

    advice = f"unpack it where it is: cd {packed.parent} && tar -xf {PACKED}"
    if packed.parent not in places:
        advice += f". Then name {packed.parent}, or move its content to {packed.parent.parent}"

    raise DataError(f"{packed} is packed; {advice}.")


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether the files are in `folder` or one of the data homes."""
    places = _places(folder)
    return any(is_folder(place) for place in places)


def how_to_get(variant: str) -> str:
    """What to do where the files are not here: they are no longer distributed."""
    return f"put your copy of the Netflix Prize at $RECOLLECT_DATA/{FOLDERS[0]}"


def _files(folder: Path) -> prize_files.Files:
    files = prize_files.find(folder)
    if files is None:
        raise DataError(
            f"{folder} holds no files of the Netflix Prize; looked for {prize_files.LOOKED_FOR}. "
            "Check the path."
        )

    return files


@contextmanager
def _progress_bar(files: prize_files.Files) -> Iterator[Report]:
    """A bar on standard error, if that is a terminal and notes are not turned off."""
    only_on_terminals = None  # as tqdm has it

    with tqdm(
        total=files.size,
        unit="B",
        unit_scale=True,
        desc="Netflix",
        leave=False,
        disable=True if log.level >= logging.WARNING else only_on_terminals,
    ) as bar:
        yield bar.update


def probe(
    folder: str | Path | None = None, *, ratings: Ratings | None = None
) -> tuple[Ratings, Ratings]:
    """The ratings without the Prize's probe set, and the probe set.

    Both have the vocabularies of the whole.

    Args:
        folder: of the files; default: the data homes.
        ratings: those of the folder, if they have been read before.

    Raises:
        DataError: if there is no probe.txt, or it names a pair that has no rating.
    """
    place = home(None if folder is None else Path(folder))
    path = _files(place).probe
    if path is None:
        raise DataError(f"There is no probe.txt in {place}; put that of the Netflix Prize there.")

    whole = read(place) if ratings is None else ratings
    is_probe = _in_probe(whole, path)
    others = whole.where(~is_probe, name=f"{whole.name} without probe")

    return others, whole.where(is_probe, name=f"{whole.name} probe")


def _in_probe(whole: Ratings, path: Path) -> Bool[np.ndarray, " ratings"]:
    """Which ratings a file of pairs names. A film's ratings are adjacent, as they were read."""
    film, user_id = prize_files.probe(path)
    item = whole.items.rows(film)
    user = whole.users.rows(user_id)
    ratings_of = {}

    for start, stop in _runs(whole.item):
        ratings_of[int(whole.item[start])] = slice(start, stop)

    chosen = np.zeros(len(whole), bool)
    is_named = np.zeros(whole.n_users + 1, bool)  # the last place is for unknown users

    for start, stop in _runs(film):
        ratings = ratings_of.get(int(item[start]), slice(0, 0))
        named = user[start:stop]
        is_named[named] = True
        chosen[ratings] = is_named[whole.user[ratings]]
        is_named[named] = False  # again as it was, at the cost of this film alone
        n_chosen = int(chosen[ratings].sum())
        if n_chosen != stop - start:
            raise DataError(
                f"{path} names {stop - start:,} users of film {film[start]}, of whom {n_chosen:,} "
                "have rated it (or are named once); expected a rating for each. Take probe.txt and "
                "the ratings from one copy."
            )

    return chosen


def _runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """Start and end of each run of equal values."""
    # No value is -1, so that the first one begins a run.
    starts = np.flatnonzero(np.diff(values, prepend=-1))
    stops = np.append(starts[1:], len(values))
    return zip(starts.tolist(), stops.tolist(), strict=True)


def window(
    name: str, *, folder: str | Path | None = None, ratings: Ratings | None = None, seed: int = 0
) -> Split:
    """One of the paper's splits.

    Half of the second interval is valid, half is test; users and films that are not in the first
    interval are left out of it.

    Args:
        name: "3m", "6m", "1y" or "full" (`WINDOWS`).
        folder: of the files; default: the data homes.
        ratings: those of the folder, if they have been read before.
        seed: draws the halves.

    Raises:
        SettingError: for another name.
        DataError: as `load`, or if a window has no ratings.
    """
    if name not in WINDOWS:
        raise unknown("window of Netflix", name, WINDOWS)

    if ratings is None:
        ratings = load(folder=None if folder is None else Path(folder))

    days = WINDOWS[name]

    return window_split(
        ratings,
        train=days.train_days,
        test=days.test_days,
        seed=seed,
    )


def published(ratings: Ratings) -> list[dict[str, Any]]:
    """Users and ratings beside the published numbers, for the whole and each interval of a window.

    Returns: a row each, with a verdict ("as published", or how many users and ratings more or
        fewer). Of a window, "test" is both halves of its second interval.
    """
    whole = Counts(ratings.n_users, len(ratings))
    rows = [_compared("whole", whole, VARIANTS["full"].counts)]

    for window_ in WINDOWS.values():
        part = in_windows(ratings, train=window_.train_days, test=window_.test_days)

        for name, code, expected in (("train", TRAIN, window_.train), ("test", TEST, window_.test)):
            chosen = part == code
            # Flags instead of np.unique, which would sort a hundred million numbers.
            has_rating = np.zeros(ratings.n_users, bool)
            has_rating[ratings.user[chosen]] = True
            counts = Counts(int(has_rating.sum()), int(chosen.sum()))
            rows.append(_compared(f"{window_.title}, {name}", counts, expected))

    return rows


def _compared(part: str, counts: Counts, expected: Counts) -> dict[str, Any]:
    """A row of `published`."""
    verdict = "as published"
    if counts != expected:
        more_users = counts.users - expected.users
        more_ratings = counts.ratings - expected.ratings
        verdict = f"{more_users:+,}, {more_ratings:+,}"

    return {
        "part": part,
        "users": counts.users,
        "published_users": expected.users,
        "ratings": counts.ratings,
        "published_ratings": expected.ratings,
        "verdict": verdict,
    }
