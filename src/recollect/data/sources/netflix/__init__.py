"""The Netflix Prize: 100 million dated ratings of films, and the four calendar windows in which DeepRec was judged on them.

Source: Bennett, Lanning. "The Netflix Prize." KDD Cup and Workshop, 2007.
Source of the windows and their counts: Kuchaiev, Ginsburg. "Training Deep AutoEncoders for Collaborative Filtering", 2017.
Licence: it is no longer distributed; who has a copy puts the folder in place. Its README allows research use only.
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
from recollect.data.splitting import Split, in_windows, window_split
from recollect.data.splitting.split import TEST, TRAIN
from recollect.errors import DataError, unknown

log = logging.getLogger("recollect")

FOLDERS = (
    "netflix",
    "nf_prize_dataset",
    "netflix-prize-data",
)  # what the folder may be called, in this order


class Counts(NamedTuple):
    """How many users and ratings there are."""

    users: int
    ratings: int


@dataclass(frozen=True)
class Variant:
    """The whole set."""

    films: int
    counts: Counts

    def __str__(self) -> str:
        return (
            f"Netflix Prize: {self.counts.ratings:,} ratings of {self.films:,} films by {self.counts.users:,} users; 1 to "
            "5; no longer distributed, read from your copy"
        )


@dataclass(frozen=True)
class Window:
    """The days to learn from and the days to be judged on, in UTC, the last included; and what the paper found there.

    `test` counts both halves of the second interval, without users and films that are not in the first.
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
    """The ratings of the whole set, with times, titles and years. A bar shows how far it is, on a terminal.

    Raises: DataError if the folder is not there or a file in it is damaged.
    """
    return read(home(folder), name=f"netflix/{variant}")


def read(folder: str | Path, *, name: str | None = None) -> Ratings:
    """The ratings in a folder of the Netflix Prize's files. If their number is not the published one, a note says so.

    Raises: DataError if there are no such files or one is damaged.
    """
    files = _files(Path(folder))
    with _bar(files) as report:
        ratings = prize_files.read(files, name=name or Path(folder).resolve().name, report=report)
    all_ = VARIANTS["full"]
    found = (ratings.n_items, Counts(ratings.n_users, len(ratings)))
    if found != (all_.films, all_.counts):
        note = (
            f"This is not the whole Netflix Prize: {len(ratings):,} ratings of {ratings.n_items:,} films by "
            f"{ratings.n_users:,} users; published are {all_.counts.ratings:,}, {all_.films:,} and {all_.counts.users:,}."
        )
        log.info("%s: %s", ratings.name, note)
        ratings = replace(ratings, notes=(*ratings.notes, note), checked=True)
    return ratings


def is_folder(path: str | Path) -> bool:
    """Whether this is a folder of the Netflix Prize's files."""
    return Path(path).is_dir() and prize_files.find(Path(path)) is not None


def home(folder: Path | None = None) -> Path:
    """The folder of the files: `folder` itself, or one called netflix in it; else in the folders of `download.homes`.

    Raises: DataError if there is none; it says where it was looked for, and what to do.
    """
    places = [place / name for place in download.homes(folder) for name in FOLDERS]
    if folder is not None:
        places.insert(0, folder)
    for place in places:
        if is_folder(place):
            return place
    packed = [
        path
        for place in places
        for path in (place / "training_set.tar", place / "download" / "training_set.tar")
        if path.is_file()
    ]
    if packed:
        raise DataError(
            f"{packed[0]} is packed; unpack it where it is: cd {packed[0].parent} && tar -xf training_set.tar"
            + (
                ""
                if packed[0].parent in places
                else f". Then name {packed[0].parent}, or move what is in it to "
                f"{packed[0].parent.parent}"
            )
            + "."
        )
    raise DataError(
        f"The Netflix Prize is in none of {', '.join(map(str, places))}; looked for {prize_files.LOOKED_FOR}. It is no longer "
        f"distributed, so it cannot be downloaded: put your copy into a folder {FOLDERS[0]}, and let the environment variable "
        "RECOLLECT_DATA name the folder that this one is in. To try without: recollect data plant FOLDER --like netflix."
    )


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether the files are in `folder` or one of the data homes."""
    places = [place / name for place in download.homes(folder) for name in FOLDERS]
    return any(is_folder(place) for place in places)


def how_to_get(variant: str) -> str:
    """What to do where the files are not here: they are no longer distributed."""
    return f"put your copy of the Netflix Prize at $RECOLLECT_DATA/{FOLDERS[0]}"


def _files(folder: Path) -> prize_files.Files:
    files = prize_files.find(folder)
    if files is None:
        raise DataError(
            f"{folder} holds no files of the Netflix Prize; looked for {prize_files.LOOKED_FOR}. Check the path."
        )
    return files


@contextmanager
def _bar(files: prize_files.Files) -> Iterator[prize_files.Report]:
    """A bar on standard error, where that is a terminal and notes are not turned off."""
    with tqdm(
        total=files.size,
        unit="B",
        unit_scale=True,
        desc="Netflix",
        leave=False,
        disable=True if log.level >= logging.WARNING else None,
    ) as bar:
        yield bar.update


def probe(
    folder: str | Path | None = None, *, ratings: Ratings | None = None
) -> tuple[Ratings, Ratings]:
    """The ratings that are not in the Prize's probe set, and those that are; both with the vocabularies of the whole.

    `ratings` are those of the folder, if they have been read before.

    Raises: DataError if there is no probe.txt, or it names a pair that has no rating.
    """
    place = home(None if folder is None else Path(folder))
    path = _files(place).probe
    if path is None:
        raise DataError(f"There is no probe.txt in {place}; put that of the Netflix Prize there.")
    whole = read(place) if ratings is None else ratings
    is_probe = _chosen(whole, path)
    return (
        whole.where(~is_probe, name=f"{whole.name} without probe"),
        whole.where(is_probe, name=f"{whole.name} probe"),
    )


def _chosen(whole: Ratings, path: Path) -> Bool[np.ndarray, " ratings"]:
    """Which ratings a file of pairs names. A film's ratings stand together, as they were read."""
    film, user = prize_files.probe(path)
    item, who = whole.items.rows(film), whole.users.rows(user)
    begin = np.flatnonzero(np.diff(whole.item, prepend=-1))
    runs = dict(
        zip(
            whole.item[begin].tolist(),
            zip(begin, np.append(begin[1:], len(whole)), strict=True),
            strict=True,
        )
    )
    chosen, asked = (
        np.zeros(len(whole), bool),
        np.zeros(whole.n_users + 1, bool),
    )  # the last place: users unknown
    first = np.flatnonzero(np.diff(film, prepend=-1))
    for a, b in zip(first, np.append(first[1:], len(film)), strict=True):
        begun, end = runs.get(int(item[a]), (0, 0))
        asked[who[a:b]] = True
        chosen[begun:end] = asked[whole.user[begun:end]]
        found = int(chosen[begun:end].sum())
        asked[who[a:b]] = False
        if found != b - a:
            raise DataError(
                f"{path} names {b - a:,} users of film {film[a]}, of whom {found:,} have rated it (or are named "
                "once); expected a rating for each. Bring probe.txt and the ratings from one copy."
            )
    return chosen


def window(
    name: str, *, folder: str | Path | None = None, ratings: Ratings | None = None, seed: int = 0
) -> Split:
    """One of the paper's splits: "3m", "6m", "1y" or "full" (`WINDOWS`). Half of the second interval, drawn by the seed, is
    valid, half is test; users and films that are not in the first are left out of it.

    `ratings` are those of the folder, if they have been read before.

    Raises: SettingError for another name; DataError as `load`, or if a window has no ratings.
    """
    if name not in WINDOWS:
        raise unknown("window of Netflix", name, WINDOWS)
    if ratings is None:
        ratings = load(folder=None if folder is None else Path(folder))
    return window_split(
        ratings, train=WINDOWS[name].train_days, test=WINDOWS[name].test_days, seed=seed
    )


def published(ratings: Ratings) -> list[dict[str, Any]]:
    """A row for the whole set and one for each interval of each window: users and ratings found, those published, and a
    verdict ("as published", or how many users and ratings more or fewer). Of a window, "test" is both halves of its second
    interval."""
    rows = [_compared("whole", Counts(ratings.n_users, len(ratings)), VARIANTS["full"].counts)]
    for w in WINDOWS.values():
        part = in_windows(ratings, train=w.train_days, test=w.test_days)
        for name, code, stated in (("train", TRAIN, w.train), ("test", TEST, w.test)):
            chosen = part == code
            has_rating = np.zeros(ratings.n_users, bool)
            has_rating[ratings.user[chosen]] = True
            rows.append(
                _compared(
                    f"{w.title}, {name}", Counts(int(has_rating.sum()), int(chosen.sum())), stated
                )
            )
    return rows


def _compared(what: str, found: Counts, stated: Counts) -> dict[str, Any]:
    verdict = (
        f"{found.users - stated.users:+,}, {found.ratings - stated.ratings:+,}"
        if found != stated
        else "as published"
    )
    return {
        "part": what,
        "users": found.users,
        "published_users": stated.users,
        "ratings": found.ratings,
        "published_ratings": stated.ratings,
        "verdict": verdict,
    }
